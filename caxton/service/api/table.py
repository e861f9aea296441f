"""The one table of all operations."""

from caxton.service.api import agents, conversations, memory, messages, people, providers, server, templates, tools
from caxton.service.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *agents.OPERATIONS,
    *messages.OPERATIONS,
    *conversations.OPERATIONS,
    *memory.OPERATIONS,
    *people.OPERATIONS,
    *providers.OPERATIONS,
    *tools.OPERATIONS,
    *templates.OPERATIONS,
    *server.OPERATIONS,
)
