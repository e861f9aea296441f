"""Agents here are functions that the bus serves; those with models stand in `tests/acceptance/test_messaging.py`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from caxton.bus.local import LocalBus, open_bus
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings
from caxton.domain.capability import Capability, read_capability
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Durability, Message, Performative, answer_to
from caxton.domain.misunderstanding import LONGEST_NAME
from caxton.domain.ports.messenger import Contact, Errand
from caxton.domain.trace import trace_id_of
from caxton.runtime.messenger import SHARE, BusMessenger
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock

DEADLINE = 10.0
PATIENCE = 60.0


class Office:
    """A bus with agents on it that a test hires; `heard` has every message that reached one of them."""

    def __init__(self, bus: LocalBus, store: SqliteMessageStore, clock: FakeClock, stack: AsyncExitStack) -> None:
        self.bus, self.store, self.clock = bus, store, clock
        self.new_id = IdSource(clock)
        self.heard: list[Message] = []
        self.contacts: list[Contact] = []
        self.messenger = BusMessenger(
            bus=bus,
            contacts=lambda: self.contacts,
            able=bus.directory.providers,
            patience=lambda agent: PATIENCE,
            clock=clock,
            new_id=self.new_id,
        )
        self._stack = stack

    async def hire(self, name: str, act: Callable[[Message], Any], *capabilities: str, description: str = "") -> None:
        """Have an agent that says what `act` makes of a message, awaited if need be; None is no reply."""
        offers = tuple(Capability(name=read_capability(one)) for one in capabilities)

        async def handle(message: Message) -> Message | None:
            self.heard.append(message)
            said = act(message)
            said = await said if asyncio.iscoroutine(said) else said
            if said is None or isinstance(said, Message):
                return said
            return answer_to(message, Performative.INFORM, {"text": said}, id=self.new_id(), now=self.clock.now())

        await self._stack.enter_async_context(self.bus.serve(name, handle, capabilities=offers, concurrency=4))
        self.contacts.append(Contact(name=name, description=description, capabilities=offers))

    async def told(self, text: str, to: str = "asker", **fields: Any) -> Message:
        """What an agent replies to a person."""
        message = Message(
            id=self.new_id(),
            performative=Performative.REQUEST,
            sender="user",
            receiver=to,
            conversation_id="talk",
            created_at=self.clock.now(),
            content={"text": text},
            **fields,
        )
        async with asyncio.timeout(DEADLINE):
            return await self.bus.ask(message)

    async def busy(self, *requests: str) -> None:
        """Have the agent `asker` be at work on messages with these ids, and stay so."""
        at_work = asyncio.Event()

        async def work(message: Message) -> None:
            if self.bus.under_way(requests[-1]):
                at_work.set()
            await asyncio.Event().wait()

        await self.hire("asker", work)
        for id in requests:
            await self.bus.send(_request(id, conversation_id=id))
        async with asyncio.timeout(DEADLINE):
            await at_work.wait()
        self.heard.clear()

    def asking(self, to: str, **options: Any) -> Callable[[Message], Any]:
        """An act: ask another one the same thing, and say what it says or the code of the error."""

        async def act(message: Message) -> str:
            errand = Errand(agent=message.receiver, request=message.id, to=to, text=message.text, **options)
            try:
                return (await self.messenger.ask(errand)).text
            except CaxtonError as error:
                return f"{error.code}: {error.message}"

        return act


class Team:
    """Implements `ports.bus.Groups` with one group."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def members(self, conversation_id: str) -> Sequence[str]:
        return self._names if conversation_id == "team" else ()


@asynccontextmanager
async def opened(path, *group: str, **settings: Any) -> AsyncIterator[Office]:
    """An office, in which these take part in the group `team`."""
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        store = SqliteMessageStore(await stack.enter_async_context(open_database(path)))
        bus = await stack.enter_async_context(open_bus(store, BusSettings(**settings), clock=clock, groups=Team(group)))
        yield Office(bus, store, clock, stack)


@pytest.fixture
async def office(tmp_path) -> AsyncIterator[Office]:
    async with opened(tmp_path / "caxton.db") as one:
        yield one


class TestAsk:
    async def test_the_others_reply_comes_back_into_the_turn(self, office):
        await office.hire("artist", lambda message: f"drew {message.text}", "charts")
        await office.hire("asker", office.asking("charts"))
        assert (await office.told("sales")).text == "drew sales"

    @pytest.mark.parametrize("to", ["artist", "charts", "charts:v2", "capability:charts", "capability:charts:v2"])
    async def test_the_other_is_called_by_name_or_by_what_it_can_do(self, office, to):
        await office.hire("artist", lambda message: "drawn", "charts:v2")
        await office.hire("asker", office.asking(to))
        assert (await office.told("sales")).text == "drawn"

    async def test_the_message_says_where_it_comes_from(self, office):
        await office.hire("artist", lambda message: "drawn", "charts")
        await office.hire("asker", office.asking("charts"))
        await office.told("sales", priority=7)
        asked, child = office.heard
        assert (child.sender, child.receiver, child.addressed) == ("asker", "artist", "capability:charts")
        assert (child.cause, child.hops, child.path) == (asked.id, asked.hops + 1, ("asker",))
        assert child.conversation_id == "talk/capability:charts"
        assert child.priority == 7
        assert child.awaited
        assert trace_id_of(child.id, child.trace) == trace_id_of(asked.id, asked.trace)

    async def test_the_trace_goes_on_down_the_line(self, office):
        await office.hire("third", lambda message: "done")
        await office.hire("second", office.asking("third"))
        await office.hire("asker", office.asking("second"))
        await office.told("work", trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        assert {trace_id_of(one.id, one.trace) for one in office.heard} == {"0af7651916cd43dd8448eb211c80319c"}
        assert [one.path for one in office.heard] == [(), ("asker",), ("asker", "second")]
        assert [one.conversation_id for one in office.heard] == ["talk", "talk/second", "talk/second/third"]

    async def test_a_long_chain_of_conversations_keeps_a_short_name(self, office):
        await office.hire("artist", lambda message: "drawn")
        await office.hire("asker", office.asking("artist"))
        for name in ["a" * LONGEST_NAME, "b" * LONGEST_NAME]:
            request = Message(
                id=office.new_id(),
                performative=Performative.REQUEST,
                sender="user",
                receiver="asker",
                conversation_id=name,
                created_at=office.clock.now(),
                content={"text": "sales"},
            )
            await office.bus.ask(request)
        first, second = (one.conversation_id for one in office.heard if one.receiver == "artist")
        assert first != second
        assert max(len(first), len(second)) <= LONGEST_NAME

    async def test_work_that_comes_back_to_where_it_was_is_a_loop(self, office):
        await office.hire("second", office.asking("asker"))
        await office.hire("asker", office.asking("second"))
        said = (await office.told("work")).text
        assert said.startswith("delegation_loop: ")
        assert len(office.heard) == 2

    async def test_an_agent_that_asks_itself_is_a_loop(self, office):
        await office.hire("asker", office.asking("asker"))
        assert (await office.told("work")).text.startswith("delegation_loop: ")

    async def test_a_chain_ends_where_it_is_too_long(self, tmp_path):
        async with opened(tmp_path / "caxton.db", max_hops=1) as office:
            await office.hire("third", lambda message: "done")
            await office.hire("second", office.asking("third"))
            await office.hire("asker", office.asking("second"))
            assert (await office.told("work")).text.startswith("delegation_loop: ")

    async def test_nobody_of_that_name_is_told_with_the_nearest(self, office):
        await office.hire("artist", lambda message: "drawn", "charts")
        await office.busy("r")
        with pytest.raises(CaxtonError) as caught:
            await office.messenger.ask(_errand("chart"))
        assert caught.value.code is Code.AGENT_NOT_FOUND
        assert "'charts'" in caught.value.hint

    async def test_a_turn_that_is_not_under_way_asks_nobody(self, office):
        with pytest.raises(CaxtonError) as caught:
            await office.messenger.ask(Errand(agent="asker", request="gone", to="x", text="y"))
        assert caught.value.code is Code.MESSAGE_NOT_FOUND

    async def test_what_is_for_memory_only_stays_so(self, office):
        await office.hire("artist", lambda message: "drawn")
        await office.hire("asker", office.asking("artist"))
        await office.told("sales", durability=Durability.MEMORY)
        assert [one.durability for one in office.heard] == [Durability.MEMORY] * 2
        assert all(office.store.find(one.id) is None for one in office.heard)


class TestTime:
    async def hold(self, message: Message) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def asked(self, office: Office, seconds: float, **fields: Any) -> Message:
        """What a person is told when so much time passes while the other one is at work."""
        asking = asyncio.create_task(office.told("sales", **fields))
        async with asyncio.timeout(DEADLINE):
            while len(office.heard) < 2:
                await asyncio.sleep(0)
        await office.clock.advance(seconds)
        return await asking

    async def test_one_who_does_not_answer_is_waited_for_as_long_as_was_said(self, office):
        await office.hire("artist", self.hold)
        await office.hire("asker", office.asking("artist", timeout=5.0))
        assert (await self.asked(office, 5.0)).text.startswith("reply_timeout: ")
        assert office.heard[1].reply_by == office.heard[1].created_at + 5.0

    async def test_else_for_most_of_the_turn(self, office):
        await office.hire("artist", self.hold)
        await office.hire("asker", office.asking("artist"))
        assert (await self.asked(office, SHARE * PATIENCE)).text.startswith("reply_timeout: ")

    async def test_but_never_longer_than_the_one_who_asked_first_waits(self, office):
        await office.hire("artist", lambda message: "drawn")
        await office.hire("asker", office.asking("artist", timeout=50.0))
        until = office.clock.now() + 10.0
        await office.told("sales", reply_by=until)
        assert office.heard[1].reply_by == until

    async def test_when_no_time_is_left_nobody_is_asked(self, office):
        async def late(message: Message) -> str:
            await office.clock.advance(20.0)
            return await office.asking("artist")(message)

        await office.hire("artist", lambda message: "drawn")
        await office.hire("asker", late)
        request = _request(office.new_id(), receiver="asker", reply_by=office.clock.now() + 10.0)
        await office.bus.send(request)
        async with asyncio.timeout(DEADLINE):
            reply = await office.bus.answer(request)
        assert reply.text.startswith("reply_timeout: There is no time left")
        assert len(office.heard) == 1


class TestAgain:
    """A turn that runs again asks nobody to do again what was done."""

    async def twice(self, office: Office, *errands: Errand) -> list[Message]:
        """The replies to errands of a turn that ran once and, as after a crash, runs again."""
        await office.busy("r")
        async with asyncio.timeout(DEADLINE):
            return [await office.messenger.ask(errand) for _ in range(2) for errand in errands]

    async def test_the_same_errand_has_the_same_reply(self, office):
        await office.hire("artist", lambda message: f"drew {message.id}")
        first, second = await self.twice(office, _errand("artist"))
        assert first == second
        assert len(office.heard) == 1

    async def test_so_it_has_where_several_could_do_it(self, tmp_path):
        for balance in "round-robin", "least-loaded", "context":
            async with opened(tmp_path / f"{balance}.db", balance=balance) as office:
                for number in range(5):
                    await office.hire(f"artist-{number}", lambda message: f"drew {message.id}", "charts")
                first, second = await self.twice(office, _errand("charts"))
                assert first == second
                assert len(office.heard) == 1

    async def test_so_it_has_in_the_next_process(self, tmp_path):
        for _ in range(2):
            async with opened(tmp_path / "caxton.db") as office:
                for number in range(5):
                    await office.hire(f"artist-{number}", lambda message: f"drew {message.id}", "charts")
                await office.busy("r")
                reply = await office.messenger.ask(_errand("charts"))
                assert reply.text.startswith("drew ")
        assert office.heard == []

    async def test_what_failed_is_tried_again_and_what_then_succeeded_is_not(self, office):
        came = 0

        def act(message: Message) -> str:
            nonlocal came
            came += 1
            if came < 3:
                raise CaxtonError(Code.PROVIDER_UNAVAILABLE, "It is away.")
            return f"drew {message.id}"

        await office.hire("artist", act)
        await office.busy("r")
        async with asyncio.timeout(DEADLINE):
            replies = [await office.messenger.ask(_errand("artist")) for _ in range(5)]
        failure, success = Performative.FAILURE, Performative.INFORM
        assert [reply.performative for reply in replies] == [failure, failure, success, success, success]
        assert len({reply.id for reply in replies}) == came == 3

    async def test_another_errand_is_another_message(self, office):
        await office.hire("artist", lambda message: f"drew {message.id}")
        same = _errand("artist")
        errands = [same, _with(same, text="other"), _with(same, occurrence=1)]
        replies = await self.twice(office, *errands)
        assert len({reply.text for reply in replies}) == 3
        assert len(office.heard) == 3

    async def test_what_another_turn_asks_is_another_message(self, office):
        await office.hire("artist", lambda message: f"drew {message.id}")
        await office.busy("r", "s")
        for request in "r", "s":
            await office.messenger.ask(_with(_errand("artist"), request=request))
        assert len(office.heard) == 2

    async def test_what_was_sent_is_not_sent_again(self, office):
        await office.hire("artist", lambda message: None)
        await office.busy("r")
        first, second, other = [
            (await office.messenger.send(_errand("artist"), performative))[0].id
            for performative in (Performative.INFORM, Performative.INFORM, Performative.REQUEST)
        ]
        assert first == second != other


class TestSend:
    async def test_nothing_is_waited_for(self, office):
        came = asyncio.Event()

        async def listen(message: Message) -> None:
            came.set()

        await office.hire("artist", listen)
        await office.busy("r")
        [sent] = await office.messenger.send(_errand("artist"), Performative.INFORM)
        async with asyncio.timeout(DEADLINE):
            await came.wait()
        assert (sent.performative, sent.awaited, sent.reply_by) == (Performative.INFORM, False, None)

    async def test_a_group_is_spoken_to_in_its_own_conversation_and_without_oneself(self, tmp_path):
        async with opened(tmp_path / "caxton.db", "asker", "artist", "writer") as office:
            await office.hire("artist", lambda message: None)
            await office.hire("writer", lambda message: None)
            await office.busy("r")
            for _ in range(2):
                sent = await office.messenger.send(_errand("group:team"), Performative.INFORM)
                assert {one.receiver for one in sent} == {"artist", "writer"}
                assert {one.conversation_id for one in sent} == {"team"}
            async with asyncio.timeout(DEADLINE):
                while len(office.heard) < 2:
                    await asyncio.sleep(0)
            assert len({one.id for one in office.heard}) == len(office.heard) == 2

    async def test_the_reply_to_a_request_comes_as_a_message_of_its_own(self, office):
        replied = asyncio.Event()

        async def act(message: Message) -> str | None:
            if message.performative is Performative.INFORM:
                replied.set()
                return None
            errand = Errand(agent="asker", request=message.id, to="artist", text=message.text)
            await office.messenger.send(errand, Performative.REQUEST)
            return "It is under way."

        await office.hire("artist", lambda message: f"drew {message.text}")
        await office.hire("asker", act)
        assert (await office.told("sales")).text == "It is under way."
        async with asyncio.timeout(DEADLINE):
            await replied.wait()
        reply = office.heard[-1]
        assert (reply.sender, reply.receiver, reply.text) == ("artist", "asker", "drew sales")
        assert reply.conversation_id == "talk/artist"


class TestFind:
    def contacts(self, office: Office) -> list[Contact]:
        def a_contact(name: str, description: str = "", **capabilities: str) -> Contact:
            offers = [Capability(name=read_capability(one), description=about) for one, about in capabilities.items()]
            return Contact(name=name, description=description, capabilities=tuple(offers))

        office.contacts += [
            a_contact("writer", "Writes letters.", prose="Letters, reports and charts in words."),
            a_contact("artist", "Draws.", charts="Pictures of numbers."),
            a_contact("analyst", "Analyses sales data."),
        ]
        return office.contacts

    async def test_without_words_it_has_all_others_by_name(self, office):
        self.contacts(office)
        assert [one.name for one in office.messenger.find("writer", "", 10)] == ["analyst", "artist"]
        assert [one.name for one in office.messenger.find("nobody", "", 2)] == ["analyst", "artist"]

    async def test_what_one_is_called_or_can_do_counts_more_than_a_description(self, office):
        self.contacts(office)
        assert [one.name for one in office.messenger.find("nobody", "Charts!", 10)] == ["artist", "writer"]

    @pytest.mark.parametrize("words", ["analysing", "SALES", "data analysis"])
    async def test_words_fit_in_other_forms(self, office, words):
        self.contacts(office)
        assert [one.name for one in office.messenger.find("nobody", words, 10)] == ["analyst"]

    async def test_words_that_fit_nobody_find_nobody(self, office):
        self.contacts(office)
        assert office.messenger.find("nobody", "cooking", 10) == []


def _request(id: str, **fields: Any) -> Message:
    return Message(
        **{
            "id": id,
            "performative": Performative.REQUEST,
            "sender": "user",
            "receiver": "asker",
            "conversation_id": "talk",
            "created_at": 0.0,
            "content": {"text": "sales"},
            **fields,
        }
    )


def _errand(to: str) -> Errand:
    return Errand(agent="asker", request="r", to=to, text="sales")


def _with(errand: Errand, **fields: Any) -> Errand:
    return msgspec.structs.replace(errand, **fields)
