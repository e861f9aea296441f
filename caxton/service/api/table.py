"""The one table of all operations."""

from caxton.service.api import (
    agents,
    bus,
    capabilities,
    contracts,
    conversations,
    dead_letters,
    events,
    memory,
    messages,
    people,
    posting,
    providers,
    server,
    templates,
    tools,
    traces,
)
from caxton.service.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *agents.OPERATIONS,
    *messages.OPERATIONS,
    *traces.OPERATIONS,
    *posting.OPERATIONS,
    *conversations.OPERATIONS,
    *contracts.OPERATIONS,
    *dead_letters.OPERATIONS,
    *events.OPERATIONS,
    *bus.OPERATIONS,
    *capabilities.OPERATIONS,
    *memory.OPERATIONS,
    *people.OPERATIONS,
    *providers.OPERATIONS,
    *tools.OPERATIONS,
    *templates.OPERATIONS,
    *server.OPERATIONS,
)
