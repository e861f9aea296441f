"""Addresses: to whom a message may be sent.

researcher                an agent, or whoever is known to the bus by that name
capability:charts         one of the agents that can do it; `capability:charts:v2` only in that version
group:ID                  everybody who takes part in the conversation of that id, but for the sender
all                       every agent that runs, but for the sender
"""

from enum import StrEnum
from typing import NamedTuple

EVERYBODY = "all"
SEPARATOR = ":"


class AddressKind(StrEnum):
    AGENT = "agent"
    CAPABILITY = "capability"
    GROUP = "group"
    ALL = "all"


class Address(NamedTuple):
    """An address, read. `name` is the agent, the capability (with its version, if any) or the conversation."""

    kind: AddressKind
    name: str

    @property
    def is_one(self) -> bool:
        """Whether what is sent there reaches one receiver."""
        return self.kind in (AddressKind.AGENT, AddressKind.CAPABILITY)


def read_address(text: str) -> Address:
    """Whom an address means. What has no known prefix is a name: those of people may have any form."""
    if text == EVERYBODY:
        return Address(AddressKind.ALL, "")
    prefix, _, name = text.partition(SEPARATOR)
    if name and prefix in (AddressKind.CAPABILITY, AddressKind.GROUP):
        return Address(AddressKind(prefix), name)
    return Address(AddressKind.AGENT, text)


def capability_address(capability: str) -> str:
    return f"{AddressKind.CAPABILITY}{SEPARATOR}{capability}"


def group_address(conversation_id: str) -> str:
    return f"{AddressKind.GROUP}{SEPARATOR}{conversation_id}"
