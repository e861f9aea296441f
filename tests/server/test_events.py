"""The feed of events on the wire: Server-Sent Events, and WebSocket."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from support.http import FakeService
from support.messages import a_request, an_answer
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from caxton.bus.feed import READERS, WAITING, BusFeed
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import Code
from caxton.domain.lifecycle import AgentState, LifecycleEvent, Trigger
from caxton.domain.observation import Filter
from caxton.server.gate import Gate
from caxton.service.api.table import OPERATIONS
from caxton.service.events import EventService
from caxton.testing.clock import FakeClock

DEADLINE = 5.0
ELSEWHERE = {"origin": "https://evil.example"}


@pytest.fixture
def feed():
    return BusFeed(FakeClock())


@pytest.fixture
def services(feed):
    return {operation.noun: FakeService() for operation in OPERATIONS} | {"events": EventService(feed=feed)}


def happen(feed, text="Hello", kind=BusEventKind.ACCEPTED, **fields):
    message = a_request(text, **fields)
    reply = an_answer(message) if kind is BusEventKind.SETTLED else None
    feed.observe(BusEvent(kind=kind, at=1.5, message=message, reply=reply, duration=0.25))


@asynccontextmanager
async def streaming(wire, query="", headers=""):
    """The events of a stream, each a dict of its fields, its data decoded."""
    async with wire.request(f"GET /events{query} HTTP/1.1\nhost: localhost{headers}") as reader:
        async with asyncio.timeout(DEADLINE):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"text/event-stream" in head
        yield lambda: next_event(reader)


async def next_event(reader):
    async with asyncio.timeout(DEADLINE):
        while True:
            fields = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                fields[name] = value
            if "data" in fields:
                return {**fields, "data": json.loads(fields["data"])}


async def test_events_stream_with_their_ids(wire, feed):
    async with streaming(wire) as following:
        opened = await following()
        happen(feed, kind=BusEventKind.SETTLED)
        feed.agent(
            LifecycleEvent(
                agent="ada", at=2.5, trigger=Trigger.START, source=AgentState.LOADED, target=AgentState.RUNNING
            )
        )
        told, changed = await following(), await following()
    assert (opened["event"], opened["id"]) == ("open", opened["data"]["id"])
    assert (told["event"], told["id"]) == ("message", told["data"]["id"])
    assert told["data"]["kind"] == "settled"
    assert (told["data"]["message"]["text"], told["data"]["reply"]["text"]) == ("Hello", "Hi")
    assert told["data"]["duration"] == 0.25
    assert (changed["event"], changed["data"]["agent"], changed["data"]["target"]) == ("agent", "ada", "running")


async def test_the_query_says_what_is_wanted(wire, feed):
    async with streaming(wire, "?kind=buried,refused&agent=ada") as following:
        await following()
        happen(feed, "no", agent="ada")
        happen(feed, "no", BusEventKind.BURIED, agent="bob")
        happen(feed, "yes", BusEventKind.BURIED, agent="ada")
        assert (await following())["data"]["message"]["text"] == "yes"


@pytest.mark.parametrize("way", ["header", "query"])
async def test_who_was_cut_off_goes_on_where_it_was(wire, feed, way):
    async with streaming(wire) as following:
        await following()
        happen(feed, "1")
        last = (await following())["id"]
    happen(feed, "2")
    query, headers = ("", f"\nlast-event-id: {last}") if way == "header" else (f"?after={last}", "")
    async with streaming(wire, query, headers) as following:
        assert (await following())["data"]["message"]["text"] == "2"
        assert (await following())["event"] == "open"


async def test_what_is_missing_is_told_and_has_no_id(wire, feed):
    async with streaming(wire, "?after=nonsense-1") as following:
        missed = await following()
    assert (missed["event"], missed["data"]) == ("missed", {"type": "missed", "count": None})
    assert "id" not in missed


@pytest.mark.parametrize(
    ("query", "hint"), [("kind=setled", "'settled'"), ("performative=ask", "cfp"), ("agnet=a", "'agent'")]
)
def test_words_that_nobody_knows_are_refused(http, query, hint):
    answer = http.get(f"/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    assert hint in answer.json()["hint"]


def test_too_many_readers_are_refused(http, feed):
    readers = [feed.read(Filter()) for _ in range(READERS)]
    for one in readers:
        one.__enter__()
    answer = http.get("/events")
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_readers")


async def test_a_client_that_hangs_up_is_no_reader_any_more(wire, feed):
    async with streaming(wire) as following:
        await following()
        assert len(feed._readers) == 1
    async with asyncio.timeout(DEADLINE):
        while feed._readers:
            await asyncio.sleep(0)


async def test_the_stream_ends_with_the_feed(wire, feed):
    async with wire.request("GET /events HTTP/1.1\nhost: localhost\nconnection: close") as reader:
        await next_event(reader)
        feed.close()
        async with asyncio.timeout(DEADLINE):
            await reader.read()


class TestWebSocket:
    @pytest.fixture
    def socket(self, wire):
        def opened(query="", **headers):
            return connect(f"ws://127.0.0.1:{wire.port}/events/ws{query}", additional_headers=headers, proxy=None)

        return opened

    @staticmethod
    async def told(socket):
        async with asyncio.timeout(DEADLINE):
            return json.loads(await socket.recv())

    async def test_events_come_as_frames(self, socket, feed):
        async with socket("?agent=ada") as one:
            assert (await self.told(one))["type"] == "open"
            happen(feed, "no")
            happen(feed, "yes", agent="ada")
            event = await self.told(one)
        assert (event["type"], event["kind"], event["message"]["text"]) == ("message", "accepted", "yes")

    async def test_the_client_may_want_something_else_meanwhile(self, socket, feed):
        async with socket("?agent=ada") as one:
            await self.told(one)
            await one.send('{"sender": "bob"}')
            assert (await self.told(one))["type"] == "open"
            happen(feed, "no", agent="ada")
            happen(feed, "yes", sender="bob")
            assert (await self.told(one))["message"]["text"] == "yes"

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ("nonsense", "body_malformed"),
            ('{"agnet": "a"}', "body_invalid"),
            ('{"kind": "x"}', "parameter_invalid"),
            (b"x", "body_invalid"),
        ],
    )
    async def test_what_is_not_understood_changes_nothing(self, socket, feed, frame, code):
        async with socket("?agent=ada") as one:
            await self.told(one)
            await one.send(frame)
            error = await self.told(one)
            assert (error["type"], error["problem"]["code"]) == ("error", code)
            happen(feed, "no", agent="bob")
            happen(feed, "yes", agent="ada")
            assert (await self.told(one))["message"]["text"] == "yes"

    @pytest.mark.parametrize("headers", [ELSEWHERE, {"sec-fetch-site": "cross-site"}, {"origin": "null"}], ids=str)
    async def test_a_page_of_another_site_may_not_listen(self, socket, feed, headers):
        with pytest.raises(InvalidStatus) as caught:
            await socket(**headers)
        assert caught.value.response.status_code == 403
        assert json.loads(caught.value.response.body)["code"] == "origin_refused"
        assert not feed._readers

    async def test_our_own_pages_may(self, socket, wire):
        async with socket(origin=f"http://127.0.0.1:{wire.port}") as one:
            assert (await self.told(one))["type"] == "open"

    async def test_a_name_that_leads_here_and_is_not_ours_is_refused(self, wire):
        handshake = (
            "connection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: " + "a" * 22 + "=="
        )
        async with wire.request(f"GET /events/ws HTTP/1.1\nhost: evil.example\n{handshake}") as reader:
            answer = await wire.answer(reader)
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "origin_refused")

    async def test_a_query_that_is_not_understood_is_refused_before_the_handshake(self, socket):
        with pytest.raises(InvalidStatus) as caught:
            await socket("?kind=setled")
        assert (caught.value.response.status_code, json.loads(caught.value.response.body)["code"]) == (
            400,
            "parameter_invalid",
        )

    async def test_other_paths_are_none(self, wire):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{wire.port}/events", proxy=None)
        assert caught.value.response.status_code in (403, 404)

    async def test_a_client_that_hangs_up_is_no_reader_any_more(self, socket, feed):
        async with socket() as one:
            await self.told(one)
            assert len(feed._readers) == 1
        async with asyncio.timeout(DEADLINE):
            while feed._readers:
                await asyncio.sleep(0)

    async def test_the_client_is_told_that_the_server_stops(self, socket, feed):
        async with socket() as one:
            await self.told(one)
            feed.close()
            with pytest.raises(ConnectionClosed) as caught:
                await self.told(one)
        assert caught.value.rcvd.code == 1001

    async def test_a_slow_client_is_told_what_it_missed(self, socket, feed):
        async with socket() as one:
            await self.told(one)
            for _ in range(5000):
                happen(feed, "x" * 4000)
            told = missed = 0
            while told + missed < 5000:
                event = await self.told(one)
                if event["type"] == "missed":
                    missed += event["count"]
                else:
                    told += 1
        assert (told, missed) == (WAITING, 5000 - WAITING)


class TestAClosedGate:
    @pytest.fixture
    def app(self, services, tmp_path):
        from types import SimpleNamespace

        from caxton.domain.settings import ServerSettings
        from caxton.server.app import create_app

        gate = Gate()
        gate.close()
        settings = ServerSettings(data_dir=tmp_path, agents_dir=tmp_path)
        return create_app(SimpleNamespace(settings=settings, services=services), gate)

    async def test_nobody_begins_to_follow_a_server_that_stops(self, wire):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{wire.port}/events/ws", proxy=None)
        assert json.loads(caught.value.response.body)["code"] == Code.SERVER_STOPPING
