"""`POST /messages` on the wire: what is taken, and how it is answered."""

import json

import msgspec
import pytest

from caxton.domain.message import Message, Performative
from caxton.domain.misunderstanding import Finding, MessageNotUnderstood, not_understood
from caxton.service.api.posting import AcceptedMessage, Posted

GIVEN = {"receiver": "helper", "text": "Hello"}
PACKED = {"content-type": "application/msgpack"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REPLY = Message(
    id="reply",
    performative=Performative.INFORM,
    sender="helper",
    receiver="user",
    conversation_id="user:helper",
    created_at=1.0,
    content={"text": "Hi"},
    in_reply_to="asked",
)
ACCEPTED = AcceptedMessage(id="asked", receiver="helper", conversation_id="user:helper")


@pytest.fixture(autouse=True)
def posted(messages) -> None:
    messages.answers["post"] = Posted(accepted=[ACCEPTED], replies=[])


def test_what_is_accepted_is_told_with_its_ids(http, messages):
    answer = http.post("/messages", json=GIVEN)
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": [{"id": "asked", "receiver": "helper", "conversation_id": "user:helper"}],
        "replies": [],
    }
    assert messages.last == {"body": GIVEN}


def test_what_has_its_reply_is_more_than_accepted(http, messages):
    messages.answers["post"] = Posted(accepted=[ACCEPTED], replies=[REPLY])
    answer = http.post("/messages", json=GIVEN)
    assert answer.status_code == 200
    assert answer.json()["replies"] == [msgspec.to_builtins(REPLY)]


@pytest.mark.parametrize("name", ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"])
def test_a_message_may_come_in_messagepack(http, messages, name):
    answer = http.post("/messages", content=msgspec.msgpack.encode(GIVEN), headers={"content-type": name})
    assert answer.status_code == 202
    assert messages.last == {"body": GIVEN}


def test_the_answer_comes_in_messagepack_to_those_who_ask_for_it(http, messages):
    messages.answers["post"] = Posted(accepted=[ACCEPTED], replies=[REPLY])
    answer = http.post("/messages", json=GIVEN, headers={"accept": "application/msgpack, application/json;q=0.5"})
    assert answer.headers["content-type"] == "application/msgpack"
    assert msgspec.msgpack.decode(answer.content, type=Posted).replies == [REPLY]


def test_whatever_json_says_is_handed_over_to_be_judged(http, messages):
    for given in [[], "text", 5, {"receiver": 5, "z": None}]:
        http.post("/messages", json=given)
        assert messages.last == {"body": given}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"", 422),
        ({}, b"Hello", 400),
        ({}, b'{"receiver": NaN}', 400),
        ({}, b'{"receiver": "\\ud800"}', 400),
        ({}, b"[" * 4000, 400),
        ({}, b"\xff", 415),
        (PACKED, b"", 400),
        (PACKED, b"\xc1", 400),
        (PACKED, b"\x81\xa1\xff\x01", 400),
        (PACKED, b"\x91" * 4000, 400),
        ({"content-type": "application/cbor"}, b"\xa0", 415),
        ({**PACKED, "content-encoding": "gzip"}, b"\x80", 415),
    ],
)
def test_what_cannot_be_read_at_all_is_no_fault_of_the_servers(http, messages, headers, body, status):
    answer = http.post("/messages", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert messages.calls == []


@pytest.mark.parametrize("kind", ["application/json", "application/msgpack"])
def test_one_byte_too_many_is_too_many_in_either_form(http, messages, largest, kind):
    content = b'"' + b"x" * (largest - 1) + b'"'
    answer = http.post("/messages", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert messages.calls == []


async def test_a_hundred_megabytes_are_refused_before_they_are_sent(wire, messages):
    head = "POST /messages HTTP/1.1\nhost: localhost\nexpect: 100-continue\ncontent-length: 100000000"
    async with wire.request(head) as reader:
        answer = await wire.answer(reader)
    assert answer.status == 413
    assert messages.calls == []


@pytest.mark.parametrize("header", ["k", '"k"'])
def test_the_idempotency_key_may_come_in_its_header(http, messages, header):
    http.post("/messages", json=GIVEN, headers={"idempotency-key": header})
    assert messages.last["body"]["idempotency_key"] == "k"
    answer = http.post("/messages", json={**GIVEN, "idempotency_key": "other"}, headers={"idempotency-key": header})
    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")


def test_the_trace_may_come_in_its_header(http, messages):
    http.post("/messages", json=GIVEN, headers={"traceparent": TRACE})
    assert messages.last["body"]["trace"] == TRACE
    http.post("/messages", content=msgspec.msgpack.encode(GIVEN), headers={**PACKED, "traceparent": TRACE})
    assert messages.last["body"]["trace"] == TRACE


@pytest.mark.parametrize("header", ["nonsense", "ff" + TRACE[2:], TRACE[:10]])
def test_a_header_that_is_no_trace_is_as_if_it_were_not_there(http, messages, header):
    http.post("/messages", json=GIVEN, headers={"traceparent": header})
    assert messages.last == {"body": GIVEN}


def test_the_body_goes_before_the_header_about_the_trace(http, messages):
    http.post("/messages", json={**GIVEN, "trace": "mine"}, headers={"traceparent": TRACE})
    assert messages.last["body"]["trace"] == "mine"


def test_what_is_not_understood_is_a_problem_with_the_message_that_says_so(http, messages):
    findings = [Finding(field="performative", message="is 'requst'.", hint="Did you mean 'request'?")]
    reply = not_understood({"sender": "ada", "reply_with": "q1"}, findings, id="no", now=1.0, by="caxton")
    messages.answers["post"] = MessageNotUnderstood(findings, reply)
    answer = http.post("/messages", json={})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "message_not_understood")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["problems"] == [msgspec.to_builtins(findings[0])]
    assert problem["not_understood"] == json.loads(msgspec.json.encode(reply))
    assert problem["hint"] == "Did you mean 'request'?"
