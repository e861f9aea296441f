"""Participants of contracts, and a bus between them and the initiator that a test turns by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

from caxton.domain.contract_net import Contract, Party, Terms
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState, Performative

Answer = tuple[Performative, dict[str, Any]] | str
"""What a participant says; or "silence", and "late:" before what comes after the deadline; or "gone"."""
P = Performative


def a_contract(id: str, agents: list[str], **terms: object) -> Contract:
    parties = tuple(Party(agent=name) for name in agents)
    return Contract(
        id=id, initiator="user", task="Do it.", called="all", created_at=0.0, terms=Terms(**terms), parties=parties
    )


def says(message: Message, performative: Performative, content: dict[str, Any]) -> Message:
    return Message(
        id=f"re:{message.id}",
        performative=performative,
        sender=message.receiver,
        receiver=message.sender,
        conversation_id=message.conversation_id,
        created_at=1.0,
        content=content,
        in_reply_to=message.id,
    )


class Market:
    """Implements as much of `ports.bus.Bus` as contracts need. Nothing happens until `turn` lets a message through.

    A message that is sent twice (by its idempotency key and receiver) has the answer of the first, as on the real bus.
    """

    def __init__(self, behaviour: Callable[[Message], Answer]) -> None:
        self._behaviour = behaviour
        self.accepted: dict[tuple[str, str], Message] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._waiting: list[tuple[Message, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def turn(self, number: int) -> None:
        """Let one of the waiting messages, whichever, have its answer or the end of the wait for it."""
        _, let_go = self._waiting.pop(number % len(self._waiting))
        if not let_go.done():
            let_go.set_result(None)

    def work_alone(self) -> None:
        """Have everybody answer what has not been answered, while nobody waits for it."""
        for key, message in self.accepted.items():
            if message.performative in (P.CFP, P.ACCEPT_PROPOSAL):
                self._answers.setdefault(key, self._behaviour(message))

    def sent(self, performative: Performative) -> list[str]:
        """To whom messages of a performative were sent, each message once."""
        return [one.receiver for one in self.accepted.values() if one.performative is performative]

    async def ask(self, message: Message) -> Message:
        """As the real bus: a message that is sent again under its own id waits for an answer that is still to come."""
        key = self._key(message)
        earlier = self.accepted.get(key)
        self._accept(message)
        if earlier and earlier.id == message.id and key in self._answers:
            raise AssertionError("this would wait for ever")
        await self._pass(message)
        return self._answered(message)

    def _answered(self, message: Message) -> Message:
        answer = self._answers.setdefault(self._key(message), self._behaviour(message))
        if answer == "gone":
            raise CaxtonError(Code.AGENT_NOT_RUNNING, f"Agent {message.receiver!r} is stopped.")
        if isinstance(answer, str):
            raise CaxtonError(Code.REPLY_TIMEOUT, f"{message.receiver!r} did not reply in time.")
        return says(message, *answer)

    async def answer(self, message: Message) -> Message:
        await self._pass(message)
        if message.performative is P.ACCEPT_PROPOSAL:
            return self._answered(message)
        if self._behaviour(message) == "late":
            return says(message, P.PROPOSE, {"cost": 0.1})
        raise CaxtonError(Code.AGENT_NOT_RUNNING, "It never answers.")

    async def settle(self, message: Message, state: MessageState, reply: Message | None) -> None:
        """The withdrawal of an award: it was one, and its agent is gone."""
        assert (message.performative, state, reply) == (P.ACCEPT_PROPOSAL, MessageState.FAILED, None)
        assert self._answers[self._key(message)] == "gone"

    async def send(self, message: Message) -> Message:
        self._accept(message)
        return message

    def _key(self, message: Message) -> tuple[str, str]:
        assert message.idempotency_key is not None
        return message.receiver, message.idempotency_key

    def _accept(self, message: Message) -> None:
        earlier = self.accepted.setdefault(self._key(message), message)
        assert earlier.content == message.content, "an idempotency key was used for another message"

    async def _pass(self, message: Message) -> None:
        let_go = asyncio.get_running_loop().create_future()
        self._waiting.append((message, let_go))
        try:
            await let_go
        finally:
            self._waiting = [pair for pair in self._waiting if pair[1] is not let_go]
