"""Providers are made when first asked for, once, and closed at the end."""

import asyncio
from contextlib import suppress
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.settings import ProviderSettings, ServerSettings
from caxton.providers import kinds
from caxton.providers.kinds import KINDS, provider_kind, provider_kinds
from caxton.providers.local import LocalProvider
from caxton.providers.openai import OpenAIProvider
from caxton.providers.registry import open_providers
from caxton.testing.scripted import ScriptedProvider


class Recorded:
    """A provider that remembers what was done to it."""

    made: list["Recorded"] = []

    def __init__(self, settings, *, environ, data_dir):
        self.settings, self.environ, self.data_dir = settings, environ, data_dir
        self.warmed = self.closed = 0
        Recorded.made.append(self)

    async def complete(self, request):
        raise NotImplementedError

    def warm(self):
        self.warmed += 1

    async def aclose(self):
        self.closed += 1


class Fleeting(Recorded):
    """One that breaks when it is closed."""

    async def aclose(self):
        await super().aclose()
        raise RuntimeError("on purpose")


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    providers = {
        name: ProviderSettings(name=name, kind=kind)
        for name, kind in [("echo", "scripted"), ("first", "recorded"), ("second", "fleeting"), ("odd", "unheard-of")]
    }
    return ServerSettings(data_dir=tmp_path, agents_dir=tmp_path, default_provider="echo", providers=providers)


@pytest.fixture(autouse=True)
def installed(monkeypatch) -> None:
    """The kinds that packages have added."""
    monkeypatch.setattr(Recorded, "made", [])
    places = {
        "recorded": f"{__name__}:Recorded",
        "fleeting": f"{__name__}:Fleeting",
        "openai": f"{__name__}:Recorded",
        "absent": "a_package_that_nobody_has:Provider",
        "partial": f"{__name__}:Absent",
    }
    entries = [EntryPoint(name, place, kinds.ENTRY_POINTS) for name, place in places.items()]
    monkeypatch.setattr(kinds, "entry_points", lambda **wanted: EntryPoints(entries).select(**wanted))


async def test_a_provider_is_made_once_when_first_asked_for(settings):
    async with open_providers(settings, {"A": "b"}) as providers:
        assert list(providers.names()) == ["echo", "first", "second", "odd"]
        assert providers.default == "echo"
        assert not Recorded.made
        provider = providers.get("first")
        assert providers.get("first") is provider
        assert Recorded.made == [provider]
        assert provider.settings is settings.providers["first"]
        assert (provider.environ, provider.data_dir) == ({"A": "b"}, settings.data_dir)


async def test_all_that_were_made_are_closed_even_when_one_breaks(settings):
    with pytest.raises(RuntimeError, match="on purpose"):
        async with open_providers(settings) as providers:
            made = [providers.get("first"), providers.get("second")]
    assert [provider.closed for provider in made] == [1, 1]


async def test_a_name_that_is_not_configured_is_told_with_the_nearest(settings):
    async with open_providers(settings) as providers:
        with pytest.raises(CaxtonError) as raised:
            providers.get("frist")
        assert raised.value.code is Code.PROVIDER_UNKNOWN
        assert "'frist'" in raised.value.message
        assert "'first'" in raised.value.hint
        with pytest.raises(CaxtonError) as raised:
            providers.get("zzzzzz")
        assert raised.value.hint


async def test_a_kind_that_is_none_is_told_with_those_there_are(settings):
    async with open_providers(settings) as providers:
        with pytest.raises(CaxtonError) as raised:
            providers.get("odd")
        assert raised.value.code is Code.PROVIDER_UNKNOWN
        assert "'unheard-of'" in raised.value.message
        assert all(name in raised.value.message for name in ("local", "openai", "recorded"))


async def test_warming_reaches_those_that_can_be_warmed(settings):
    async with open_providers(settings) as providers:
        providers.warm("echo")
        providers.warm("first")
        assert providers.get("first").warmed == 1


async def test_health_is_of_those_in_use(settings):
    local = {"local": ProviderSettings(name="local", kind="local")}
    used = ServerSettings(data_dir=settings.data_dir, agents_dir=settings.data_dir, providers={**local})
    async with open_providers(used) as providers:
        assert providers.health() == []
        providers.get("local")
        assert [component.name for component in providers.health()] == ["provider local"]


def test_our_kinds_are_there_and_go_before_installed_ones_of_the_same_name():
    names = provider_kinds()
    assert len(names) == len(set(names))
    assert {*KINDS, "recorded"} <= set(names)
    assert provider_kind("openai") is OpenAIProvider
    assert provider_kind("local") is LocalProvider
    assert provider_kind("scripted") is ScriptedProvider
    assert provider_kind("recorded") is Recorded


@pytest.mark.parametrize("name", ["absent", "partial"])
def test_an_installed_kind_that_cannot_be_imported_is_told_with_its_package(name):
    with pytest.raises(CaxtonError) as raised:
        provider_kind(name)
    assert raised.value.code is Code.PROVIDER_UNAVAILABLE
    assert repr(name) in raised.value.message
    assert raised.value.why
    assert "Install" in raised.value.hint


class Slow(Recorded):
    """One whose making takes until another thread asks for it too."""

    asked = Barrier(2)

    def __init__(self, settings, *, environ, data_dir):
        super().__init__(settings, environ=environ, data_dir=data_dir)
        with suppress(BrokenBarrierError):
            Slow.asked.wait(0.2)


async def test_two_threads_that_ask_at_once_have_one_provider(settings, monkeypatch):
    monkeypatch.setitem(KINDS, "recorded", f"{__name__}:Slow")
    async with open_providers(settings) as providers:
        first, second = await asyncio.gather(*(asyncio.to_thread(providers.get, "first") for _ in range(2)))
        assert first is second
    assert [one.closed for one in Recorded.made] == [1]
