import asyncio
import stat
import sys

import msgspec
import pytest
from support.messages import a_request, an_answer
from support.stores import settle

from caxton.bus import keeping as module
from caxton.bus.archive import Archive, ArchivedMessage, line_of, read_archive
from caxton.bus.keeping import EVERY, Keeping, Tidied, open_keeping
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings
from caxton.domain.delivery import Bury, BusEventKind, Failure
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import MessageState
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock

NOW, DAY = 1_800_000_000.0, 86_400.0
ERROR = ErrorReport(code=Code.INTERNAL, message="It failed.")


class Seen:
    def __init__(self) -> None:
        self.events = []

    def observe(self, event) -> None:
        self.events.append(event)


@pytest.fixture
async def store(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        yield SqliteMessageStore(database)


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "archive")


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def keeping(store, archive, seen):
    def made(**settings) -> Keeping:
        return Keeping(
            store=store,
            settings=BusSettings(**settings),
            archive=archive,
            clock=FakeClock(NOW),
            running=lambda: {"runs"},
            observers=[seen],
        )

    return made


async def done(store, days: float, **fields):
    """A request of so many days ago that was answered."""
    request = a_request(created_at=NOW - days * DAY, **fields)
    await store.append([request])
    await settle(store, request.id, MessageState.SETTLED, an_answer(request, created_at=request.created_at))
    return request


async def dead(store, days: float, **fields):
    message = a_request(created_at=NOW - days * DAY, **fields)
    await store.append([message])
    failure = Failure(attempt=1, at=message.created_at, error=ERROR)
    await store.commit([Bury(message_id=message.id, failure=failure)])
    return message


def lines(archive) -> list[ArchivedMessage]:
    return [one for path in archive.files() for one in read_archive(path)]


class TestRounds:
    async def test_with_the_settings_as_they_come_only_keys_and_what_nobody_takes_up_go(self, store, keeping, archive):
        kept = await done(store, 1000, idempotency_key="k")
        old = await dead(store, 1000)
        waits, runs = (a_request(created_at=NOW - 8 * DAY, agent=name) for name in ("absent", "runs"))
        await store.append([waits, runs])
        assert await keeping().tidy() == Tidied(expired=1, keys=1)
        assert store.keyed(receiver="helper", sender="user", key="k") is None
        assert store.find(kept.id)
        assert store.dead_letter(old.id)
        assert store.dead_letter(waits.id).error.code is Code.AGENT_NOT_RUNNING
        assert await store.receivers() == {"runs": 1}
        assert archive.files() == []
        assert await keeping().tidy() == Tidied()

    async def test_what_expires_is_told(self, store, keeping, seen):
        late = a_request(reply_by=NOW - 1)
        await store.append([late])
        await keeping().tidy()
        (event,) = seen.events
        assert (event.kind, event.message, event.at) == (BusEventKind.BURIED, late, NOW)
        assert event.error.code is Code.DEADLINE_PASSED

    async def test_old_messages_go_into_a_file_and_then_out_of_the_store(self, store, keeping, archive):
        old = [await done(store, days, conversation_id="old") for days in (40, 50)]
        new = await done(store, 10)
        waits = a_request(created_at=NOW - 60 * DAY, agent="runs")
        await store.append([waits])
        assert await keeping(retention=30 * DAY, waiting=None).tidy() == Tidied(archived=4, dropped=4)
        assert [one.message.id for one in lines(archive)][::2] == [old[1].id, old[0].id]
        assert [one.state for one in lines(archive)] == [MessageState.SETTLED] * 4
        assert store.conversation("old") is None
        assert [one.message.id for one in await store.messages(agent=None, conversation_id=None, limit=9)][1:] == [
            *(one.message.id for one in await store.messages(agent="helper", conversation_id=None, limit=1)),
            new.id,
        ]

    async def test_without_an_archive_they_are_only_deleted(self, store, keeping, archive):
        await done(store, 40)
        assert await keeping(retention=30 * DAY, archive=False).tidy() == Tidied(dropped=2)
        assert archive.files() == []

    async def test_dead_letters_have_a_time_of_their_own_and_keep_what_they_died_of(self, store, keeping, archive):
        letter = await dead(store, 40)
        assert (await keeping(retention=30 * DAY).tidy()).dropped == 0
        assert await keeping(dead_letter_retention=39 * DAY).tidy() == Tidied(archived=1, dropped=1)
        assert lines(archive) == [
            ArchivedMessage(
                message=letter,
                state=MessageState.DEAD,
                failures=(Failure(attempt=1, at=letter.created_at, error=ERROR),),
                died_at=letter.created_at,
            )
        ]

    async def test_nothing_goes_while_its_key_is_known(self, store, keeping):
        request = await done(store, 1.5, idempotency_key="k")
        assert await keeping(retention=60.0, idempotency_window=2 * DAY).tidy() == Tidied()
        assert store.keyed(receiver="helper", sender="user", key="k") == request

    async def test_much_goes_in_steps_and_in_several_files(self, store, keeping, archive, monkeypatch):
        monkeypatch.setattr(module, "LONGEST", 100_000)
        requests = [a_request(str(n), created_at=NOW - 40 * DAY + n, conversation_id=f"c{n % 9}") for n in range(1000)]
        await store.append(requests)
        await asyncio.gather(*(settle(store, one.id, MessageState.FAILED, None) for one in requests))
        assert await keeping(retention=30 * DAY).tidy() == Tidied(archived=1000, dropped=1000)
        assert [one.message.text for one in lines(archive)] == [str(number) for number in range(1000)]
        assert len(archive.files()) > 1
        assert await store.conversations(agent=None, limit=9) == []


class TestTrouble:
    async def test_who_dies_between_file_and_deletion_loses_nothing(self, store, keeping, archive):
        request = await done(store, 40)
        drop = store.drop

        async def dies(ids):
            raise CaxtonError(Code.STORAGE_FAILED, "killed")

        store.drop = dies
        with pytest.raises(CaxtonError):
            await keeping(retention=30 * DAY).tidy()
        assert store.find(request.id) is not None
        store.drop = drop
        await keeping(retention=30 * DAY).tidy()
        assert store.find(request.id) is None
        assert [one.message.id for one in lines(archive)].count(request.id) == 2

    async def test_what_cannot_be_put_into_a_file_stays(self, store, keeping, archive, monkeypatch):
        request = await done(store, 40)

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("caxton.bus.archive.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            await keeping(retention=30 * DAY).tidy()
        assert store.find(request.id) is not None
        assert [*archive._directory.iterdir()] == []

    async def test_what_was_left_half_written_is_removed(self, store, archive, tmp_path):
        archive.add([line_of(ArchivedMessage(message=a_request(), state=MessageState.SETTLED))], NOW)
        half = tmp_path / "archive" / "messages-20270101T000000Z-001.jsonl.gz.partial"
        half.write_bytes(b"\x1f\x8b half")
        async with open_keeping(
            store=store, settings=BusSettings(), archive=archive, clock=FakeClock(NOW), running=list
        ):
            await asyncio.sleep(0)
            while half.exists():
                await asyncio.sleep(0)
        assert len(archive.files()) == 1

    async def test_a_round_that_fails_is_followed_by_another(self, store, archive, caplog):
        clock, calls = FakeClock(NOW), []
        request = await done(store, 40)
        forget_keys = store.forget_keys

        async def fails(before):
            calls.append(before)
            if len(calls) == 1:
                raise CaxtonError(Code.STORAGE_FAILED, "The disk is full.")
            if len(calls) == 2:
                raise ZeroDivisionError
            return await forget_keys(before)

        store.forget_keys = fails
        settings = BusSettings(retention=30 * DAY)
        async with (
            asyncio.timeout(10),
            open_keeping(store=store, settings=settings, archive=archive, clock=clock, running=list),
        ):
            while store.find(request.id):
                await clock.advance(EVERY)
        assert "The disk is full." in caplog.text
        assert "ZeroDivisionError" in caplog.text


class TestArchive:
    def test_files_of_one_second_do_not_run_each_other_over(self, archive):
        one = line_of(ArchivedMessage(message=a_request(), state=MessageState.SETTLED))
        paths = [archive.add([one] * count, NOW) for count in (1, 2)]
        assert archive.files() == paths
        assert [len([*read_archive(path)]) for path in paths] == [1, 2]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
    def test_nobody_else_may_read_them(self, archive):
        path = archive.add([line_of(ArchivedMessage(message=a_request(), state=MessageState.SETTLED))], NOW)
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)

    def test_a_person_is_forgotten_in_them_with_what_was_asked_on_his_behalf(self, archive):
        trace = f"00-{'a' * 32}-00f067aa0ba902b7-01"
        hers = a_request(sender="zoe", conversation_id="hers", trace=trace)
        led_to = a_request(sender="helper", agent="other", conversation_id="agents", trace=trace)
        answer = an_answer(a_request(conversation_id="hers"), conversation_id="hers")
        known = a_request(conversation_id="elsewhere")
        other = a_request(sender="ada", conversation_id="agents")

        def put(*messages) -> None:
            archive.add([line_of(ArchivedMessage(message=one, state=MessageState.SETTLED)) for one in messages], NOW)

        put(hers, other)
        put(led_to, answer)
        put(known)
        assert archive.forget("zoe", ["elsewhere"]) == 4
        assert [one.message for one in lines(archive)] == [other]
        assert archive.forget("zoe", []) == 0

    def test_nothing_is_nothing(self, archive):
        archive.clean()
        assert (archive.files(), archive.forget("zoe", [])) == ([], 0)


def test_a_line_is_the_message_as_json(archive):
    message = a_request("Wörld")
    line = line_of(ArchivedMessage(message=message, state=MessageState.FAILED, attempts=2))
    assert line.endswith(b"\n")
    assert msgspec.json.decode(line) == {
        "message": msgspec.to_builtins(message),
        "state": "failed",
        "attempts": 2,
    }
