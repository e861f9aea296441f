"""Sending messages as FIPA has them: read, or answered with not-understood; routed; and waited for, if need be."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from math import isfinite

import msgspec

from caxton.domain.address import read_address
from caxton.domain.content import shortened
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.domain.misunderstanding import Finding, MessageNotUnderstood, not_understood
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messages import MessageStore
from caxton.domain.protocol import ACTS
from caxton.domain.validation import LARGEST_CONTENT, read_message
from caxton.runtime.images import read_image
from caxton.service.api.posting import LONGEST_WAIT, AcceptedMessage, Posted

SERVER = "caxton"
"""Who says that a message was not understood where it reached no agent."""
WAIT = "wait"


class Posting:
    """`is_agent` says whether an agent of that name is there, `largest` how many bytes a content may have as JSON."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: MessageStore,
        is_agent: Callable[[str], bool],
        clock: Clock,
        new_id: IdSource,
        largest: int = LARGEST_CONTENT,
    ) -> None:
        self._bus = bus
        self._store = store
        self._is_agent = is_agent
        self._clock = clock
        self._new_id = new_id
        self._largest = largest

    async def post(self, given: object) -> Posted:
        """Send what `given` (a `PostMessage`, or a mapping with its fields) is as a message.

        MessageNotUnderstood with everything that is wrong with it; else what `ports.bus.Bus.send` raises.
        """
        message, wait = self._read(given)
        if not (wait and ACTS[message.performative].answered):
            return Posted(accepted=_all_accepted(await self._send(message)), replies=[])
        message = msgspec.structs.replace(message, awaited=True)
        if not message.is_stored:
            return await self._exchange(message, wait)
        accepted = await self._send(message)
        return Posted(accepted=_all_accepted(accepted), replies=await self._replies(accepted, wait))

    async def reply(self, id: str, wait: float) -> Message:
        """The reply to a stored message, waited for that long; CaxtonError `message_not_found` or `reply_timeout`."""
        stored = self._store.find(id)
        if stored is None:
            raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {id!r}.")
        wrong = _wait_finding(wait)
        if wrong:
            raise CaxtonError(Code.PARAMETER_INVALID, str(wrong))
        if not ACTS[stored.message.performative].answered:
            raise CaxtonError(
                Code.MESSAGE_NOT_FOUND,
                f"Message {id} is {stored.message.performative.value!r}, which is not answered.",
                hint="GET /messages/{id} shows it.",
            )
        # Without a wait there is still the time that it takes to look.
        if replies := await self._replies([stored.message], wait):
            return replies[0]
        if wait:
            raise CaxtonError(Code.REPLY_TIMEOUT, f"Message {id} had no reply within {wait:g} s.")
        raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"Message {id} has no reply yet.", hint="Wait for one with ?wait=30.")

    def _read(self, given: object) -> tuple[Message, float]:
        """The message, and the seconds to wait for its reply."""
        if isinstance(given, msgspec.Struct):
            given = msgspec.to_builtins(given)
        findings: list[Finding] = []
        wait: object = 0
        if isinstance(given, Mapping):
            wait = given.get(WAIT) or 0
            given = {name: value for name, value in given.items() if name != WAIT}
            findings += filter(None, [_wait_finding(wait)])
        id, now = self._new_id(), self._clock.now()
        message = read_message(given, id=id, now=now, known=self._known, largest=self._largest)
        if isinstance(message, Message):
            findings += _images(message)
            answers = message.in_reply_to and message.performative is not Performative.CANCEL
            if answers and self._is_agent(message.sender):
                why = f"is {message.sender!r}, an agent, and agents answer for themselves."
                findings.append(Finding(field="sender", message=why))
            if wait and not message.is_stored and not read_address(message.receiver).is_one:
                findings.append(Finding(field=WAIT, message="for several takes stored messages.", hint="Leave it out."))
        else:
            findings += message
        if findings or not isinstance(message, Message) or not isinstance(wait, int | float):
            raise MessageNotUnderstood(findings, not_understood(given, findings, id=self._new_id(), now=now, by=SERVER))
        return message, wait

    def _known(self, id: str) -> Message | None:
        stored = self._store.find(id)
        return stored.message if stored else self._bus.under_way(id)

    async def _send(self, message: Message) -> list[Message]:
        if read_address(message.receiver).is_one:
            return [await self._bus.send(message)]
        return await self._bus.broadcast(message)

    async def _exchange(self, message: Message, wait: float) -> Posted:
        """Ask in memory only, where nothing could be looked up later."""
        try:
            async with asyncio.timeout(wait):
                reply = await self._bus.ask(message)
        except TimeoutError:
            raise CaxtonError(Code.REPLY_TIMEOUT, f"{message.receiver!r} did not reply within {wait:g} s.") from None
        accepted = AcceptedMessage(id=message.id, receiver=reply.sender, conversation_id=message.conversation_id)
        return Posted(accepted=[accepted], replies=[reply])

    async def _replies(self, messages: Sequence[Message], wait: float) -> list[Message]:
        """The replies that are there within so many seconds. What keeps the only one from coming is raised."""
        replies: list[Message] = []

        async def answer(message: Message) -> None:
            replies.append(await self._bus.answer(message))

        waiting = [asyncio.ensure_future(answer(message)) for message in messages]
        if not waiting:
            return []
        try:
            await asyncio.wait(waiting, timeout=wait)
        finally:
            for one in waiting:
                one.cancel()
            ends = await asyncio.gather(*waiting, return_exceptions=True)
        errors = [end for end in ends if isinstance(end, CaxtonError)]
        if errors and len(messages) == 1:
            raise errors[0]
        return replies


def _all_accepted(messages: Sequence[Message]) -> list[AcceptedMessage]:
    return [AcceptedMessage(id=one.id, receiver=one.receiver, conversation_id=one.conversation_id) for one in messages]


def _wait_finding(wait: object) -> Finding | None:
    if isinstance(wait, int | float) and not isinstance(wait, bool) and isfinite(wait) and 0 <= wait <= LONGEST_WAIT:
        return None
    return Finding(field=WAIT, message=f"has to be 0 to {LONGEST_WAIT:g} seconds, not {shortened(wait, 80)!r}.")


def _images(message: Message) -> list[Finding]:
    """What is wrong with the pictures of a content, which the model is shown."""
    images = message.content.get("images")
    if images is None:
        return []
    if not isinstance(images, list | tuple) or not all(isinstance(url, str) for url in images):
        return [Finding(field="content.images", message="has to be a list of data URLs.")]
    findings = []
    for number, url in enumerate(images):
        try:
            read_image(url)
        except CaxtonError as error:
            findings.append(Finding(field=f"content.images[{number}]", message=error.message, hint=error.hint))
    return findings
