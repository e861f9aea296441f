"""Wires, imported in a thread when they are first needed: only who needs one waits for the import of its client."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, Protocol

from caxton.domain.errors import Code, ProviderError
from caxton.domain.ports.provider import Closes, ListsModels, Provider, Streams


class Wire(Provider, Streams, ListsModels, Closes, Protocol):
    """What a `chat_wire.ChatWire` is to those who use it; `client` is the official client itself."""

    client: Any


async def open_wire(place: str = "caxton.providers.openai_wire:OpenAIWire", **options: Any) -> Wire:
    """The wire at that place (module and class), made with these arguments."""

    def make() -> Wire:
        module, _, name = place.partition(":")
        wire: Wire = getattr(import_module(module), name)(**options)
        return wire

    return await asyncio.to_thread(make)


class LazyWire:
    """A wire that `opens` makes when it is first asked for, and again if that failed. `name` is the provider's."""

    def __init__(self, name: str, opens: Callable[[], Coroutine[Any, Any, Wire]]) -> None:
        self._name = name
        self._opens = opens
        self._wire: asyncio.Task[Wire] | None = None
        self._closed = False

    def warm(self) -> None:
        """Begin to open it, which needs a running event loop; harmless when repeated."""
        if self._closed or (self._wire and not (self._wire.done() and self._wire.exception())):
            return
        self._wire = asyncio.create_task(self._opens())
        # Nobody may be waiting for it; who comes later opens it anew.
        self._wire.add_done_callback(lambda opening: opening.cancelled() or opening.exception())

    async def get(self) -> Wire:
        """The wire, or what kept `opens` from making it. ProviderError `provider_unavailable` once it is closed."""
        self._check_open()
        self.warm()
        assert self._wire is not None  # noqa: S101 - warm made it
        # Shielded: whoever stops waiting must not take the wire from those who wait too.
        wire = await asyncio.shield(self._wire)
        self._check_open()
        return wire

    async def aclose(self) -> None:
        self._closed = True
        if self._wire is None:
            return
        await asyncio.wait([self._wire])
        if not self._wire.exception():
            await self._wire.result().aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ProviderError(Code.PROVIDER_UNAVAILABLE, f"Provider {self._name!r} was closed.")
