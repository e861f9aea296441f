"""`kill -9` of a process that runs the bus under load, at random moments, again and again.

Fifteen rounds in CI; CAXTON_KILL_ROUNDS=1000 for a thousand (some ten minutes), CAXTON_KILL_SEED for the same pauses.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support.server import until

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.message import MessageState
from caxton.storage.database import open_database

ROUNDS = int(os.environ.get("CAXTON_KILL_ROUNDS", "15"))
SEED = int(os.environ.get("CAXTON_KILL_SEED", str(random.randrange(1_000_000))))
VICTIM = Path(__file__).parent.parent / "support" / "bus_victim.py"
LONGEST = 0.4
"""Seconds under load until the kill, at most."""
EARLY = 0.15
"""The share of the kills that come while the process is still starting, and taking up what was left."""


class Book:
    """What is known from the journal, read as it grows; it raises what must not be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self._rest = b""
        self.lives = 0
        self.drained = False
        self.accepted = {}
        """The conversation and the number of each message whose sender was told so."""
        self.unsure = {}
        """Messages with a key that were being sent: conversation and number."""
        self.ended = set()
        self.begun = Counter()
        self.newest = defaultdict(int)
        self.ids = defaultdict(set)

    def read(self):
        with self._path.open("rb") as file:
            file.seek(self._place)
            added = file.read()
        self._place += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        for line in lines:
            kind, *words = line.decode().split()
            getattr(self, f"_{kind}")(*words)
        return self

    def _life(self, number):
        self.lives += 1

    def _drained(self):
        self.drained = True

    def _sending(self, conversation, number):
        self.unsure[conversation] = int(number)

    def _accepted(self, id, to, conversation, number):
        if self.unsure.get(conversation) == int(number):
            del self.unsure[conversation]
        self.accepted[id] = to, conversation, int(number)
        ids = self.ids[conversation, number]
        ids.add(id)
        assert len(ids) == 1, f"{ids} were accepted for {conversation} {number}"

    def _begun(self, id, to, conversation, number):
        assert id not in self.ended, f"{id} was handled again after its end was stored"
        assert int(number) >= self.newest[to, conversation], f"{to} was given {number} of {conversation} too late"
        self.newest[to, conversation] = int(number)
        self.begun[id] += 1

    def _ended(self, id):
        self.ended.add(id)


@pytest.mark.timeout(60 + 5 * ROUNDS)
async def test_what_is_accepted_is_handled_once_and_in_order_however_often_the_process_is_killed(tmp_path):
    chance = random.Random(SEED)
    database, journal = tmp_path / "caxton.db", tmp_path / "journal"
    journal.touch()
    book = Book(journal)

    def start(life: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(VICTIM), str(database), str(journal), str(life)]
        with (tmp_path / "errors").open("ab") as errors:
            victim = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        with victim.stdin as given:
            given.write(json.dumps(list(book.unsure.items())).encode())
        return victim

    began, up = time.monotonic(), 0.5
    for life in range(1, ROUNDS + 1):
        victim, lives, started = start(life), book.lives, time.monotonic()
        if chance.random() < EARLY:
            time.sleep(up * chance.uniform(0.5, 1))
        else:
            until(
                lambda lives=lives, victim=victim: book.read().lives > lives or victim.poll() is not None, "a start", 60
            )
            up = time.monotonic() - started
            time.sleep(chance.uniform(0, LONGEST))
        assert victim.poll() is None, f"round {life}, seed {SEED}: {(tmp_path / 'errors').read_text()[-2000:]}"
        victim.kill()
        victim.wait()
        book.read()
    last = start(0)
    assert last.wait(60 + ROUNDS) == 0, (tmp_path / "errors").read_text()[-2000:]
    book.read()
    assert book.drained

    async with open_database(database) as opened:
        store = SqliteMessageStore(opened)
        lost = [
            id for id in book.accepted if (stored := store.find(id)) is None or stored.state is MessageState.ACCEPTED
        ]
        assert not lost, f"seed {SEED}: accepted and lost: {lost[:5]}"
        states = Counter(store.find(id).state for id in book.accepted)
        rows = await opened.scan(
            lambda session: session.execute("SELECT in_reply_to, count(*) FROM messages GROUP BY 1 HAVING count(*) > 1")
        )
        assert [row for row in rows if row[0]] == [], f"seed {SEED}: answered twice"
        unanswered = [
            id for id in book.accepted if store.find(id).state is MessageState.SETTLED and not store.reply_to(id)
        ]
        assert unanswered == []
    again = sum(count > 1 for count in book.begun.values())
    print(  # with -s, and when it fails
        f"{ROUNDS} kills in {time.monotonic() - began:.0f} s, seed {SEED}: {len(book.accepted)} messages accepted, "
        f"{dict(states)}, {len(book.begun)} handed over, {again} more than once"
    )
    assert states[MessageState.SETTLED] > ROUNDS
    assert states[MessageState.DEAD] > 0
