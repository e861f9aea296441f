"""The command's client: what it sends, what it makes of answers, and of servers that are none."""

import io
import json
import socket
from http.client import HTTPResponse
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.http import EVENTS, REPLY

from caxton.cli.client import Client, SseEvent, sse_events
from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.server.sse import encode_error_event, event_encoder
from caxton.service.api import agents, conversations, messages
from caxton.service.api.messages import SendMessage
from caxton.service.api.server import READY

encode_reply_event = event_encoder(messages.SEND)

STREAM = b"".join(encode_reply_event(event) for event in EVENTS)


def sizes(draw: st.DrawFn, total: int) -> list[int]:
    """Cuts of a text of that length, in order."""
    return sorted(draw(st.lists(st.integers(0, total), max_size=12)))


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[SseEvent], bytes]:
    """Events, and one of the many ways to write them (WHATWG HTML §9.2.5)."""
    words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
    names = words.filter(bool)
    events, text = [], ""
    for name, lines in draw(
        st.lists(st.tuples(st.none() | names, st.lists(words, min_size=1, max_size=3)), max_size=5)
    ):
        end = draw(st.sampled_from(["\n", "\r\n"]))
        space = draw(st.sampled_from(["", " "]))
        parts = [f"data:{space if space or not line.startswith(' ') else ' '}{line}" for line in lines]
        if name is not None:
            parts.insert(draw(st.integers(0, len(parts))), f"event: {name}")
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from([": waiting", "id: 7", "retry: 1", "x"])))
        text += "".join(part + end for part in [*parts, ""])
        events.append(SseEvent(name or "message", "\n".join(lines)))
    return events, text.encode()


class Pieces(io.RawIOBase):
    """A file that gives no more at once than the next of its pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        taken = piece[: len(buffer)]
        if rest := piece[len(buffer) :]:
            self._pieces.insert(0, rest)
        buffer[: len(taken)] = taken
        return len(taken)


class Connection:
    """What http.client reads an answer from."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(Pieces(self._pieces))


def cut(text: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *cuts, len(text)]
    return [text[a:b] for a, b in pairwise(ends)]


@given(data=st.data(), stream=streams())
def test_events_are_the_same_however_the_stream_is_cut(data, stream):
    events, text = stream
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    if data.draw(st.booleans()):
        chunks = [chunk for chunk in cut(text, sizes(data.draw, len(text))) if chunk]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        wire = head + b"transfer-encoding: chunked\r\n\r\n" + body
    else:
        wire = head + b"\r\n" + text
    answer = HTTPResponse(Connection(cut(wire, sizes(data.draw, len(wire)))))
    answer.begin()
    with answer:
        assert list(sse_events(iter(answer.readline, b""))) == events


def test_an_event_without_its_empty_line_is_none():
    assert list(sse_events([b"data: one\n", b"\n", b"data: two\n"])) == [SseEvent("message", "one")]


def test_an_event_without_data_is_none_and_leaves_no_name_behind():
    assert list(sse_events([b"event: start\n", b"\n", b"data\n", b"\n"])) == [SseEvent("message", "")]


def test_what_the_server_streams_is_what_the_client_gives(raw):
    raw.streams(*(bytes([byte]) for byte in STREAM))
    given_events = list(Client(raw.url).stream(messages.SEND, path={"name": "a"}, body=SendMessage(text="Hi")))
    assert given_events == list(EVENTS)
    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /agents/a/message HTTP/1.1")
    assert b"accept: text/event-stream" in head.lower()
    assert json.loads(body)["text"] == "Hi"


def test_events_that_a_newer_server_adds_are_passed_over(raw):
    raw.streams(b"event: news\ndata: whatever\n\n: waiting\n\n", STREAM)
    assert list(Client(raw.url).stream(messages.SEND, path={"name": "a"})) == list(EVENTS)


def test_an_error_in_the_stream_is_raised_after_what_came(raw):
    error = CaxtonError(Code.PROVIDER_TIMEOUT, "It took too long.", why="61 s", hint="Wait.")
    raw.streams(encode_reply_event(EVENTS[0]), encode_reply_event(EVENTS[1]), encode_error_event(error))
    coming = Client(raw.url).stream(messages.SEND, path={"name": "a"})
    assert [next(coming), next(coming)] == list(EVENTS[:2])
    with pytest.raises(CaxtonError) as caught:
        next(coming)
    assert caught.value.report() == error.report()


@pytest.mark.parametrize("rest", [b"", b'event: delta\ndata: {"te'])
def test_a_stream_that_ends_early_is_a_broken_connection(raw, rest):
    raw.streams(encode_reply_event(EVENTS[0]), rest)
    with pytest.raises(CaxtonError) as caught:
        list(Client(raw.url).stream(messages.SEND, path={"name": "a"}))
    assert caught.value.code is Code.SERVER_UNREACHABLE
    assert "broke" in caught.value.message
    assert "caxton logs" in caught.value.hint


def test_an_event_that_cannot_be_read_is_not_of_a_caxton_server(raw):
    raw.streams(b"event: delta\ndata: {}\n\n")
    with pytest.raises(CaxtonError, match="is no Caxton server") as caught:
        list(Client(raw.url).stream(messages.SEND, path={"name": "a"}))
    assert caught.value.code is Code.SERVER_UNREACHABLE


def test_a_refusal_instead_of_a_stream_is_the_servers_error(raw):
    raw.answers(404, b'{"detail": "There is no agent.", "code": "agent_not_found", "hint": "Look."}')
    with pytest.raises(CaxtonError) as caught:
        list(Client(raw.url).stream(messages.SEND, path={"name": "a"}))
    assert (caught.value.code, caught.value.hint) == (Code.AGENT_NOT_FOUND, "Look.")


def test_an_answer_is_decoded_as_its_operation_says(raw):
    raw.answers(200, msgspec.json.encode(REPLY))
    assert Client(raw.url).call(messages.SEND, path={"name": "a"}, body=SendMessage(text="Hi")) == REPLY


def test_names_and_queries_are_quoted(raw):
    raw.answers(
        200,
        b'{"conversation": {"id": "x", "agent": "a", "messages": 0, "created_at": 0, "updated_at": 0}, "messages": []}',
    )
    Client(f"{raw.url}/behind/a/proxy/").call(conversations.SHOW, path={"id": "user:a/b ü"}, query={"limit": 3})
    assert raw.requests[0].startswith(b"GET /behind/a/proxy/conversations/user%3Aa%2Fb%20%C3%BC?limit=3 HTTP/1.1")


def test_a_status_that_is_an_answer_too_is_one(raw):
    raw.answers(503, b'{"ready": false, "components": []}')
    assert not Client(raw.url).call(READY, accept=(503,)).ready
    with pytest.raises(CaxtonError, match="status 503"):
        Client(raw.url).call(READY)


def test_diagnostics_come_back_as_they_were_sent(raw):
    problem = {"code": "unknown_key", "message": "no key", "file": "a.toml", "line": 3, "column": 1}
    raw.answers(
        422, json.dumps({"detail": "wrong", "code": "configuration_invalid", "diagnostics": [problem]}).encode()
    )
    with pytest.raises(ConfigurationError) as caught:
        Client(raw.url).call(agents.CREATE, body="name = 1")
    assert [(d.code, d.line) for d in caught.value.diagnostics] == [("unknown_key", 3)]
    assert b"text/plain" in raw.requests[0]


def test_an_error_that_this_client_does_not_know_keeps_its_words(raw):
    raw.answers(418, b'{"detail": "I am a teapot.", "code": "teapot", "why": "Tea.", "hint": "Ask for tea."}')
    with pytest.raises(CaxtonError) as caught:
        Client(raw.url).call(agents.LIST)
    error = caught.value
    assert (error.code, error.message, error.why, error.hint) == (
        Code.INTERNAL,
        "I am a teapot.",
        "Tea.",
        "Ask for tea.",
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b'{"agents": 1}'), (404, b"not here"), (502, b'{"message": "x"}'), (302, b"")],
)
def test_what_is_no_caxton_server_is_told_with_its_address(raw, status, body):
    raw.answers(status, body, kind="text/html")
    with pytest.raises(CaxtonError) as caught:
        Client(raw.url).call(agents.LIST)
    assert caught.value.code is Code.SERVER_UNREACHABLE
    assert f"What listens at {raw.url} is no Caxton server" in caught.value.message
    assert "--url" in caught.value.hint


@pytest.mark.parametrize("bytes_sent", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_what_does_not_speak_http_is_not_reachable(raw, bytes_sent):
    raw.pieces = [bytes_sent]
    with pytest.raises(CaxtonError) as caught:
        Client(raw.url).call(agents.LIST)
    assert caught.value.info.exit == 3


def test_an_answer_that_breaks_off_says_that_the_server_may_go_on(raw):
    raw.pieces = [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"]
    with pytest.raises(CaxtonError, match="broke in the middle") as caught:
        Client(raw.url).call(agents.LIST)
    assert "goes on" in caught.value.hint


def test_a_port_where_nobody_listens_is_named(apart):
    url = f"http://127.0.0.1:{apart.environ['CAXTON_PORT']}"
    with pytest.raises(CaxtonError) as caught:
        Client(url).call(agents.LIST)
    assert caught.value.message == f"No Caxton server answers at {url}."
    assert "caxton server start" in caught.value.hint
    assert caught.value.why


def test_a_server_that_says_nothing_is_given_up(raw):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CaxtonError, match=r"did not answer within 0\.05 s") as caught:
            Client(url, timeout=0.05).call(agents.LIST)
    assert caught.value.code is Code.SERVER_UNREACHABLE


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://x", "http://", "http://x:port", "http://[::1", "https://"]
)
def test_what_is_no_url_is_told_with_the_right_form(url):
    with pytest.raises(CaxtonError) as caught:
        Client(url).call(agents.LIST)
    assert repr(url) in caught.value.message
    assert caught.value.hint == "Write http://host:port."


def test_a_host_that_cannot_be_is_not_reachable():
    with pytest.raises(CaxtonError) as caught:
        Client(f"http://{'x' * 70}.example:1").call(agents.LIST)
    assert caught.value.code is Code.SERVER_UNREACHABLE


@pytest.mark.parametrize("body", ["caf\udce9", SendMessage(text="caf\udce9")])
def test_text_that_is_not_utf_8_is_told_before_anything_is_sent(raw, body):
    with pytest.raises(CaxtonError) as caught:
        Client(raw.url).call(messages.SEND, path={"name": "a"}, body=body)
    assert caught.value.code is Code.BODY_MALFORMED
    assert "from character 4 on" in caught.value.message
    assert raw.requests == []
