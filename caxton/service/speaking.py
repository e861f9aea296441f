"""Speaking to a group: one message to each of its agents, at once or in turn, and what they answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from caxton.domain.address import group_address
from caxton.domain.conversation import Group, Order
from caxton.domain.errors import CaxtonError
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.trace import traceparent
from caxton.domain.turn import TextDelta, TurnEnded, TurnPostponed, TurnStarted
from caxton.service.api.conversations import GroupEvent, GroupReplies, GroupReply, SpeakerDelta, SpeakerStarted
from caxton.service.api.messages import Reply


class Speaking:
    """One thing said to `agents` of a group: what each is sent has the same sender, content and `reply_with`."""

    def __init__(
        self,
        group: Group,
        agents: Sequence[str],
        *,
        sender: str,
        content: dict[str, Any],
        rounds: int,
        bus: Bus,
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._group = group
        self._agents = agents
        self._sender = sender
        self._content = content
        self._rounds = range(1, rounds + 1)
        self._bus = bus
        self._clock = clock
        self._said = new_id()
        self._new_id = new_id
        self._trace: str | None = None
        """That of the first message, which all others go on with."""

    async def replies(self) -> GroupReplies:
        """All replies. A turn that runs goes on, and its reply is stored, even if the caller stops waiting."""
        replies: list[GroupReply] = []
        for number in self._rounds:
            for agents in self._steps():
                replies += await asyncio.gather(*(self._ask(agent, number) for agent in agents))
        return self._all(replies)

    async def events(self) -> AsyncGenerator[GroupEvent]:
        """The same as it comes. Closed early, it asks no more agents; the turns that run go on."""
        replies: list[GroupReply] = []
        for number in self._rounds:
            for agents in self._steps():
                told: asyncio.Queue[GroupEvent | Exception] = asyncio.Queue()
                asking = [asyncio.create_task(self._follow(agent, number, told.put_nowait)) for agent in agents]
                ended: dict[str, GroupReply] = {}
                try:
                    while len(ended) < len(agents):
                        event = await told.get()
                        if isinstance(event, Exception):
                            raise event
                        if isinstance(event, GroupReply):
                            ended[event.agent] = event
                        yield event
                finally:
                    for one in asking:
                        one.cancel()
                    await asyncio.gather(*asking, return_exceptions=True)
                replies += [ended[agent] for agent in agents]
        yield self._all(replies)

    def _steps(self) -> list[Sequence[str]]:
        """Who is asked at once, and then who."""
        return [self._agents] if self._group.order is Order.TOGETHER else [[agent] for agent in self._agents]

    async def _ask(self, agent: str, number: int) -> GroupReply:
        try:
            reply = Reply.of(await self._bus.ask(self._message(agent)))
        except CaxtonError as error:
            return GroupReply(agent=agent, round=number, error=error.report())
        return GroupReply(agent=agent, round=number, reply=reply)

    async def _follow(self, agent: str, number: int, tell: Callable[[GroupEvent | Exception], None]) -> None:
        """Tell what an agent says and at last its whole reply, or the error, or the crash: one of them in any case."""
        try:
            tell(GroupReply(agent=agent, round=number, reply=await self._followed(agent, number, tell)))
        except CaxtonError as error:
            tell(GroupReply(agent=agent, round=number, error=error.report()))
        except Exception as crash:
            tell(crash)

    async def _followed(self, agent: str, number: int, tell: Callable[[GroupEvent | Exception], None]) -> Reply:
        message = self._message(agent)
        async with self._bus.follow(message.id) as events:
            await self._bus.send(message)
            async for event in events:
                match event:
                    case TurnStarted():
                        started = SpeakerStarted(
                            agent=agent, round=number, in_reply_to=event.request, conversation_id=event.conversation_id
                        )
                        tell(started)
                    case TextDelta():
                        tell(SpeakerDelta(agent=agent, text=event.text))
                    case TurnEnded():
                        return Reply.of(event.reply)
                    case TurnPostponed():
                        raise event.error.error()
        raise AssertionError("what is followed ends")

    def _message(self, agent: str) -> Message:
        id = self._new_id()
        trace = traceparent(id, self._trace)
        self._trace = self._trace or trace
        return Message(
            id=id,
            performative=Performative.REQUEST,
            sender=self._sender,
            receiver=agent,
            conversation_id=self._group.id,
            created_at=self._clock.now(),
            content=self._content,
            reply_with=self._said,
            addressed=group_address(self._group.id),
            awaited=True,
            trace=trace,
        )

    def _all(self, replies: list[GroupReply]) -> GroupReplies:
        return GroupReplies(conversation_id=self._group.id, replies=replies)
