"""`caxton message`: send messages to agents, and look at them."""

import sys

import click

from caxton.cli.complete import agent_name
from caxton.cli.harmless import harmless
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.domain.turn import ToolStep
from caxton.service.api import messages
from caxton.service.api.messages import ReplyDelta, ReplyTool, SendMessage


@click.group(cls=CaxtonGroup)
def message() -> None:
    """Send messages to agents, and look at them."""


@message.command()
@click.argument("agent", shell_complete=agent_name)
@click.argument("text", required=False)
@click.option("--conversation", help='The conversation to go on with; "new" begins another.')
@click.option("--idempotency-key", metavar="KEY", help="Repeated with the same key, it is answered only once.")
@click.option("--stream/--no-stream", default=None, help="Show the answer as it comes.  [default: on a terminal]")
@pass_session
def send(
    session: Session,
    agent: str,
    text: str | None,
    conversation: str | None,
    idempotency_key: str | None,
    stream: bool | None,
) -> None:
    """Send a message and print the answer. Without TEXT, or with "-", it is read from standard input."""
    if text in (None, "-"):
        if session.interactive:
            click.echo("Type the message; end it with Ctrl-D on a line of its own (Windows: Ctrl-Z, Enter).", err=True)
        text = sys.stdin.read()
    if not text or not text.strip():
        raise click.UsageError("There is no text to send.")
    body = SendMessage(text=text, conversation_id=conversation, idempotency_key=idempotency_key)
    client = session.client()
    if stream is None:
        stream = session.interactive
    if stream and not session.json:
        for event in client.stream(messages.SEND, path={"name": agent}, body=body):
            if isinstance(event, ReplyDelta):
                click.echo(harmless(event.text) if session.interactive else event.text, nl=False)
            elif isinstance(event, ReplyTool):
                click.echo(f"[{event.tool}]", err=True)
        click.echo()
        return
    from caxton.cli.waiting import waiting

    with waiting(session, f"{agent} is thinking"):
        reply = client.call(messages.SEND, path={"name": agent}, body=body)
    session.show(reply, lambda: click.echo(harmless(reply.text) if session.interactive else reply.text))


@message.command("list")
@click.argument("agent", shell_complete=agent_name)
@click.option("--conversation", help="Only this conversation.")
@click.option("--limit", default=20, show_default=True, help="Newest messages to show.")
@click.option("--before", help="Only messages older than the one with this id.")
@pass_session
def list_(session: Session, agent: str, conversation: str | None, limit: int, before: str | None) -> None:
    """List an agent's messages, newest first."""
    query = {"conversation_id": conversation, "limit": limit, "before": before}
    answer = session.client().call(messages.LIST, path={"name": agent}, query=query)

    def people() -> None:
        from caxton.cli.show import said
        from caxton.cli.tables import moment, print_table

        rows = [(m.id, moment(m.created_at), m.sender, m.state, _line(said(m))) for m in answer.messages]
        print_table(session, ("ID", "WHEN", "FROM", "STATE", "TEXT"), rows)

    session.show(answer, people)


@message.command()
@click.argument("id")
@pass_session
def show(session: Session, id: str) -> None:
    """Show a stored message."""
    answer = session.client().call(messages.SHOW, path={"id": id})

    def people() -> None:
        from caxton.cli.tables import moment, print_fields

        print_fields(
            session,
            [
                ("id", answer.id),
                ("act", answer.performative),
                ("from", answer.sender),
                ("to", answer.receiver),
                ("conversation", answer.conversation_id),
                ("when", moment(answer.created_at)),
                ("in reply to", answer.in_reply_to),
                ("state", answer.state),
                ("error", answer.content.get("error", {}).get("message")),
                ("text", answer.text.strip()),
            ],
        )

    session.show(answer, people)


@message.command()
@click.argument("id")
@click.option("--limit", default=1000, show_default=True, help="Messages to show at most.")
@pass_session
def trace(session: Session, id: str, limit: int) -> None:
    """Show all that the first message led to that led to this one: a tree with times, models and tools."""
    from caxton.service.api.traces import TREE

    answer = session.client().call(TREE, path={"id": id}, query={"limit": limit})

    def people() -> None:
        from caxton.cli.tree import show_tree

        show_tree(session, answer)

    session.show(answer, people)


@message.command()
@click.argument("id")
@pass_session
def turn(session: Session, id: str) -> None:
    """Show what the model was sent for a message, and how long all took (recent ones only)."""
    answer = session.client().call(messages.TRACE, path={"id": id})

    def people() -> None:
        from caxton.cli.tables import print_fields

        print_fields(
            session,
            [
                ("agent", f"{answer.agent} {answer.agent_version}"),
                ("provider", f"{answer.provider} {answer.model}"),
                ("asked before", ", ".join(f"{one.provider} ({one.error.code})" for one in answer.fallbacks)),
                ("waited", f"{answer.waited:.3f} s"),
                ("first token", f"{answer.first_token:.3f} s" if answer.first_token else None),
                ("duration", f"{answer.duration:.3f} s"),
                ("prompt", f"{answer.prompt_tokens} tokens, {answer.left_out} earlier turns left out"),
                ("error", answer.error.message if answer.error else None),
                *((f"→ {part.role}", part.content.strip()) for part in answer.prompt),
                *(("⚙ tool", f"{step.tool} {step.arguments}\n{_outcome(step)}") for step in answer.steps),
                ("← reply", answer.reply.strip()),
            ],
        )

    session.show(answer, people)


def _outcome(step: ToolStep) -> str:
    how = f"failed ({step.error})" if step.error else "failed" if step.failed else "answered"
    return f"{how} after {step.duration:.3f} s: {step.result.strip()}"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
