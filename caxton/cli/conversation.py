"""`caxton conversation`: begin conversations of several, speak and follow in them, and look after all."""

import sys

import click

from caxton.cli.complete import agent_name
from caxton.cli.session import CaxtonGroup, Session, pass_session, yes_option
from caxton.domain.conversation import History, Order, ParticipantKind
from caxton.service.api import conversations
from caxton.service.api.conversations import CreateConversation, GroupReply, SpeakToGroup
from caxton.service.api.operation import Operation


def _metadata(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if not value.partition("=")[0] or "=" not in value:
            raise click.BadParameter(f"{value!r} is not written NAME=VALUE, as in project=apollo")
    return dict(value.split("=", 1) for value in values)


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    from caxton.config.units import read_duration

    if value is None:
        return None
    try:
        return read_duration(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a duration such as 30m, 8h or 7d") from None


@click.group(cls=CaxtonGroup)
def conversation() -> None:
    """Begin, follow and look after conversations."""


id_argument = click.argument("id")


@conversation.command()
@click.argument("agents", nargs=-1, shell_complete=agent_name)
@click.option("--person", "people", multiple=True, metavar="NAME", help="A person that takes part; give it again.")
@click.option("--id", help="What it is called; made up where left out.")
@click.option("--title", default="", help="What it is about.")
@click.option(
    "--meta", "metadata", multiple=True, callback=_metadata, metavar="NAME=VALUE", help="Kept with it; give it again."
)
@click.option(
    "--history",
    type=click.Choice([one.value for one in History]),
    default=History.SHARED.value,
    show_default=True,
    help="Whether an agent knows what all said, or what it and the sender said.",
)
@click.option(
    "--order",
    type=click.Choice([one.value for one in Order]),
    default=Order.TOGETHER.value,
    show_default=True,
    help="Whether agents answer all at once, or one after another, each knowing what those before it said.",
)
@click.option("--idle", callback=_seconds, metavar="DURATION", help='Closed after such a silence: "30m", "7d".')
@pass_session
def create(
    session: Session,
    agents: tuple[str, ...],
    people: tuple[str, ...],
    id: str | None,
    title: str,
    metadata: dict[str, str],
    history: str,
    order: str,
    idle: float | None,
) -> None:
    """Begin a conversation of several.

    AGENTS speak in the order in which they are named.
    """
    body = CreateConversation(
        participants=agents,
        people=people,
        id=id,
        title=title,
        metadata=metadata,
        history=History(history),
        order=Order(order),
        idle=idle,
    )
    group = session.client().call(conversations.CREATE, body=body)
    session.show(group, lambda: click.echo(group.id))


@conversation.command("list")
@click.option("--agent", help="Only conversations with this agent.")
@click.option("--participant", metavar="NAME", help="Only conversations of several that this one takes part in.")
@click.option("--limit", default=50, show_default=True, help="How many, last active first.")
@click.option("--before", help="Only conversations after the one with this id, in that order.")
@pass_session
def list_(session: Session, agent: str | None, participant: str | None, limit: int, before: str | None) -> None:
    """List conversations, last active first.

    Those in which nothing was said yet come before them.
    """
    query = {"agent": agent, "participant": participant, "limit": limit, "before": before}
    answer = session.client().call(conversations.LIST, query=query)

    def people() -> None:
        from caxton.cli.tables import moment, print_table

        rows = [
            (
                one.id,
                ", ".join(one.group.agents) if one.group else one.agent,
                one.messages,
                moment(one.created_at),
                moment(one.updated_at) if one.messages else "never",
            )
            for one in (*answer.silent, *answer.conversations)
        ]
        print_table(session, ("ID", "AGENT", "MESSAGES", "BEGAN", "LAST ACTIVE"), rows)

    session.show(answer, people)


@conversation.command()
@id_argument
@click.option("--limit", default=100, show_default=True, help="Newest messages to show.")
@pass_session
def show(session: Session, id: str, limit: int) -> None:
    """Show who is in a conversation, and its newest messages."""
    answer = session.client().call(conversations.SHOW, path={"id": id}, query={"limit": limit})

    def people() -> None:
        from caxton.cli.show import said_once, show_group, show_messages

        if answer.conversation.group:
            show_group(session, answer.conversation.group, answer.events)
        show_messages(session, said_once(answer.messages))

    session.show(answer, people)


@conversation.command()
@id_argument
@click.argument("name", shell_complete=agent_name)
@click.option("--person", is_flag=True, help="NAME is a person, not an agent.")
@pass_session
def join(session: Session, id: str, name: str, person: bool) -> None:
    """Have an agent or a person take part.

    What was said before they can know, too.
    """
    kind = ParticipantKind.PERSON if person else ParticipantKind.AGENT
    group = session.client().call(conversations.JOIN, path={"id": id, "name": name}, query={"kind": kind.value})
    session.show(group, lambda: click.echo(f"{name} takes part in {id}."))


@conversation.command()
@id_argument
@click.argument("name", shell_complete=agent_name)
@pass_session
def leave(session: Session, id: str, name: str) -> None:
    """Have somebody take part no longer."""
    group = session.client().call(conversations.LEAVE, path={"id": id, "name": name})
    session.show(group, lambda: click.echo(f"{name} has left {id}."))


@conversation.command()
@id_argument
@click.argument("text", required=False)
@click.option("--sender", metavar="NAME", help="Who says it.")
@click.option("--rounds", default=1, show_default=True, help="How often the agents answer, each time knowing more.")
@pass_session
def send(session: Session, id: str, text: str | None, sender: str | None, rounds: int) -> int:
    """Say something to all agents, and print what they answer.

    Without TEXT, or with "-", it is read from standard input. The exit status is 1 where none of them answered.
    """
    if text in (None, "-"):
        if session.interactive:
            click.echo("Type the message; end it with Ctrl-D on a line of its own (Windows: Ctrl-Z, Enter).", err=True)
        text = sys.stdin.read()
    if not text or not text.strip():
        raise click.UsageError("There is no text to send.")
    body = SpeakToGroup(text=text, sender=sender, rounds=rounds)
    if session.json:
        answer = session.client().call(conversations.SEND, path={"id": id}, body=body)
        session.show(answer, lambda: None)
        replies = answer.replies
    else:
        from caxton.cli.voices import Voices

        voices, replies = Voices(session), []
        for event in session.client().stream(conversations.SEND, path={"id": id}, body=body):
            voices.hear(event)
            if isinstance(event, GroupReply):
                replies.append(event)
    return 0 if any(one.reply for one in replies) else 1


@conversation.command()
@id_argument
@click.option("-n", "--lines", default=10, show_default=True, type=click.IntRange(0, 1000), help="Messages before it.")
@click.option("--count", type=click.IntRange(1), help="End after so many messages that were not there before.")
@pass_session
def tail(session: Session, id: str, lines: int, count: int | None) -> None:
    """Show what is said, as it is said, until interrupted."""
    from caxton.cli.tailing import tail as follow

    follow(session, id, lines=lines, count=count)


@conversation.command()
@id_argument
@pass_session
def close(session: Session, id: str) -> None:
    """Close a conversation of several; it is kept."""
    _operate(session, conversations.CLOSE, id, "is closed")


@conversation.command()
@id_argument
@pass_session
def reopen(session: Session, id: str) -> None:
    """Open a closed conversation again."""
    _operate(session, conversations.REOPEN, id, "is open")


@conversation.command()
@id_argument
@yes_option
@pass_session
def reset(session: Session, id: str, yes: bool) -> None:
    """Erase a conversation's messages; it begins afresh."""
    session.confirm(f"Erase conversation {id}?", yes=yes)
    answer = session.client().call(conversations.RESET, path={"id": id})
    session.show(answer, lambda: click.echo(f"Erased {answer.messages_erased} messages."))


@conversation.command()
@id_argument
@yes_option
@pass_session
def delete(session: Session, id: str, yes: bool) -> None:
    """Erase a conversation and all that is kept of it."""
    session.confirm(f"Erase conversation {id} and all that is kept of it?", yes=yes)
    answer = session.client().call(conversations.DELETE, path={"id": id})
    session.show(answer, lambda: click.echo(f"Erased the conversation with {answer.messages_erased} messages."))


def _operate(session: Session, operation: Operation, id: str, what: str) -> None:
    group = session.client().call(operation, path={"id": id})
    session.show(group, lambda: click.echo(f"{id} {what}."))
