"""Questions to language models, and the errors that end them."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any

import pytest

from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, Delta, Role
from caxton.domain.errors import ProviderError
from caxton.domain.ports.provider import Provider, Streams

DEADLINE = 30.0
"""Seconds that a test waits for a model or a process at most."""


def asks(text: str = "Say hello.", **fields: Any) -> CompletionRequest:
    """A request with a short answer, always the same one."""
    messages = (ChatMessage(Role.SYSTEM, "You are brief."), ChatMessage(Role.USER, text))
    return CompletionRequest(messages=messages, **{"temperature": 0.0, "seed": 1, "max_tokens": 8, **fields})


async def answer(provider: Provider, request: CompletionRequest) -> Completion:
    async with asyncio.timeout(DEADLINE):
        return await provider.complete(request)


async def pieces_of(provider: Streams, request: CompletionRequest) -> list[Delta | Completion]:
    """All that a stream yields."""
    async with asyncio.timeout(DEADLINE), aclosing(provider.stream(request)) as pieces:
        return [piece async for piece in pieces]


async def failure(work: Awaitable[Any]) -> ProviderError:
    """The error that an awaitable ends with, by the deadline."""
    with pytest.raises(ProviderError) as raised:
        async with asyncio.timeout(DEADLINE):
            await work
    return raised.value
