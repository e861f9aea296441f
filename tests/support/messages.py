"""Messages and agents' records as tests need them."""

from itertools import count
from typing import Any

import msgspec

from caxton.domain.agent import AgentRecord, DesiredState, Source
from caxton.domain.message import Message, MessageState, Performative, StoredMessage

_number = count(1)


def a_request(text: str = "Hello", *, agent: str = "helper", **fields: Any) -> Message:
    """A request to `agent`, one second younger than the one made before it."""
    number = next(_number)
    request = Message(
        id=f"m{number:06}",
        performative=Performative.REQUEST,
        sender="user",
        receiver=agent,
        conversation_id=f"user:{agent}",
        created_at=1_800_000_000.0 + number,
        content={"text": text},
    )
    return msgspec.structs.replace(request, **fields)


def an_answer(request: Message, text: str = "Hi", **fields: Any) -> Message:
    """What the receiver of `request` informs its sender of."""
    answer = a_request(
        text,
        performative=Performative.INFORM,
        sender=request.receiver,
        receiver=request.sender,
        conversation_id=request.conversation_id,
        in_reply_to=request.id,
    )
    return msgspec.structs.replace(answer, **fields)


def a_refusal(request: Message) -> Message:
    """The failure that answers `request`."""
    return an_answer(request, performative=Performative.FAILURE, content={"error": {"code": "internal"}})


def texts(stored: list[StoredMessage]) -> list[str]:
    return [one.message.text for one in stored]


def accepted(message: Message, attempts: int = 0) -> StoredMessage:
    """`message` as a store holds it before it is settled."""
    return StoredMessage(message=message, state=MessageState.ACCEPTED, attempts=attempts)


def a_record(name: str = "helper", **fields: Any) -> AgentRecord:
    record = AgentRecord(
        id=f"id-of-{name}",
        name=name,
        desired=DesiredState.RUNNING,
        source=Source(path=f"/agents/{name}.toml", text=f'name = "{name}"\n'),
        created_at=1_800_000_000.5,
    )
    return msgspec.structs.replace(record, **fields)
