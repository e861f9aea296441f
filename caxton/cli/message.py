"""`caxton message`: send messages to agents, and look at them."""

import sys
import time
from typing import Any

import click

from caxton.cli.complete import agent_name
from caxton.cli.harmless import harmless
from caxton.cli.session import CaxtonGroup, Session, pass_session
from caxton.domain.message import MessageState, Performative
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
@click.option("--performative", metavar="ACT", help="What kind of message it is.  [default: request]")
@click.option("--priority", type=click.IntRange(0, 9), help="9 is the most urgent.  [default: 5]")
@click.option("--sender", metavar="NAME", help="Who says it.  [default: user]")
@click.option("--in-reply-to", metavar="ID", help="The message that it answers, or cancels.")
@click.option("--timeout", metavar="DURATION", help='How long to wait for the answer: "5m".  [default: 10m]')
@click.option("--no-wait", is_flag=True, help="Do not wait for the answer: print the message's id.")
@pass_session
def send(
    session: Session,
    /,
    agent: str,
    text: str | None,
    conversation: str | None,
    idempotency_key: str | None,
    stream: bool | None,
    no_wait: bool,
    **given: Any,
) -> None:
    """Send a message and print the answer. Without TEXT, or with "-", it is read from standard input.

    AGENT may be any address: capability:NAME for an agent that can do it, group:CONVERSATION, or all.
    """
    from caxton.cli.posting import is_address, post

    needless = given["performative"] in ("cancel", "agree", "refuse", "accept-proposal", "reject-proposal", "subscribe")
    if text == "-" or (text is None and not needless):
        if session.interactive:
            click.echo("Type the message; end it with Ctrl-D on a line of its own (Windows: Ctrl-Z, Enter).", err=True)
        text = sys.stdin.read()
    if not needless and not (text and text.strip()):
        raise click.UsageError("There is no text to send.")
    if no_wait or is_address(agent) or any(value is not None for value in given.values()):
        if stream:
            raise click.UsageError("--stream is for requests to one agent, without these options.")
        given |= {"conversation_id": conversation, "idempotency_key": idempotency_key}
        post(session, agent, text, given, wait=not no_wait)
        return
    assert text is not None  # noqa: S101 - a request needs one
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


@message.command()
@click.argument("id")
@click.option("--timeout", metavar="DURATION", default="0s", show_default=True, help="How long to wait for it.")
@pass_session
def reply(session: Session, id: str, timeout: str) -> None:
    """Print the reply to a message."""
    from caxton.cli.posting import seconds, show_reply
    from caxton.service.api.posting import REPLY

    show_reply(session, session.client().call(REPLY, path={"id": id}, query={"wait": seconds("--timeout", timeout)}))


@message.command("list")
@click.argument("agent", required=False, shell_complete=agent_name)
@click.option("--conversation", "conversation_id", help="Only this conversation.")
@click.option("--sender", metavar="NAME", help="Only what this one says.")
@click.option(
    "--performative",
    type=click.Choice([one.value for one in Performative]),
    metavar="ACT",
    help="Only messages of this kind.",
)
@click.option("--state", type=click.Choice([one.value for one in MessageState]), help="Only messages that stand so.")
@click.option("--since", metavar="DURATION", help='Only those of the last: "1h".')
@click.option("--limit", default=20, show_default=True, help="Newest messages to show.")
@click.option("--before", help="Only messages older than the one with this id.")
@pass_session
def list_(session: Session, /, agent: str | None, since: str | None, **query: Any) -> None:
    """List an agent's messages, or all, newest first."""
    from caxton.cli.posting import seconds
    from caxton.service.api.posting import SEARCH

    client = session.client()
    ago = seconds("--since", since)
    wanted = {name: value for name, value in query.items() if value is not None}
    if ago is None and agent and wanted.keys() <= {"conversation_id", "limit", "before"}:
        answer = client.call(messages.LIST, path={"name": agent}, query=wanted)
    else:
        if ago is not None:
            wanted["since"] = time.time() - ago
        answer = client.call(SEARCH, query={"agent": agent, **wanted})

    def people() -> None:
        from caxton.cli.show import said
        from caxton.cli.tables import moment, print_table

        columns = ("ID", "WHEN", "FROM", "TO", "ACT", "STATE", "TEXT")
        rows = [
            (m.id, moment(m.created_at), m.sender, m.receiver, m.performative, m.state, _line(said(m)))
            for m in answer.messages
        ]
        print_table(session, columns, rows)

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
                ("addressed", answer.addressed),
                ("conversation", answer.conversation_id),
                ("when", moment(answer.created_at)),
                ("in reply to", answer.in_reply_to),
                ("reply by", moment(answer.reply_by) if answer.reply_by else None),
                ("priority", str(answer.priority)),
                ("because of", answer.cause),
                ("went through", " → ".join(answer.path)),
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
    """Show all that a message belongs to, as a tree.

    From the first message on, with times, models and tools.
    """
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
    """Show what the model was sent for a message, and the times."""
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
