"""Every block of the tutorial is run, in order, as a reader would: files are written, commands executed."""

import asyncio
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.server import until
from support.walkthrough import TUTORIAL, Reader, blocks

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


def test_a_dead_letter_is_found_and_delivered_as_written(reader):
    one = reader()
    said = one.walk("dead-letters.md")
    assert "clerk provider_unavailable 1" in said
    assert "Please confirm order 4711." in said
    assert "Replayed: 1." in said
    assert said.count("Dead letters: 1.") == said.count("Dead letters: 0.") == 1


def test_messages_find_their_way_as_written(reader):
    one = reader()
    said = one.walk("routing.md")
    by_version, while_stopped = [json.loads(text)["replies"] for text in one.said if '"accepted":' in text]
    assert by_version[0]["sender"] == "forecaster"
    assert list(by_version[0]["content"]["data"]) == ["summary"]
    assert while_stopped[0]["sender"] == "almanac"
    assert "no other running agent can do 'timetable'" in said
    assert "No agent can do 'timetable', which planner requires." in said
    assert all(f"sent to {name}" in said for name in ("forecaster", "almanac", "planner"))


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


def test_agents_remember_as_written(reader):
    one = reader()
    said = one.walk("memory.md")
    [found] = [text for text in one.said if text.startswith("SCORE")]
    assert "My cat is called Mo" in found
    [trace] = [text for text in one.said if "earlier turns left out" in text]
    assert "- My cat is called Mo and she is orange." in trace
    assert "Exported: 3." in said
    assert "Imported: 3 new." in said
    assert re.search(r"Erased: 1 memories, 0 messages in 0 conversations", said)
    assert (one.home / ".caxton" / "caxton.damaged.db").exists()
    assert re.search(r"entries +2 in 1 spaces", one.said[-1])


def test_conversations_outgrow_their_window_as_written(reader):
    one = reader()
    said = one.walk("context.md")
    [trace] = [text for text in one.said if "earlier turns left out" in text]
    assert "- user: The password of the safe is tulip." in trace
    assert re.search(r"Erased \d+ messages", said)
    assert one.said[-1] == "Nothing was said yet.\n"


def test_agents_compete_as_written(reader):
    one = reader()
    said = one.walk("contract-net.md")
    examples = TUTORIAL.parent / "examples" / "contract-net"
    written = {info: text for language, info, text in blocks("contract-net.md") if language == "toml"}
    assert written == {file.name: file.read_text(encoding="utf-8") for file in examples.glob("*.toml")}
    runs = [text for text in one.said if "AGENT" in text and "SCORE" in text]
    awarded = [re.search(r"(\S+) +performed", text) for text in runs]
    assert [found and found[1] for found in awarded[:2]] == ["cheap-copywriter", "swift-copywriter"]
    assert "The task has none of the words that it bids on." in runs[0]
    assert " → " in runs[2]
    assert "Nobody made a bid that could be taken." in runs[3]
    [answer] = [
        json.loads(text)
        for text in one.said
        if '"task":"Write a slogan for a law firm."' in text and '"bids":[' in text
    ]
    assert [party["agent"] for party in answer["participants"] if party["award"]] == ["legal-copywriter"]
    assert "completed" in said


def test_the_provider_of_the_text_is_short():
    [code] = [text for language, info, text in blocks("writing-a-provider.md") if language == "python" and info]
    assert len(code.splitlines()) <= 60


def test_messages_are_sent_as_written(reader):
    one = reader()
    said = one.walk("messaging.md")
    posted = [json.loads(text) for text in one.said if text.startswith('{"accepted"')]
    assert [reply["performative"] for answer in posted for reply in answer["replies"]] == ["inform"]
    assert "There was nothing to cancel." in said
    [wrong] = [json.loads(text) for text in one.said if "message_not_understood" in text]
    assert [problem["field"] for problem in wrong["problems"]] == ["performative", "priority"]
    assert wrong["not_understood"]["in_reply_to"] == "q1"
    assert "translator: Translates into French. Can do: french" in said
    [tree] = [text for text in one.said if "trace " in text and "secretary" in text]
    assert "capability:french" in tree or "translator" in tree
    assert "messaging.ask" in tree


def test_the_use_of_tools_works_as_written(reader):
    one = reader()
    said = one.walk("tools.md")
    for told in "files.read_file", "memory.recall", "63", "allow: The agent 'my-clerk'", "deny: The agent 'my-clerk'":
        assert told in said
    # Twice by hand, and then the agent's reply.
    assert sum("Friday" in text for text in one.said) == 3


def test_the_tool_server_of_the_text_works_as_written(reader):
    one = reader()
    said = one.walk("writing-an-mcp-server.md")
    [rolled] = [text for text in one.said if text.strip() and set(text.split()) <= {"1", "2"}]
    assert len(rolled.split()) == 3
    assert "sides" in said
    [code] = [text for language, info, text in blocks("writing-an-mcp-server.md") if language == "python" and info]
    assert len(code.splitlines()) <= 25


def test_several_agents_talk_as_written(reader):
    one = reader()
    said = one.walk("conversations.md")
    first = next(text for text in one.said if text.startswith("researcher\n"))
    assert [line for line in first.splitlines() if line in ("researcher", "writer", "reviewer")] == [
        "researcher",
        "writer",
        "reviewer",
    ]
    [trace] = [text for text in one.said if "earlier turns left out" in text]
    assert "You are in a conversation with researcher (collects facts about a topic), writer" in trace
    assert re.search(r"user +ada: The topic is tea\.\n\n? +researcher: ", trace)
    assert "event: replies" in said
    assert "report is open." in said
    assert "report" not in one.said[-1]


def test_what_goes_on_is_seen_as_written(reader):
    one = reader()
    said = one.walk("observing.md")
    tree, traced = [text for text in one.said if "in all" in text]
    assert [re.split(r"[:\[]", line)[0].strip() for line in tree.splitlines()[:5]] == [
        "request user → clerk",
        "├─ request clerk → echo (capability",
        "│  └─ inform echo → clerk",
        "├─ tool messaging.ask",
        "└─ inform clerk → user",
    ]
    assert "trace 4bf92f3577b34da6a3ce929d0e0e4736: " in traced
    assert "earlier turns left out" in said
    [figures] = [json.loads(text) for text in one.said if '"arrivals"' in text]
    assert (figures["total"]["settled"], figures["total"]["buried"]) == (2, 0)
    [live] = [text for text in one.said if re.search(r"^\d\d:\d\d:\d\d ", text, re.M)]
    assert re.findall(r"^\S+ (\w+)", live, re.M) == ["accepted", "started", "settled"]
    [streamed] = [text for text in one.said if "event: message" in text]
    assert streamed.startswith("event: open") or streamed.startswith("id: ")
    assert "open\nopen\nstarted Good night\nsettled Good night\n" in said
