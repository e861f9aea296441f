import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.acts import JSON, messages

from caxton.domain.codec import from_json, to_json
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.message import Durability, Message, Performative
from caxton.domain.misunderstanding import FIELDS, Finding, MessageNotUnderstood, not_understood

ASKED = Message(
    id="asked",
    performative=Performative.PROXY,
    sender="ada",
    receiver="helper",
    conversation_id="talk",
    created_at=1.0,
    content={"text": "Hello"},
    reply_with="q1",
    trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
FINDINGS = [Finding(field="performative", message="is none.", hint="Another one."), Finding(message="So it is.")]


def answer(given, findings=FINDINGS):
    return not_understood(given, findings, id="answer", now=2.0, by="helper")


def test_a_message_that_is_not_acted_on_is_answered_where_it_came_from():
    reply = answer(ASKED)
    assert reply.performative is Performative.NOT_UNDERSTOOD
    assert (reply.id, reply.created_at) == ("answer", 2.0)
    assert (reply.sender, reply.receiver, reply.conversation_id) == ("helper", "ada", "talk")
    assert (reply.in_reply_to, reply.reply_with) == ("asked", "q1")
    assert reply.trace == ASKED.trace


def test_it_says_what_was_wrong_and_with_what():
    content = answer(ASKED).content
    error = msgspec.convert(content["error"], ErrorReport)
    assert error.code is Code.MESSAGE_NOT_UNDERSTOOD
    assert error.message == "The message was not understood: `performative` is none. (and 1 more)"
    assert error.hint == "Another one."
    assert content["problems"] == [
        {"message": "is none.", "field": "performative", "hint": "Another one."},
        {"message": "So it is."},
    ]
    assert content["message"]["content"] == {"text": "Hello"}
    assert content["message"]["id"] == "asked"


def test_what_is_for_memory_only_is_answered_in_memory_only():
    asked = msgspec.structs.replace(ASKED, durability=Durability.MEMORY)
    assert answer(asked).durability is Durability.MEMORY


def test_what_never_became_a_message_is_answered_by_its_own_expression():
    reply = answer({"sender": "ada", "conversation_id": "talk", "reply_with": "q1", "performative": "requst"})
    assert (reply.receiver, reply.conversation_id) == ("ada", "talk")
    assert (reply.in_reply_to, reply.reply_with) == ("q1", "q1")
    assert reply.content["message"]["performative"] == "requst"


def test_what_cannot_be_read_is_left_out():
    reply = answer({"sender": ["x"], "conversation_id": "two\nlines", "reply_with": 5, "content": [math.nan], "z": 1})
    assert (reply.receiver, reply.conversation_id, reply.in_reply_to) == ("user", "user:helper", None)
    assert reply.content["message"]["content"] == "a list of 1"
    assert "z" not in reply.content["message"]


def test_the_answer_to_a_long_message_is_short():
    reply = answer({"content": {"text": "x" * 10_000_000}, "performative": "y" * 10_000_000})
    assert len(to_json(reply)) < 2000


def test_the_error_has_all_findings_and_the_answer():
    error = MessageNotUnderstood(FINDINGS, answer(ASKED))
    assert error.info.http == 422
    assert error.findings == tuple(FINDINGS)
    assert error.reply.in_reply_to == "asked"


@given(messages())
def test_every_message_has_an_answer_that_can_be_sent(message):
    assert from_json(to_json(answer(message))).in_reply_to == (message.id or None)


ANYTHING = JSON | st.binary(max_size=5) | st.floats() | st.text(st.characters(), max_size=5)


@given(ANYTHING | st.dictionaries(st.sampled_from([*FIELDS, "id"]), ANYTHING, max_size=8))
def test_whatever_was_sent_has_an_answer_that_can_be_sent(given):
    assert from_json(to_json(answer(given))).performative is Performative.NOT_UNDERSTOOD


@pytest.mark.parametrize("given", [None, 5, [], "text"])
def test_what_is_no_object_is_answered_to_nobody_in_particular(given):
    assert answer(given).receiver == "user"
