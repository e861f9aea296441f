"""Answers of bounded size: whatever a server sends, only so much of it reaches the memory."""

from collections.abc import AsyncIterator

import httpx2

from caxton.domain.errors import Code, ProviderError

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of one answer; what goes on beyond is cut off."""
LARGEST_ENCODED = 256 * 1024
"""Bytes of a compressed answer, which grows a thousandfold at worst. We ask for plain ones; few servers insist."""


async def bound(response: httpx2.Response) -> None:
    """A hook for responses: reading on beyond the limit raises ProviderError `provider_malformed`."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - true of every asynchronous client's
    limit = LARGEST_ENCODED if "content-encoding" in response.headers else LARGEST_ANSWER
    response.stream = BoundedStream(response.stream, limit)


class BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
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
