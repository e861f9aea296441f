"""Sending messages as FIPA has them: of any performative, to any address."""

from typing import Any

import click
import msgspec

from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.domain.address import EVERYBODY, AddressKind, read_address
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import Message, Performative
from caxton.domain.protocol import ACTS
from caxton.service.api.posting import POST, Posted, PostMessage

WAIT = 600.0
"""Seconds that the command waits for replies, where nothing else is said."""


def is_address(name: str) -> bool:
    """Whether somebody else may be meant than the agent of that name."""
    return name == EVERYBODY or read_address(name).kind is not AddressKind.AGENT


def seconds(option: str, value: str | None) -> float | None:
    """A duration as people write it."""
    from caxton.config.units import read_duration

    try:
        return None if value is None else read_duration(value)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}, not {value!r}.") from error


def post(session: Session, receiver: str, text: str | None, given: dict[str, Any], *, wait: bool) -> None:
    """Send a message, and print what is replied. `given` are options by name; None was left out."""
    timeout = seconds("--timeout", given.pop("timeout"))
    fields = {name: value for name, value in given.items() if value is not None}
    body = PostMessage(
        receiver=receiver, text=text, wait=(WAIT if timeout is None else timeout) if wait else 0, **fields
    )
    client = session.client()
    from caxton.cli.waiting import waiting

    with waiting(session, f"{receiver} is thinking"):
        posted: Posted = client.call(POST, body=body)
    answered = ACTS[Performative(given["performative"] or Performative.REQUEST)].answered
    session.show(posted, lambda: _tell(session, posted, waited=wait and answered))
    if len(posted.accepted) == 1 and not session.json:
        for reply in posted.replies:
            _raise_failure(reply)


def show_reply(session: Session, reply: Message) -> None:
    """Print a reply as `message send` does."""
    session.show(reply, lambda: _say(session, reply, named=False))
    if not session.json:
        _raise_failure(reply)


def _tell(session: Session, posted: Posted, *, waited: bool) -> None:
    """The replies; of messages that have none, where they went. `waited` is whether there were to be any."""
    several = len(posted.accepted) > 1
    for reply in posted.replies:
        _say(session, reply, named=several)
    answered = {reply.in_reply_to for reply in posted.replies}
    missing = [one for one in posted.accepted if one.id not in answered]
    for one in missing:
        click.echo(f"{one.id}  sent to {one.receiver}")
    if not posted.accepted:
        click.echo("Nobody takes messages there now.")
    elif missing and waited:
        which = missing[0].id if len(missing) == 1 else "ID"
        click.echo(f"No reply yet. Look again: caxton message reply {which}", err=True)


def _say(session: Session, reply: Message, *, named: bool) -> None:
    """What was replied, with who said it and as what, where that does not go without saying."""
    if reply.performative is Performative.FAILURE and not named:
        return  # told as the command's error
    text = reply.text or (_error(reply).message if "error" in reply.content else "")
    head = f"{reply.sender}: " if named else ""
    act = "" if reply.performative is Performative.INFORM else f"({reply.performative}) "
    said = f"{head}{act}{text}".rstrip()
    click.echo(harmless(said) if session.interactive else said)


def _raise_failure(reply: Message) -> None:
    """A failure is the command's own."""
    if reply.performative in (Performative.FAILURE, Performative.NOT_UNDERSTOOD):
        raise _error(reply)


def _error(reply: Message) -> CaxtonError:
    try:
        return msgspec.convert(reply.content.get("error"), ErrorReport).error()
    except msgspec.ValidationError:
        return CaxtonError(Code.INTERNAL, f"{reply.sender!r} answered with {reply.performative}.")
