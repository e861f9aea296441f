"""The application over services that answer as the test says, without a socket and with one."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support.http import REPLY, FakeService, Wire

from caxton.domain.settings import ServerSettings
from caxton.server.app import create_app
from caxton.service.api.table import OPERATIONS

LARGEST = 4096
"""Bytes that a request body may have in these tests."""


@pytest.fixture
def largest() -> int:
    return LARGEST


@pytest.fixture
def services() -> Mapping[str, FakeService]:
    made = {operation.noun: FakeService() for operation in OPERATIONS}
    made["messages"].answers["send"] = REPLY
    return made


@pytest.fixture
def messages(services: Mapping[str, FakeService]) -> FakeService:
    return services["messages"]


@pytest.fixture
def agents(services: Mapping[str, FakeService]) -> FakeService:
    return services["agents"]


@pytest.fixture
def app(services: Mapping[str, FakeService], tmp_path: Path) -> Starlette:
    settings = ServerSettings(data_dir=tmp_path, agents_dir=tmp_path / "agents", max_body_bytes=LARGEST)
    return create_app(SimpleNamespace(settings=settings, services=services))


@pytest.fixture
def http(app: Starlette) -> TestClient:
    """A client of the application. What the application did not handle is the 500 that a server makes of it."""
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


def serve(app: Starlette) -> tuple[Wire, Coroutine[Any, Any, None]]:
    """A server on a socket that listens already, and what runs it until `server.should_exit`."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    return Wire(listener.getsockname()[1], server), server.serve(sockets=[listener])


@pytest.fixture
async def wire(app: Starlette) -> AsyncIterator[Wire]:
    """The application on a socket, in the loop of the test."""
    wire, serving = serve(app)
    task = asyncio.create_task(serving)
    yield wire
    wire.server.should_exit = True
    await asyncio.wait_for(task, 10)


@pytest.fixture
def wire_in_thread(app: Starlette) -> Iterator[Wire]:
    """The application on a socket, in a thread, for clients that block."""
    wire, serving = serve(app)
    thread = threading.Thread(target=asyncio.run, args=(serving,))
    thread.start()
    yield wire
    wire.server.should_exit = True
    thread.join(10)
