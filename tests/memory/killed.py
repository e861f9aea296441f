"""A process that works on a memory until it is killed: many writers and searchers at once. Prints what is acknowledged.

Lines: `+ ID KEY VALUE` for an entry stored, `- ID` for one forgotten, `? ID …` before an attempt to forget.
"""

import asyncio
import random
import sys
from pathlib import Path

from caxton.domain.agent import MemoryScope
from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemoryLimits, MemoryQuery, MemorySpace, NewMemory
from caxton.memory import pages
from caxton.memory.sqlite import SqliteMemory, open_sqlite_memory
from caxton.memory.tables import Tables
from caxton.storage.database import open_database
from caxton.testing.embedder import WordEmbedder

WORDS = "tea milk stone rain light sound river cloud paper glass".split()  # noqa: SIM905


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def write(memory: SqliteMemory, who: int, dice: random.Random) -> None:
    space = MemorySpace(scope=MemoryScope.AGENT, owner=f"agent-{who % 3}")
    mine: list[str] = []
    while True:
        what = dice.random()
        if what < 0.75 or not mine:
            key = f"{who}-{dice.randrange(20)}" if what < 0.2 else None
            value = f"{who} {dice.choice(WORDS)} {dice.choice(WORDS)} {dice.random()}"
            (entry,) = await memory.remember(space, [NewMemory(value=value, key=key, tags=(dice.choice(WORDS),))])
            say("+", entry.id, value)
            if entry.id not in mine:
                mine.append(entry.id)
        elif what < 0.85:
            gone = mine.pop(dice.randrange(len(mine)))
            say("?", gone)
            await memory.forget(MemoryFilter(spaces=(space,), ids=(gone,)))
            say("-", gone)
        elif what < 0.95 and len(mine) > 1:
            await memory.relate([space], mine[0], "next", mine[-1])
        else:
            await memory.trim(space, MemoryLimits(max_bytes=10**9))


async def search(memory: SqliteMemory, dice: random.Random) -> None:
    while True:
        spaces = tuple(MemorySpace(scope=MemoryScope.AGENT, owner=f"agent-{n}") for n in range(dice.randrange(1, 4)))
        await memory.search(MemoryQuery(text=dice.choice(WORDS), filter=MemoryFilter(spaces=spaces)))


async def main(path: Path, seed: int, at_once: int) -> None:
    pages.PAGE = 64  # so that pages of signs are written too
    clock = SystemClock()
    async with open_database(path) as database:
        made = open_sqlite_memory(
            database, WordEmbedder(), clock=clock, new_id=IdSource(clock), tables=Tables(exact=100)
        )
        async with made as memory, asyncio.TaskGroup() as group:
            for n in range(at_once):
                group.create_task(write(memory, n, random.Random(f"{seed} {n}")))
                group.create_task(search(memory, random.Random(f"{seed} s{n}")))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
