"""Changes to messages on their way, put into the embedded database many at once.

Each commit stands for itself, yet most of what a commit costs is the same for one as for many. So while some are on
their way to the disk the next ones gather; and the ends of messages, which nearly all of them are, are made together.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from caxton.bus.stores.rows import Adder, Row, json_text, row_of
from caxton.domain.delivery import Bury, Change, Remember, Retry, Send, Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import MessageState
from caxton.domain.ports.database import Database, Session, SqlValue

ACCEPTED = "SELECT id FROM messages WHERE id IN (SELECT value FROM json_each(?)) AND state = 'accepted'"
SETTLE = "UPDATE messages SET state = ? WHERE id = ? AND state = 'accepted'"
RETRY = """
UPDATE messages SET not_before = ?, failures = json_insert(coalesce(failures, '[]'), '$[#]', json(?))
WHERE id = ? AND state = 'accepted'
"""
BURY = """
UPDATE messages SET state = 'dead', died_at = ?, failures = json_insert(coalesce(failures, '[]'), '$[#]', json(?))
WHERE id = ? AND state = 'accepted'
"""
REMEMBER = "INSERT OR REPLACE INTO agent_state (agent, key, value) VALUES (?, ?, ?)"
UNREMEMBER = "DELETE FROM agent_state WHERE agent = ? AND key = ?"

BATCH = 1000
"""Commits that share a transaction at most."""


class Step(NamedTuple):
    """One change, encoded: a statement with its values, and rows to be added. `ends` is the message that it ends."""

    sql: str = ""
    values: tuple[SqlValue, ...] = ()
    rows: tuple[Row, ...] = ()
    ends: str | None = None


class Commit(NamedTuple):
    steps: Sequence[Step]
    done: asyncio.Future[None]


class Committer:
    """Makes changes. What was given to it is done, whether or not anybody waits for it."""

    def __init__(self, database: Database, adder: Adder) -> None:
        self._database = database
        self._adder = adder
        self._gathered: list[Commit] = []
        self._storing: asyncio.Task[None] | None = None

    def commit(self, changes: Sequence[Change]) -> asyncio.Future[None]:
        """A future that is resolved when all these changes are durable; raises what cannot be encoded."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gathered.append(Commit([_step(change) for change in changes], done))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_all(), name="changes stored")
        return done

    async def _store_all(self) -> None:
        try:
            while batch := self._gathered[:BATCH]:
                del self._gathered[:BATCH]
                await self._store(batch)
        finally:
            self._storing = None

    async def _store(self, batch: Sequence[Commit]) -> None:
        steps = [step for commit in batch for step in commit.steps]
        try:
            await self._database.write(lambda session: self._make(session, steps))
        except Exception as error:
            if len(batch) > 1 and not (isinstance(error, CaxtonError) and error.code is Code.STORAGE_FAILED):
                for commit in batch:  # one of them cannot be made: the others are not to suffer for it
                    await self._store([commit])
                return
            for commit in batch:
                if not commit.done.done():
                    commit.done.set_exception(error)
            return
        for commit in batch:
            if not commit.done.done():
                commit.done.set_result(None)

    def _make(self, session: Session, steps: Sequence[Step]) -> None:
        """Make changes in their order; ends that follow one another are made together."""
        ends: dict[str, Step] = {}
        for step in steps:
            if step.ends is not None:
                ends.setdefault(step.ends, step)  # of several ends the first counts
                continue
            self._end(session, ends)
            ends = {}
            if step.sql:
                session.execute(step.sql, step.values)
            if step.rows:
                self._adder.add(session, step.rows)
        self._end(session, ends)

    def _end(self, session: Session, ends: dict[str, Step]) -> None:
        if not ends:
            return
        accepted = session.execute(ACCEPTED, (json_text([*ends]),))
        found = {message_id for (message_id,) in accepted}
        real = [step for message_id, step in ends.items() if message_id in found]
        for sql in (SETTLE, BURY):
            if values := [step.values for step in real if step.sql is sql]:
                session.execute_many(sql, values)
        if rows := [row for step in real for row in step.rows]:
            self._adder.add(session, rows)


def _step(change: Change) -> Step:
    """What a change does to the database. Everything is encoded here, before the writer has it."""
    if isinstance(change, Settle):  # most of them are
        return Step(SETTLE, (change.state, change.message_id), _reply(change), change.message_id)
    match change:
        case Send(message):
            return Step(rows=(row_of(message),))
        case Bury(message_id=message_id, failure=failure):
            return Step(BURY, (failure.at, json_text(failure), message_id), _reply(change), message_id)
        case Retry(message_id=message_id, failure=failure, at=at):
            return Step(RETRY, (at, json_text(failure), message_id))
        case Remember(agent=agent, key=key, value=None):
            return Step(UNREMEMBER, (agent, key))
        case Remember(agent=agent, key=key, value=value):
            return Step(REMEMBER, (agent, key, json_text(value)))


def _reply(change: Settle | Bury) -> tuple[Row, ...]:
    """The row of a reply, which waits for its receiver where it is to be delivered."""
    if not (reply := change.reply):
        return ()
    return (row_of(reply, MessageState.ACCEPTED if change.deliver else MessageState.SETTLED, reply.sender),)
