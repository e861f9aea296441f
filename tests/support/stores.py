"""What tests do to a store of messages, in few words."""

from caxton.domain.delivery import Settle
from caxton.domain.message import Message, MessageState, StoredMessage
from caxton.domain.ports.delivery import DeliveryStore

MANY = 10_000


async def add(store: DeliveryStore, message: Message) -> Message:
    """Append one message; what is stored of it."""
    (stored,) = await store.append([message])
    return stored


async def settle(store: DeliveryStore, message_id: str, state: MessageState, reply: Message | None) -> None:
    """The end of a message, with a reply that is kept only."""
    await store.commit([Settle(message_id=message_id, state=state, reply=reply)])


async def accepted_for(store: DeliveryStore, receiver: str) -> list[StoredMessage]:
    """What is accepted for a receiver and not settled, oldest first."""
    claimed = await store.claim(receiver, after=0, limit=MANY)
    return [StoredMessage(message=one.message, state=MessageState.ACCEPTED, attempts=one.attempts) for one in claimed]
