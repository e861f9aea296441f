"""Killed without warning, a memory holds what it acknowledged, and its parts agree.

CAXTON_KILL_ROUNDS sets how many times; CAXTON_KILL_SECONDS how long at most before each.
"""

import asyncio
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryQuery, SearchMode
from caxton.memory.integrity import disagreements
from caxton.memory.sqlite import open_sqlite_memory
from caxton.memory.tables import Tables
from caxton.storage.database import open_database
from caxton.testing.embedder import WordEmbedder

ROUNDS = int(os.environ.get("CAXTON_KILL_ROUNDS", "10"))
SECONDS = float(os.environ.get("CAXTON_KILL_SECONDS", "0.6"))
AT_ONCE = 50
STARTED = 60.0
"""Seconds in which a process has acknowledged something."""


def run_and_kill(path: Path, seed: int, after: float) -> list[str]:
    """The whole lines that a process printed until it was killed, some time after its first one."""
    command = [sys.executable, str(Path(__file__).parent / "killed.py"), str(path), str(seed), str(AT_ONCE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        deadline = threading.Timer(STARTED, process.kill)
        deadline.start()
        first = process.stdout.readline()
        deadline.cancel()
        threading.Timer(after, process.kill).start()
        rest = process.stdout.read()
    lines = (first + rest).decode().split("\n")
    assert len(lines) > 1, "the process ended before it acknowledged anything"
    return lines[:-1]


async def state(path: Path) -> dict[str, str]:
    """Every entry by its id, after a look whether everything agrees and everything is found."""
    clock = SystemClock()
    async with open_database(path) as database:
        assert await disagreements(database) == []
        made = open_sqlite_memory(
            database, WordEmbedder(), clock=clock, new_id=IdSource(clock), tables=Tables(exact=100)
        )
        async with made as memory:
            everything = MemoryFilter(spaces=None)
            entries = [one async for one in memory.export(everything) if isinstance(one, MemoryEntry)]
            assert (await memory.stats()).entries == len(entries)
            for entry in random.sample(entries, min(10, len(entries))):
                for mode in (SearchMode.EXACT, SearchMode.SEMANTIC):
                    query = MemoryQuery(
                        text=entry.value, filter=MemoryFilter(spaces=(entry.space,)), mode=mode, limit=5
                    )
                    assert entry.id in [hit.entry.id for hit in (await memory.search(query)).hits]
            await memory.settle()
        assert await disagreements(database) == []
    return {entry.id: entry.value for entry in entries}


@pytest.mark.timeout(60 + ROUNDS * (20 + SECONDS))
def test_a_killed_process_leaves_everything_it_acknowledged_and_nothing_at_odds(tmp_path):
    path, dice = tmp_path / "caxton.db", random.Random()
    acknowledged: dict[str, list[str]] = {}
    for number in range(ROUNDS):
        in_doubt: set[str] = set()
        for line in run_and_kill(path, dice.randrange(10**9), dice.uniform(0, SECONDS)):
            what, id, *value = line.split(" ", 2)
            if what == "+":
                acknowledged.setdefault(id, []).append(value[0])
                in_doubt.discard(id)
            elif what == "?":
                in_doubt.add(id)
            else:
                acknowledged.pop(id, None)
                in_doubt.discard(id)
        held = asyncio.run(state(path))
        lost = acknowledged.keys() - held.keys() - in_doubt
        assert not lost, f"round {number}: {len(lost)} acknowledged entries are gone"
        # The value of a key is the last one acknowledged, or one that was on its way when the process died.
        old = [id for id, values in acknowledged.items() if id in held and held[id] in values[:-1]]
        assert not old, f"round {number}: {len(old)} entries have gone back to an earlier value"
        acknowledged = {id: [value] for id, value in held.items()}
