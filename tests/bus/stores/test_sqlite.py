"""What is SQLite's own in the message store; what every store does is in tests/contracts."""

import asyncio
import re
from contextlib import closing

import apsw
import msgspec
import pytest
from support.messages import a_request, accepted, an_answer, texts
from support.stores import accepted_for, add, settle

from caxton.bus.stores import commits, counts, dead_letters, delivery, history, keeper
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.delivery import Bury, Failure, Remember, Retry, Send, Settle
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import Exchange, MessageState, Summary
from caxton.storage import migrate
from caxton.storage.database import open_database


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        yield database


@pytest.fixture
def store(database):
    return SqliteMessageStore(database)


class TestSurrogates:
    """Half a character is not text: JSON from outside can hold one, UTF-8 cannot."""

    @pytest.mark.parametrize("field", ["text", "conversation_id", "id"])
    async def test_a_message_with_half_a_character_is_refused(self, store, field):
        broken = {"content": {"text": "\ud83d"}} if field == "text" else {field: "\udc00"}
        with pytest.raises(CaxtonError) as failure:
            await add(store, a_request(**broken))
        assert failure.value.code is Code.BODY_INVALID
        assert "surrogate" in failure.value.message
        assert await accepted_for(store, "helper") == []

    async def test_a_reply_with_half_a_character_leaves_its_request_to_be_answered_again(self, store):
        request = a_request()
        await add(store, request)
        with pytest.raises(CaxtonError) as failure:
            await settle(store, request.id, MessageState.SETTLED, an_answer(request, "\ud83d"))
        assert failure.value.code is Code.BODY_INVALID
        assert await accepted_for(store, "helper") == [accepted(request)]
        assert store.conversation(request.conversation_id).messages == 1


class TestCosts:
    """Every query goes by an index and sorts nothing, so that it costs what it returns."""

    def plan(self, database, query: str) -> list[str]:
        numbered = [int(number) for number in re.findall(r"\?(\d)", query)]
        values = ("x",) * (max(numbered) if numbered else query.count("?"))
        return [row[3] for row in database.read(lambda session: session.execute(f"EXPLAIN QUERY PLAN {query}", values))]

    def scans(self, plan: list[str]) -> list[str]:
        """What is gone through whole, but for lists that were given and what was found already."""
        return [step for step in plan if step.startswith("SCAN messages")]

    @pytest.mark.parametrize(
        "query",
        [
            delivery.FIND,
            delivery.KEYED,
            delivery.CLAIM,
            delivery.WAITING,
            delivery.RECALL,
            history.HISTORY,
            history.ALL,
            history.OF_AGENT,
            history.OF_BOTH,
            history.CONVERSATIONS.format(where=""),
            history.CONVERSATIONS.format(where="agent = ? AND "),
            dead_letters.LETTER,
            dead_letters.NEWEST.format(where=""),
            dead_letters.OLDEST.format(where=""),
            keeper.PAST_DUE,
            keeper.FORGET_KEYS,
            keeper.DONE,
            keeper.DEAD,
            commits.ACCEPTED,
            commits.SETTLE,
        ],
        ids=lambda query: " ".join(query.split()),
    )
    def test_a_query_reads_what_it_returns(self, database, query):
        plan = self.plan(database, query)
        assert plan
        assert self.scans(plan) == []
        assert not [step for step in plan if "TEMP B-TREE" in step], plan

    @pytest.mark.parametrize("query", [history.OF_CONVERSATION, history.TRACED, counts.WAITING, history.WIPE_WAITING])
    def test_beyond_that_at_most_what_waits_is_looked_at(self, database, query):
        (scan,) = self.scans(self.plan(database, query))
        assert scan.endswith("INDEX messages_waiting")

    def test_what_waits_is_found_without_looking_at_the_rest(self, database):
        assert self.plan(database, delivery.CLAIM) == [
            "SEARCH messages USING INDEX messages_waiting (receiver=? AND seq>?)"
        ]

    def test_the_first_message_with_a_key_is_found_by_it(self, database):
        (step,) = self.plan(database, delivery.KEYED)
        assert step.startswith("SEARCH messages USING INDEX messages_by_key")

    def test_the_replies_to_a_message_are_found_by_it(self, database):
        assert self.plan(database, delivery.REPLY)[0].startswith("SEARCH messages USING INDEX messages_by_request")

    def test_within_a_conversation_the_agents_other_messages_are_not_looked_at(self, database):
        plan = self.plan(database, history.OF_BOTH)
        assert not [step for step in plan if "messages_by_agent" in step]
        assert [step for step in plan if "messages_by_conversation" in step]

    def test_what_is_accepted_touches_few_pages(self, database):
        """Every index that an accepted message is in costs each commit a page for nearly each message."""
        rows = database.read(
            lambda session: session.execute("SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'messages'")
        )
        held = [name for name, sql in rows if sql and name != "messages" and "IS NOT NULL" not in sql]
        ours = {
            name
            for name, sql in rows
            if sql and name in held and "state <> 'accepted'" not in sql and "'dead'" not in sql
        }
        assert ours == {"messages_waiting", "messages_replies_waiting"}


async def test_everything_is_there_when_the_database_is_opened_again(tmp_path):
    request, waiting = a_request(), a_request()
    async with open_database(tmp_path / "caxton.db") as database:
        store = SqliteMessageStore(database)
        await add(store, request)
        await add(store, waiting)
        await store.begin(waiting.id)
        reply = an_answer(request)
        await settle(store, request.id, MessageState.SETTLED, reply)
        conversation = store.conversation(request.conversation_id)
    async with open_database(tmp_path / "caxton.db") as database:
        store = SqliteMessageStore(database)
        assert store.reply_to(request.id) == reply
        assert await accepted_for(store, "helper") == [accepted(waiting, attempts=1)]
        assert store.conversation(request.conversation_id) == conversation


class TestCounts:
    """Conversations are counted late; nobody is to notice."""

    async def test_a_crash_before_the_count_loses_nothing(self, tmp_path):
        async with open_database(tmp_path / "caxton.db") as database:
            await SqliteMessageStore(database).append([a_request(conversation_id=f"c{n % 2}") for n in range(5)])
            assert database.read(lambda session: session.execute("SELECT * FROM conversations")) == []
        async with open_database(tmp_path / "caxton.db") as database:
            store = SqliteMessageStore(database)
            await store.append([a_request(conversation_id="c0")])
            assert [(one.id, one.messages) for one in await store.conversations(agent=None, limit=9)] == [
                ("c0", 4),
                ("c1", 2),
            ]

    async def test_they_are_counted_without_being_asked_for_once_there_are_many(self, database, store):
        messages = [a_request(conversation_id=f"c{n % 2}") for n in range(counts.COUNT_EVERY + 1)]
        await store.append(messages)
        rows = database.read(lambda session: session.execute("SELECT sum(messages) FROM conversations"))
        assert rows == [(len(messages),)]
        await store.append([a_request(conversation_id="c0")])
        assert store.conversation("c0").messages + store.conversation("c1").messages == len(messages) + 1

    async def test_a_summary_of_a_conversation_that_is_not_counted_yet_is_kept(self, store):
        await store.append([a_request(conversation_id="c")])
        await store.summarize(Summary(conversation_id="c", agent="helper", text="x", upto="m", created_at=1.0))
        assert store.summary("c", "helper").text == "x"


class TestView:
    async def test_dead_letters_are_told_in_sql(self, database, store):
        trace = f"00-{'a' * 32}-00f067aa0ba902b7-01"
        message = a_request("Wörld", sender="zoe", trace=trace, created_at=3.0)
        await store.append([message])
        error = ErrorReport(code=Code.PROVIDER_TIMEOUT, message="Too slow.")
        await store.commit([Retry(message_id=message.id, failure=Failure(attempt=1, at=4.0, error=error), at=5.0)])
        await store.commit([Bury(message_id=message.id, failure=Failure(attempt=2, at=6.0, error=error))])
        ((*told, failures),) = database.read(lambda session: session.execute("SELECT * FROM dead_letters"))
        assert [failure["attempt"] for failure in msgspec.json.decode(failures)] == [1, 2]
        assert told == [
            *(message.id, "zoe", "helper", "request", "user:helper", '{"text":"Wörld"}'),
            *("provider_timeout", "Too slow.", 2, 3.0, 6.0, "a" * 32),
        ]


class TestCommits:
    def refuses(self, database, name: str) -> object:
        """Have the database refuse the message of that id."""
        refusal = "BEGIN SELECT raise(ABORT, 'no'); END"
        sql = f"CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.id = '{name}' {refusal}"
        return database.write(lambda session: session.execute(sql))

    async def test_of_a_commit_that_fails_in_its_middle_nothing_is_made(self, database, store):
        request = a_request()
        await store.append([request])
        await self.refuses(database, "bad")
        sent = a_request(id="good", agent="other")
        with pytest.raises(CaxtonError) as failure:
            await store.commit(
                [
                    Remember(agent="a", key="k", value=1),
                    Send(sent),
                    Settle(message_id=request.id, state=MessageState.SETTLED, reply=an_answer(request, id="bad")),
                    Send(a_request(agent="third")),
                ]
            )
        assert failure.value.code is Code.STORAGE_FAILED
        assert (store.recall("a", "k"), store.find("good")) == (None, None)
        assert store.find(request.id) == accepted(request)
        assert await store.receivers() == {"helper": 1}
        await store.append([sent])  # the store goes on
        assert store.conversation("user:other").messages == 1

    async def test_of_a_batch_that_fails_in_its_middle_nothing_is_stored(self, database, store):
        await self.refuses(database, "bad")
        with pytest.raises(CaxtonError):
            await store.append([a_request("before"), a_request(id="bad"), a_request("after")])
        assert (await store.receivers(), store.last()) == ({}, 0)

    async def test_one_that_cannot_be_told_in_json_leaves_the_others_alone(self, store):
        requests = [a_request() for _ in range(3)]
        await store.append(requests)
        broken = Settle(message_id=requests[1].id, state=MessageState.SETTLED, reply=an_answer(requests[1], "\ud83d"))
        whole = [Settle(message_id=one.id, state=MessageState.SETTLED) for one in (requests[0], requests[2])]
        done = await asyncio.gather(
            store.commit([whole[0]]), store.commit([broken]), store.commit([whole[1]]), return_exceptions=True
        )
        assert [type(one) for one in done] == [type(None), CaxtonError, type(None)]
        assert await accepted_for(store, "helper") == [accepted(requests[1])]


async def test_a_database_of_before_the_bus_is_brought_over(tmp_path, monkeypatch):
    path = tmp_path / "caxton.db"
    trace = f"00-{'b' * 32}-00f067aa0ba902b7-01"
    waiting = a_request(idempotency_key="k", trace=trace, created_at=2.5, reply_by=9.0)
    done = a_request()
    reply = an_answer(done)
    known = migrate.migrations()
    columns = "id, conversation_id, agent, performative, in_reply_to, state, attempts, body, sender, idempotency_key"
    put = f"INSERT INTO messages ({columns}) VALUES (?, ?, 'helper', ?, ?, ?, 1, ?, ?, ?)"  # noqa: S608
    with closing(apsw.Connection(str(path))) as connection:
        monkeypatch.setattr(migrate, "migrations", lambda: known[:8])
        migrate.migrate(connection, path)
        for one, state in ((done, "settled"), (reply, "settled"), (waiting, "accepted")):
            key = one.idempotency_key
            keyed = (one.sender, key) if key else (None, None)
            body = msgspec.json.encode(one)
            connection.execute(put, (one.id, "user:helper", one.performative, one.in_reply_to, state, body, *keyed))
        connection.execute("INSERT INTO conversations VALUES ('user:helper', 'helper', 3, 1.0, 2.0, 3)")
        monkeypatch.setattr(migrate, "migrations", lambda: known)
    async with open_database(path) as database:
        store = SqliteMessageStore(database)
        assert await accepted_for(store, "helper") == [accepted(waiting, attempts=1)]
        assert store.keyed(receiver="helper", sender="user", key="k") == waiting
        assert store.history("user:helper", "helper", 9) == [Exchange(done, reply)]
        assert texts(await store.traced("b" * 32, limit=9)) == ["Hello"]
        assert store.conversation("user:helper").messages == 3
        await store.append([a_request()])
        assert store.conversation("user:helper").messages == 4
        assert await store.expire(9.0, unclaimed_before=None, running=(), limit=9) == [waiting]
