"""Caxton put together, on a directory of its own, with the scripted model."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.settings import ProviderSettings, ServerSettings
from caxton.service.api.agents import DefinitionText
from caxton.service.api.messages import SendMessage
from caxton.service.api.table import OPERATIONS
from caxton.testing.clock import FakeClock
from caxton.wiring import load_server_settings, open_caxton, provider_kinds, server_url

DEADLINE = 20.0
HELPER = 'name = "helper"\nsystem_prompt = "You help."\n'


@pytest.fixture
def settings(tmp_path):
    return ServerSettings(
        data_dir=tmp_path / "data",
        agents_dir=tmp_path / "data" / "agents",
        default_provider="scripted",
        drain_timeout=0.2,
        providers={"scripted": ProviderSettings(name="scripted", kind="scripted")},
    )


@asynccontextmanager
async def opened(settings, **more):
    """The services of a running Caxton."""
    async with asyncio.timeout(DEADLINE), open_caxton(settings, **more) as caxton:
        yield caxton.services


async def told(settings):
    """The CaxtonError that opening ends with."""
    with pytest.raises(CaxtonError) as caught:
        async with opened(settings):
            pass
    return caught.value


async def until(happened, what):
    """What `happened` says as soon as that is true; the watcher tells of files when it will."""
    try:
        async with asyncio.timeout(DEADLINE / 2):
            while not (value := await happened()):
                await asyncio.sleep(0.005)
            return value
    except TimeoutError:
        raise AssertionError(f"{what} did not happen in time") from None


async def names(services):
    return [agent.name for agent in (await services["agents"].list()).agents]


async def ask(services, text, name="helper"):
    return await services["messages"].send(name=name, body=SendMessage(text=text))


async def test_every_operation_has_its_method(settings):
    async with opened(settings) as services:
        for operation in OPERATIONS:
            service = services[operation.noun]
            assert callable(getattr(service, operation.verb)), operation.name
            assert not operation.streams or callable(service.stream)


async def test_an_empty_directory_becomes_a_server_that_is_ready(settings):
    async with opened(settings) as services:
        assert settings.agents_dir.is_dir()
        readiness = await services["server"].ready()
        assert readiness.ready
        assert {part.name: part.status for part in readiness.components} == {
            "capabilities": "ok",
            "database": "ok",
            "agents": "ok",
            "memory": "ok",
        }
        assert await names(services) == []


async def test_agents_answer_and_all_is_there_again_the_next_time(settings):
    async with opened(settings) as services:
        before = await services["agents"].create(body=DefinitionText(toml=HELPER))
        first = await ask(services, "Hello")
    async with opened(settings) as services:
        assert (await services["agents"].show(name="helper")).id == before.id
        second = await ask(services, "Again")
        trace = await services["messages"].trace(id=second.in_reply_to)
        assert [message.content for message in trace.prompt] == ["You help.", "Hello", first.text, "Again"]


async def test_files_are_followed(settings):
    async with opened(settings) as services:
        path = settings.agents_dir / "helper.toml"
        path.write_text(HELPER)
        await until(lambda: has(services, "helper"), "the new agent")
        path.write_text(HELPER.replace("help", "sing"))

        async def sings():
            # The name has changed with the prompt.
            return await has(services, "singer")

        await until(sings, "the change")
        await until(lambda: lacks(services, "helper"), "the end of the old name")
        path.write_text("name = ")

        async def rejected():
            return (await services["agents"].show(name="singer")).last_reload.outcome == "rejected"

        await until(rejected, "the rejection")
        assert (await ask(services, "Hello", "singer")).text == "echo: Hello"
        path.unlink()
        await until(lambda: lacks(services, "singer"), "the end of the agent")


async def has(services, name):
    return name in await names(services)


async def lacks(services, name):
    return name not in await names(services)


async def test_a_file_deleted_just_before_the_end_leaves_nothing_under_way(settings):
    settings.agents_dir.mkdir(parents=True)
    path = settings.agents_dir / "helper.toml"
    path.write_text(HELPER)
    async with opened(settings, clock=FakeClock()) as services:
        assert await names(services) == ["helper"]
        path.unlink()

        async def noticed():
            return any(task.get_name().startswith("grace for") for task in asyncio.all_tasks())

        await until(noticed, "the notice")
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with opened(settings) as services:
        assert await names(services) == []


async def test_the_end_waits_for_no_turn_longer_than_it_may_and_the_next_server_answers_it(settings, tmp_path):
    script = tmp_path / "rules.toml"
    script.write_text('[[rules]]\nmatch = "^slow"\ndelay = 600.0\n')
    slow = ServerSettings(
        data_dir=settings.data_dir,
        agents_dir=settings.agents_dir,
        default_provider="scripted",
        drain_timeout=0.05,
        providers={"scripted": ProviderSettings(name="scripted", kind="scripted", script=script)},
    )
    async with opened(slow) as services:
        await services["agents"].create(body=DefinitionText(toml=HELPER))
        asking = asyncio.create_task(ask(services, "slow"))

        async def at_it():
            return (await services["agents"].show(name="helper")).activity.active_turns

        await until(at_it, "the turn")
        # Deleted in the middle of it: neither keeps the other from ending.
        deleting = asyncio.create_task(services["agents"].delete(name="helper"))

        async def draining():
            return (await services["agents"].show(name="helper")).state == "draining"

        await until(draining, "the draining")
    outcomes = await asyncio.gather(asking, deleting, return_exceptions=True)
    assert [getattr(error, "code", error) for error in outcomes] == [Code.SERVER_STOPPING] * 2
    async with opened(settings) as services:
        await services["agents"].create(body=DefinitionText(toml=HELPER))

        async def answered():
            page = await services["messages"].list(name="helper")
            return [message.text for message in page.messages] == ["echo: slow", "slow"]

        await until(answered, "the late answer")


class TestTrouble:
    async def test_a_damaged_database_is_told_and_left_alone(self, settings):
        settings.data_dir.mkdir()
        settings.database.write_bytes(b"this is no database, and long enough to be looked at " * 100)
        before = settings.database.read_bytes()
        error = await told(settings)
        assert error.code is Code.STORAGE_FAILED
        assert str(settings.database) in error.message
        assert settings.database.read_bytes() == before

    async def test_a_data_directory_that_cannot_be_is_named_with_the_way_out(self, settings):
        settings.data_dir.write_text("a file in the way")
        error = await told(settings)
        assert error.code is Code.STORAGE_FAILED
        assert str(settings.data_dir) in error.message
        assert "--data-dir" in error.hint

    @pytest.mark.skipif(sys.platform == "win32", reason="permissions of directories are another matter on Windows")
    async def test_a_data_directory_that_cannot_be_written_is_told(self, settings):
        settings.data_dir.mkdir(mode=0o500)
        try:
            (settings.data_dir / "probe").touch()
        except PermissionError:
            error = await told(settings)
            assert error.code is Code.STORAGE_FAILED
            assert "--data-dir" in error.hint
        else:
            pytest.skip("the superuser may write everywhere")

    async def test_an_agents_directory_that_cannot_be_is_named_and_everything_closed(self, settings):
        settings.data_dir.mkdir()
        settings.agents_dir.write_text("a file in the way")
        error = await told(settings)
        assert error.code is Code.STORAGE_FAILED
        assert "--agents-dir" in error.hint
        settings.agents_dir.unlink()
        async with opened(settings) as services:
            assert (await services["server"].ready()).ready

    async def test_a_second_server_on_the_data_directory_is_refused_and_the_first_goes_on(self, settings):
        async with opened(settings) as services:
            await services["agents"].create(body=DefinitionText(toml=HELPER))
            error = await told(settings)
            assert error.code is Code.STORAGE_FAILED
            assert "Another Caxton server" in error.message
            assert (await ask(services, "Hello")).text == "echo: Hello"
        async with opened(settings) as services:
            assert await names(services) == ["helper"]

    async def test_a_database_that_fails_while_running_is_not_ready(self, settings):
        async with opened(settings) as services:
            server = services["server"]
            assert (await server.ready()).ready
        readiness = await server.ready()
        assert not readiness.ready
        (database, *_) = readiness.components
        assert (database.name, database.status) == ("database", "failed")
        assert "is closed" in database.detail

    async def test_what_goes_wrong_within_leaves_as_it_is_and_closes_everything(self, settings):
        with pytest.raises(BaseExceptionGroup) as caught:
            async with opened(settings):
                raise ZeroDivisionError("on purpose")
        assert caught.value.split(ZeroDivisionError)[1] is None
        async with opened(settings):
            pass


class TestSettings:
    def test_all_sources_make_one_whole(self, tmp_path):
        (tmp_path / "caxton.toml").write_text("[server]\nport = 9001\nlog_level = 'debug'\n")
        environ = {"CAXTON_DATA_DIR": str(tmp_path / "data"), "CAXTON_LOG_LEVEL": "error"}
        settings = load_server_settings(flags={"port": "9002"}, environ=environ, cwd=tmp_path)
        assert (settings.port, settings.log_level, settings.data_dir) == (9002, "error", tmp_path / "data")
        assert server_url(settings) == "http://127.0.0.1:9002"

    def test_every_kind_of_provider_may_be_configured(self, tmp_path):
        for kind in provider_kinds():
            (tmp_path / "caxton.toml").write_text(f'[providers.mine]\nkind = "{kind}"\n')
            settings = load_server_settings(flags={}, environ={}, cwd=tmp_path)
            assert settings.providers["mine"].kind == kind

    def test_what_is_wrong_is_told_whole(self, tmp_path):
        (tmp_path / "caxton.toml").write_text("[server]\nprot = 1\nport = 'x'\n")
        with pytest.raises(ConfigurationError) as caught:
            load_server_settings(flags={}, environ={}, cwd=tmp_path)
        assert [Path(problem.file).name for problem in caught.value.diagnostics] == ["caxton.toml"] * 2
