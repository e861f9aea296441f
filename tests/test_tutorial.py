"""Every block of the tutorial is run, in order, as a reader would: files are written, commands executed."""

import asyncio
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.server import until
from support.walkthrough import Reader, blocks

from caxton.domain.settings import ProviderSettings
from caxton.providers.local import LocalProvider
from caxton.providers.local_process import ModelProcess, start_model


@pytest.fixture
def reader(tmp_path) -> Iterator[Callable[..., Reader]]:
    """Makes readers, whose servers are stopped at the end."""
    readers: list[Reader] = []

    def make(elsewhere: dict[str, str] | None = None, **environ: str) -> Reader:
        readers.append(Reader(tmp_path, elsewhere, **environ))
        return readers[-1]

    yield make
    for one in readers:
        one.leave()


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Iterator[ModelProcess]:
    """What the text has on port 8081: llama.cpp's own server, with the embedded weights."""
    folder = tmp_path_factory.mktemp("llama")
    weights = LocalProvider(ProviderSettings(name="x", kind="local"), environ={}, data_dir=folder)._path()
    task = {"model_path": str(weights), "model": "smol", "context_length": 2048, "parallel": 2, "threads": 1}
    with asyncio.Runner() as runner:
        process = runner.run(start_model(task, folder / "llama.log"))
        yield process
        runner.run(process.stop())


def test_the_first_agent_works_as_written(reader):
    one = reader()

    def reloaded(file: Path, text: str) -> None:
        if file.parent != one.home:
            word = "pirate" if "Arrr" in text else "temprature"
            until(lambda: word in one.run("caxton", "agent", "show", "my-agent", "--output", "json"), "the reload")

    assert len(blocks("first-agent.md")) > 15
    said = one.walk("first-agent.md", reloaded)
    assert "my-agent" in said
    assert "event: reply" in said
    assert "Did you mean 'temperature'?" in said
    assert not (one.home / ".caxton" / "server.pid").exists()


def test_the_choice_of_a_provider_works_as_written(reader, llama):
    one = reader({"http://localhost:8081": llama.url}, LLAMA_KEY=llama.key)
    said = one.walk("providers.md")
    assert "local answers: the first token after" in said
    assert "llama answers: the first token after" in said
    [reply] = [json.loads(text) for text in one.said if '"in_reply_to"' in text and "my-helper" in text]
    assert (reply["provider"], reply["model"], reply["fallbacks"]) == ("llama", "smol", [])
    [extracted] = [json.loads(text) for text in one.said if '"in_reply_to"' in text and "my-extractor" in text]
    assert list(extracted["data"]) == ["city"]
    assert "daily_tokens 500000" in said
    assert re.search(r"today +\d+ tokens, \$0\.00\d\d and 1 of unknown price", said)
    assert llama.key not in said


def test_the_provider_of_the_text_works_as_written(reader, llama, tmp_path):
    # Installed as pip would: beside the module what the package says of itself.
    site = tmp_path / "site"
    info = site / "caxton_llama-0.1.0.dist-info"
    info.mkdir(parents=True)
    one = reader({"http://localhost:8081": llama.url}, LLAMA_KEY=llama.key, PYTHONPATH=str(site))

    def install(file: Path, text: str) -> None:
        if file.name == "caxton_llama.py":
            file.rename(site / file.name)
        elif file.name == "pyproject.toml":
            project = tomllib.loads(text)["project"]
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
            [(group, entries)] = project["entry-points"].items()
            lines = [f"{name} = {place}" for name, place in entries.items()]
            (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))

    (tmp_path / ".caxton").mkdir()
    said = one.walk("writing-a-provider.md", install)
    assert "mine answers: the first token after" in said
    [reply] = [json.loads(text) for text in one.said if '"in_reply_to"' in text]
    assert (reply["provider"], reply["model"], reply["fallbacks"]) == ("mine", "smol", [])
    assert 0 < reply["usage"]["completion_tokens"] <= 20
    assert "mine" in said.rpartition("PROVIDER")[2]


def test_the_provider_of_the_text_is_short():
    [code] = [text for language, info, text in blocks("writing-a-provider.md") if language == "python" and info]
    assert len(code.splitlines()) <= 60
