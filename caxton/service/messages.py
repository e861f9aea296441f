"""The operations on messages: the one way to speak to an agent."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import ANONYMOUS, IdSource, default_conversation
from caxton.domain.message import Durability, Message, MessageFilter, MessageState, Performative, StoredMessage
from caxton.domain.misunderstanding import LONGEST_NAME
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messages import MessageStore
from caxton.domain.trace import traceparent
from caxton.domain.turn import TextDelta, ToolEnded, ToolStarted, TurnEnded, TurnPostponed, TurnStarted, TurnTrace
from caxton.domain.validation import LARGEST_CONTENT, NEW_CONVERSATION
from caxton.runtime.images import read_image
from caxton.runtime.supervisor import Supervisor
from caxton.runtime.traces import Traces
from caxton.service.api.messages import (
    MessageList,
    MessageView,
    Reply,
    ReplyDelta,
    ReplyEvent,
    ReplyStarted,
    ReplyTool,
    ReplyToolResult,
    SendMessage,
)
from caxton.service.api.posting import Posted
from caxton.service.posting import Posting


class MessageService:
    """One method an operation of `service.api.messages` and `.posting`, and `stream` for the streamed form of `send`.

    `largest` is how many bytes a content may have as JSON.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        store: MessageStore,
        supervisor: Supervisor,
        traces: Traces,
        clock: Clock,
        new_id: IdSource,
        largest: int = LARGEST_CONTENT,
    ) -> None:
        self._bus = bus
        self._store = store
        self._supervisor = supervisor
        self._traces = traces
        self._clock = clock
        self._new_id = new_id
        self._posting = Posting(
            bus=bus,
            store=store,
            is_agent=lambda name: supervisor.find(name) is not None,
            clock=clock,
            new_id=new_id,
            largest=largest,
        )

    async def send(self, *, name: str, body: SendMessage) -> Reply:
        """The whole reply. The turn goes on, and its reply is stored, even if the caller stops waiting."""
        return Reply.of(await self._bus.ask(self._request(name, body)))

    async def stream(self, *, name: str, body: SendMessage) -> AsyncIterator[ReplyEvent]:
        """The reply as it comes. Raises before the first event what `send` raises before the turn."""
        request = self._request(name, body)
        async with self._bus.follow(request.id) as events:
            accepted = await self._bus.send(request)
            if accepted.id != request.id:
                for told in _told_again(Reply.of(await self._bus.answer(accepted))):
                    yield told
                return
            async for event in events:
                match event:
                    case TurnStarted():
                        yield ReplyStarted(
                            in_reply_to=event.request, agent=event.agent, conversation_id=event.conversation_id
                        )
                    case TextDelta():
                        yield ReplyDelta(text=event.text)
                    case ToolStarted():
                        yield ReplyTool(call=event.call, tool=event.tool, arguments=event.arguments)
                    case ToolEnded():
                        yield ReplyToolResult(
                            call=event.call,
                            tool=event.tool,
                            failed=event.failed,
                            error=event.error,
                            duration=event.duration,
                        )
                    case TurnEnded():
                        yield Reply.of(event.reply)
                    case TurnPostponed():
                        raise event.error.error()

    async def post(self, *, body: object) -> Posted:
        """Send a message of any performative to any address; `Posting` says how."""
        return await self._posting.post(body)

    async def reply(self, *, id: str, wait: float = 0) -> Message:
        """The reply to a message, once it is there."""
        return await self._posting.reply(id, wait)

    async def search(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        conversation_id: str | None = None,
        agent: str | None = None,
        state: MessageState | None = None,
        performative: Performative | None = None,
        sender: str | None = None,
        since: float | None = None,
    ) -> MessageList:
        """The messages that fit all of what is given; none where there is no such agent, or person."""
        wanted = MessageFilter(
            agent=agent,
            conversation_id=conversation_id,
            state=state,
            performative=performative,
            sender=sender,
            since=since,
        )
        return _page(await self._store.search(wanted, limit=limit, before=before), limit)

    async def list(
        self, *, name: str, limit: int = 50, before: str | None = None, conversation_id: str | None = None
    ) -> MessageList:
        stored = await self._store.messages(agent=name, conversation_id=conversation_id, limit=limit, before=before)
        if not stored:
            # Of an agent that has gone there may be messages all the same.
            self._supervisor.get(name)
        return _page(stored, limit)

    async def show(self, *, id: str) -> MessageView:
        if stored := self._store.find(id):
            return MessageView.of(stored)
        raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {id!r}.")

    async def trace(self, *, id: str) -> TurnTrace:
        if trace := self._traces.find(id):
            return trace
        raise CaxtonError(
            Code.MESSAGE_NOT_FOUND,
            f"There is no trace of a turn for message {id!r}.",
            hint="Traces are kept for recent requests, until the server stops.",
        )

    def _request(self, name: str, body: SendMessage) -> Message:
        if not body.text.strip():
            raise CaxtonError(Code.BODY_INVALID, "`text` is empty; an agent needs something to answer.")
        sender = _checked("sender", body.sender or ANONYMOUS)
        conversation = _checked("conversation_id", body.conversation_id or default_conversation(sender, name))
        if body.idempotency_key is not None:
            _checked("idempotency_key", body.idempotency_key)
            if not body.idempotency_key or body.history is not None:
                why = "is empty" if not body.idempotency_key else "does not go with `history`: nothing is stored then"
                raise CaxtonError(Code.BODY_INVALID, f"`idempotency_key` {why}.", hint="Leave it out.")
        if conversation == NEW_CONVERSATION or (body.history is not None and not body.conversation_id):
            conversation = self._new_id()
        content: dict[str, object] = {"text": body.text}
        if body.history is not None:
            content["history"] = msgspec.to_builtins(body.history)
        if body.images:
            for url in body.images:
                read_image(url)
            content["images"] = list(body.images)
        id = self._new_id()
        return Message(
            id=id,
            performative=Performative.REQUEST,
            sender=sender,
            receiver=name,
            conversation_id=conversation,
            created_at=self._clock.now(),
            content=content,
            idempotency_key=body.idempotency_key,
            durability=Durability.STORED if body.history is None else Durability.MEMORY,
            trace=traceparent(id, body.trace),
            awaited=True,
        )


def _checked(field: str, value: str) -> str:
    if len(value) > LONGEST_NAME or not value.isprintable():
        raise CaxtonError(
            Code.BODY_INVALID, f"`{field}` has to be at most {LONGEST_NAME} printable characters, not {value[:80]!r}."
        )
    return value


def _page(stored: Sequence[StoredMessage], limit: int) -> MessageList:
    following = stored[-1].message.id if len(stored) == limit else None
    return MessageList(messages=[MessageView.of(one) for one in stored], next=following)


def _told_again(reply: Reply) -> tuple[ReplyEvent, ...]:
    """The events of a reply to a message that was sent before: its text in one piece."""
    started = ReplyStarted(in_reply_to=reply.in_reply_to, agent=reply.agent, conversation_id=reply.conversation_id)
    return (started, ReplyDelta(text=reply.text), reply)
