"""The OpenAI wire, imported in a thread when it is first needed: only who needs it waits for the import."""

import asyncio
from importlib import import_module
from typing import Any, Protocol

from caxton.domain.ports.provider import Closes, Provider, Streams


class Wire(Provider, Streams, Closes, Protocol):
    """What `openai_wire.OpenAIWire` is to those who use it; `client` is the official client itself."""

    client: Any


async def open_wire(**options: Any) -> Wire:
    """An `OpenAIWire` made with these arguments."""

    def make() -> Wire:
        wire: Wire = import_module("caxton.providers.openai_wire").OpenAIWire(**options)
        return wire

    return await asyncio.to_thread(make)
