"""Answers of bounded size: whatever a server sends, only so much of it reaches the memory."""

from collections.abc import AsyncIterator
from typing import Protocol

import httpx2

from caxton.domain.errors import Code, ProviderError

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of one answer; what goes on beyond is cut off."""
LARGEST_ENCODED = 256 * 1024
"""Bytes of a compressed answer, which grows a thousandfold at worst. We ask for plain ones; few servers insist."""
LIMITS = {"": LARGEST_ANSWER, "identity": LARGEST_ANSWER, "gzip": LARGEST_ENCODED, "deflate": LARGEST_ENCODED}
"""By content encoding. Others, and one put upon another, grow without a bound worth the name."""


class ByteStream(Protocol):
    """A body under way. Both generations of the HTTP client have such a class of their own, and ask for theirs."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


def limit_for(encoding: str) -> int:
    """Bytes of an answer with this content encoding; ProviderError `provider_malformed` for one without a bound."""
    limit = LIMITS.get(encoding.strip().lower())
    if limit is None:
        raise ProviderError(
            Code.PROVIDER_MALFORMED, f"The provider's answer has the content encoding {encoding!r}; we asked for none."
        )
    return limit


async def bound(response: httpx2.Response) -> None:
    """A hook for responses: reading on beyond the limit raises ProviderError `provider_malformed`."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - true of every asynchronous client's
    response.stream = BoundedStream(response.stream, limit_for(response.headers.get("content-encoding", "")))


class Bounded:
    """A response's bytes as they come, up to `limit` of them."""

    def __init__(self, stream: ByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for part in self._stream:
            taken += len(part)
            if taken > self._limit:
                raise ProviderError(
                    Code.PROVIDER_MALFORMED,
                    f"The provider's answer was cut off: it is larger than {self._limit} bytes.",
                )
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class BoundedStream(Bounded, httpx2.AsyncByteStream):
    """The stream as the newer client takes it."""
