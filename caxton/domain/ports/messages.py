"""The seam to the durable store of messages."""

from typing import Protocol

from caxton.domain.message import Conversation, Erasure, Exchange, Message, MessageState, StoredMessage, Summary


class MessageStore(Protocol):
    """Keeps messages and, through them, the history of conversations. Acknowledged means durable."""

    async def append(self, message: Message) -> Message:
        """Store an accepted message, and return it. A second one with the same id is left as the first was.

        Where its sender has sent its receiver another one with the same `idempotency_key`, nothing is stored, and that
        other one is returned.
        """
        ...

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        """The stored message of that sender to that receiver with this idempotency key."""
        ...

    async def begin(self, message_id: str) -> int:
        """Count a delivery begun; the number of attempts so far, this one included.

        CaxtonError `message_not_found` where it is not stored.
        """
        ...

    async def settle(self, message_id: str, state: MessageState, reply: Message | None) -> None:
        """Mark a message as dealt with and store its reply, both or neither. Repeating it changes nothing."""
        ...

    async def accepted(self, receiver: str) -> list[StoredMessage]:
        """Messages to `receiver` accepted and not settled, oldest first: what a restart has to deliver again.

        Costs what there are of them, however many others have.
        """
        ...

    def find(self, message_id: str) -> StoredMessage | None: ...

    def reply_to(self, message_id: str) -> Message | None:
        """The stored reply to a message, None while there is none."""
        ...

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

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        """Conversations, last active first; `before` is the id of the last one already seen."""
        ...

    def conversation(self, conversation_id: str) -> Conversation | None: ...

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        """Delete a conversation's messages, or all of an agent's, that are not waiting for delivery; how many."""
        ...

    async def taken_part(self, person: str) -> list[Conversation]:
        """The conversations in which this sender has asked something, last active first. Looks at every message."""
        ...

    async def forget(self, person: str) -> Erasure:
        """Delete the conversations in which this sender has asked something, whole: all messages and summaries.

        What waits for its reply goes too; a reply that comes later is not stored. Looks at every message.
        """
        ...
