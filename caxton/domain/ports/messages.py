"""The seam to the durable store of messages: what was said. How they get there is `ports.delivery`."""

from typing import Protocol

from caxton.domain.message import Conversation, Erasure, Exchange, MessageFilter, StoredMessage, Summary


class MessageStore(Protocol):
    """Messages and, through them, the history of conversations. Acknowledged means durable."""

    def find(self, message_id: str) -> StoredMessage | None: ...

    def history(self, conversation_id: str, agent: str, limit: int) -> list[Exchange]:
        """The newest `limit` turns of a conversation with `agent`, in the order they were answered.

        Requests answered by an inform only: what failed was never part of the talk. Costs what `limit` costs,
        however long the conversation is.
        """
        ...

    def summary(self, conversation_id: str, agent: str) -> Summary | None:
        """The newest summary of a conversation with `agent`."""
        ...

    async def summarize(self, summary: Summary) -> None:
        """Keep a summary in place of the one before. Erasing any of the conversation's messages erases it.

        Of a conversation that has no messages none is kept.
        """
        ...

    async def messages(
        self, *, agent: str | None, conversation_id: str | None, limit: int, before: str | None = None
    ) -> list[StoredMessage]:
        """Messages to `agent` and its replies, those of a conversation, or both; newest first.

        `before` is the id of the last one already seen. Nothing comes before one that is not there.
        """
        ...

    async def search(self, wanted: MessageFilter, *, limit: int, before: str | None = None) -> list[StoredMessage]:
        """The messages that fit, newest first; `before` as `messages` has it.

        By agent and conversation it costs what `limit` costs, by anything else it may look at every message.
        """
        ...

    async def traced(self, trace_id: str, *, limit: int) -> list[StoredMessage]:
        """All that one first message led to, in the order in which it was stored; the trace id has 32 hex digits."""
        ...

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        """Conversations, last active first; `before` is the id of the last one already seen."""
        ...

    def conversation(self, conversation_id: str) -> Conversation | None: ...

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        """Delete a conversation's messages, or all of an agent's, that are not waiting for delivery; how many.

        With all of an agent's messages goes its state.
        """
        ...

    async def taken_part(self, person: str) -> list[Conversation]:
        """The conversations in which this sender has asked something, last active first. Looks at every message."""
        ...

    async def forget(self, person: str) -> Erasure:
        """Delete the conversations in which this sender has asked something, whole: all messages and summaries.

        So are, in other conversations, the messages that what was asked has led to, by their trace, and the summaries
        there. What waits for its reply goes too; a reply that comes later is not stored. Looks at every message.
        """
        ...
