"""Endpoints over TLS whose certificate nobody vouches for, or that is another's."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme
from support.completions import asks, failure

from caxton.domain.errors import Code

Start = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def endpoint(authority) -> AsyncIterator[Start]:
    """Starts a server with a certificate for a name, that never gets as far as to answer; its URL."""
    servers = []

    async def start(name: str) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        servers.append(await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context))
        return f"https://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/v1"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_a_certificate_that_nobody_vouches_for_is_refused_and_named(endpoint, made, key):
    error = await failure(made(await endpoint("127.0.0.1")).complete(asks()))
    assert error.code is Code.PROVIDER_UNAVAILABLE
    assert "certificate" in error.why.lower()
    assert key not in f"{error} {error.why} {error.hint}"


async def test_a_certificate_of_another_name_is_refused_and_named(endpoint, made, authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    error = await failure(made(await endpoint("other.example")).complete(asks()))
    assert error.code is Code.PROVIDER_UNAVAILABLE
    assert "127.0.0.1" in error.why
