"""What is said in a conversation, as it is said."""

import click
import msgspec

from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.cli.show import said, said_once, saying
from caxton.cli.tables import moment
from caxton.domain.delivery import BusEventKind
from caxton.service.api import conversations, events, messages
from caxton.service.api.events import EventMessage, EventsMissed, MessageEvent
from caxton.service.api.messages import MessageView

SPOKEN = (BusEventKind.ACCEPTED, BusEventKind.SETTLED, BusEventKind.FAILED)
"""Events with which something is said: a message, or the reply to one."""
REMEMBERED = 10_000
"""Messages of which it is remembered that they were shown."""


class SaidLine(msgspec.Struct, frozen=True, kw_only=True):
    """A message as programs get it, one a line."""

    id: str
    created_at: float
    sender: str
    performative: str
    in_reply_to: str | None
    text: str


def tail(session: Session, id: str, *, lines: int, count: int | None) -> None:
    """Show the last `lines` messages, and then all that come: until the server stops, or `count` of them came.

    What is said to several at once is shown once. CaxtonError `conversation_not_found`.
    """
    client = session.client()
    stream = client.stream(events.STREAM, query={"conversation_id": id, "kind": ",".join(SPOKEN)})
    # It is open before the past is read, so that nothing falls between the two.
    next(stream, None)
    past = client.call(conversations.SHOW, path={"id": id}, query={"limit": 1000}).messages
    shown = dict.fromkeys(saying(one) for one in past)
    for one in said_once(past)[-lines:] if lines else []:
        _print(session, one)
    for event in stream:
        if isinstance(event, EventsMissed):
            click.echo("(some messages are missing here)", err=True)
        if not isinstance(event, MessageEvent):
            continue
        spoken = event.message if event.kind is BusEventKind.ACCEPTED else event.reply
        if spoken is None or saying(spoken) in shown:
            continue
        shown[saying(spoken)] = None
        if len(shown) > REMEMBERED:
            del shown[next(iter(shown))]
        _print(session, client.call(messages.SHOW, path={"id": spoken.id}) if event.cut else spoken)
        if count is not None and (count := count - 1) == 0:
            return


def _print(session: Session, message: MessageView | EventMessage) -> None:
    if session.json:
        line = SaidLine(
            id=message.id,
            created_at=message.created_at,
            sender=message.sender,
            performative=message.performative,
            in_reply_to=message.in_reply_to,
            text=message.text,
        )
        click.echo(msgspec.json.encode(line).decode())
        return
    name = click.style(message.sender, bold=True) if session.colored else message.sender
    click.echo(f"{name}  {moment(message.created_at)}\n{harmless(said(message).strip())}\n")
