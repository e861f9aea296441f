"""What a conversation's length and an agent's memory cost a turn, with a model that answers at once.

Turns are timed through the services, stored as always: the tenth of a conversation against the hundredth, for
each strategy, and turns of an agent that recalls from a thousand entries against turns of one that does not.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import SCRIPTED, quantile
from caxton.domain.agent import MemoryScope
from caxton.domain.settings import EmbedderSettings
from caxton.memory.embedders import embedder
from caxton.service.api.memory import AddMemory
from caxton.service.api.messages import SendMessage
from caxton.wiring import load_server_settings, open_caxton

TALKS, COMPARED, AROUND = 12, (10, 60, 100), 3
"""Conversations for each strategy, and the turns that are compared, each with its neighbours. By the second of them the
window and `max_turns` are full."""
WINDOW = 2000
ENTRIES, TURNS = 1000, 300
STRATEGIES = ("sliding", "summarize", "persist")
RULES = """
[[rules]]
match = "."
reply = "Noted, and well understood."
"""
WORDS = "river stone light paper glass cloud tea milk rain sound garden window".split()  # noqa: SIM905
AGENT = 'name = "{name}"\nsystem_prompt = "You help."\n{more}'
TALKING = "[conversation]\nstrategy = '{strategy}'\ncontext_window = {window}\n"
MINDFULS: dict[str, Any] = {"scope": MemoryScope.AGENT, "owner": "mindful"}
MINDFUL = "[memory]\nenabled = true\nauto_store = false\nrecall_limit = 5\n"


def text(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5, 7, 11)) + f" {number}."


async def timed(messages: Any, agent: str, said: str, conversation: str) -> float:
    """Seconds of one turn."""
    began = time.perf_counter()
    await messages.send(name=agent, body=SendMessage(text=said, conversation_id=conversation))
    return time.perf_counter() - began


async def length(services: Any) -> None:
    for strategy in STRATEGIES:
        waits: dict[int, list[float]] = {turn: [] for turn in COMPARED}
        for talk in range(TALKS):
            for turn in range(max(COMPARED) + AROUND):
                seconds = await timed(services["messages"], strategy, text(turn) * 6, f"{strategy} {talk}")
                for middle, all_ in waits.items():
                    all_ += [seconds] if abs(turn - middle) < AROUND else []
        medians = {turn: statistics.median(all_) * 1e3 for turn, all_ in waits.items()}
        print(f"{strategy:10}", *(f"turn {turn}: {median:.2f} ms  " for turn, median in medians.items()))


async def recall(services: Any) -> None:
    for number in range(ENTRIES):
        await services["memory"].add(body=AddMemory(value=text(number), **MINDFULS))
    model = embedder(EmbedderSettings(), {})
    waits: dict[str, list[float]] = {name: [] for name in ("mindful", "plain", "search", "embed")}
    for turn in range(TURNS):
        for name in ("mindful", "plain"):
            waits[name].append(await timed(services["messages"], name, f"what of {text(turn)}", f"{name} {turn % 50}"))
        said = f"again {text(turn)}"
        began = time.perf_counter()
        await services["memory"].search(text=said, limit=5, **MINDFULS)
        searched = time.perf_counter()
        await model.embed([said])
        waits["search"].append(searched - began)
        waits["embed"].append(time.perf_counter() - searched)
    await model.aclose()
    added = statistics.median(a - b for a, b in zip(waits["mindful"][20:], waits["plain"][20:], strict=True)) * 1e3
    mindful, plain, search, embed = (statistics.median(seconds[20:]) * 1e3 for seconds in waits.values())
    print(f"a turn that recalls from {ENTRIES}: {mindful:.2f} ms, one that does not: {plain:.2f} ms", end="")
    print(f"; pair by pair {added:.2f} ms more")
    print(f"a search: {search:.2f} ms, p99 {quantile(waits['search'][20:], 0.99) * 1e3:.2f} ms", end="")
    print(f"; the embedding of its text alone: {embed:.2f} ms; the rest: {search - embed:.2f} ms")


async def run(folder: Path) -> None:
    (folder / "agents").mkdir()
    agents = {name: TALKING.format(strategy=name, window=WINDOW) for name in STRATEGIES}
    agents |= {"mindful": MINDFUL, "plain": ""}
    for name, more in agents.items():
        (folder / "agents" / f"{name}.toml").write_text(AGENT.format(name=name, more=more))
    (folder / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    (folder / "rules.toml").write_text(RULES)
    flags = {"data_dir": str(folder), "config": str(folder / "caxton.toml")}
    async with open_caxton(load_server_settings(flags=flags, environ={}, cwd=folder)) as caxton:
        await length(caxton.services)
        await recall(caxton.services)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
