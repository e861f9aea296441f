"""What is to happen together."""

from typing import Any

from caxton.domain.delivery import Change, Remember, Send, Settle
from caxton.domain.message import Message, MessageState


class Draft:
    """Implements `ports.bus.Transaction`: collects changes, in their order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def send(self, message: Message) -> None:
        self.changes.append(Send(message))

    def settle(self, request: Message, state: MessageState, reply: Message | None = None) -> None:
        self.changes.append(Settle(message_id=request.id, state=state, reply=reply))

    def remember(self, agent: str, key: str, value: Any) -> None:
        self.changes.append(Remember(agent=agent, key=key, value=value))
