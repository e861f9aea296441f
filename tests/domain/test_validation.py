import math
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.acts import JSON, NAMES

from caxton.domain.message import Durability, Message, Performative
from caxton.domain.misunderstanding import FIELDS, LONGEST_NAME, Finding
from caxton.domain.protocol import ACTS
from caxton.domain.trace import traceparent
from caxton.domain.validation import LARGEST_CONTENT, MOST_FINDINGS, read_message

NOW = 1_800_000_000.0
ID = "01a2b3c4-d5e6-7f80-9a0b-1c2d3e4f5061"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ASKED = Message(
    id="asked",
    performative=Performative.REQUEST,
    sender="ada",
    receiver="helper",
    conversation_id="talk",
    created_at=NOW - 5,
    content={"text": "Hello"},
)


def read(given, *earlier, **options):
    known = {message.id: message for message in earlier}
    return read_message(given, id=ID, now=NOW, known=known.get, **options)


def wrong(field, **fields):
    """The one finding about a message that is right but for these fields."""
    found = read({"receiver": "helper", "text": "Hello", **fields}, ASKED)
    assert isinstance(found, list), found
    [finding] = found
    assert finding.field == field
    return f"{finding} {finding.hint}"


class TestRight:
    def test_a_receiver_and_a_text_are_enough(self):
        assert read({"receiver": "helper", "text": "Hello"}) == Message(
            id=ID,
            performative=Performative.REQUEST,
            sender="user",
            receiver="helper",
            conversation_id="user:helper",
            created_at=NOW,
            content={"text": "Hello"},
            trace=traceparent(ID),
        )

    def test_all_that_a_sender_decides_about_is_taken_over(self):
        fields = {
            "performative": "query-ref",
            "sender": "ada",
            "receiver": "capability:charts:v2",
            "content": {"text": "Which?", "rows": [1, 2.5, None]},
            "conversation_id": "talk",
            "reply_with": "q1",
            "reply_by": NOW + 60,
            "protocol": "fipa-query",
            "ontology": "sales",
            "language": "en",
            "priority": 9,
            "idempotency_key": "k",
            "durability": "stored",
            "trace": TRACE,
        }
        message = read(fields)
        assert isinstance(message, Message)
        for name, value in fields.items():
            if name != "trace":
                assert getattr(message, name) == value
        assert message.trace.startswith("00-0af7651916cd43dd8448eb211c80319c-")

    def test_what_is_null_is_as_if_it_were_left_out(self):
        given = dict.fromkeys(FIELDS) | {"receiver": "helper", "text": "Hello"}
        assert read(given) == read({"receiver": "helper", "text": "Hello"})

    @pytest.mark.parametrize(
        "when", [NOW + 1, int(NOW) + 1, "2027-01-15T08:00:01Z", "2027-01-15T09:00:01+01:00", "20270115T080001Z"]
    )
    def test_a_time_is_seconds_or_a_date_with_its_zone(self, when):
        assert read({"receiver": "helper", "text": "x", "reply_by": when}).reply_by == NOW + 1

    def test_a_timestamp_of_messagepack_is_a_time(self):
        at = datetime.fromtimestamp(NOW + 1, UTC)
        assert read({"receiver": "helper", "text": "x", "reply_by": at}).reply_by == NOW + 1

    def test_new_begins_a_conversation_of_its_own(self):
        assert read({"receiver": "helper", "text": "x", "conversation_id": "new"}).conversation_id == ID

    def test_what_is_for_a_group_is_said_in_its_conversation(self):
        assert read({"receiver": "group:team", "text": "x"}).conversation_id == "team"
        assert read({"receiver": "group:team", "text": "x", "conversation_id": "team"}).conversation_id == "team"

    @pytest.mark.parametrize("act", ["cancel", "agree", "refuse", "subscribe", "accept-proposal", "reject-proposal"])
    def test_acts_that_say_enough_need_no_content(self, act):
        assert read({"receiver": "helper", "performative": act}).content == {}


class TestReply:
    def test_it_goes_back_in_the_same_conversation(self):
        reply = read({"performative": "inform", "in_reply_to": "asked", "text": "Hi"}, ASKED)
        assert (reply.sender, reply.receiver, reply.conversation_id) == ("helper", "ada", "talk")
        assert reply.in_reply_to == "asked"

    def test_a_cancel_goes_where_the_message_went(self):
        cancel = read({"performative": "cancel", "in_reply_to": "asked"}, ASKED)
        assert (cancel.sender, cancel.receiver, cancel.conversation_id) == ("ada", "helper", "talk")

    @pytest.mark.parametrize("act", Performative)
    @pytest.mark.parametrize("earlier", Performative)
    def test_the_table_of_acts_says_what_may_answer_what(self, earlier, act):
        asked = msgspec.structs.replace(ASKED, performative=earlier)
        read_as = read({"performative": act.value, "in_reply_to": "asked", "text": "x"}, asked)
        legal = act in (*ACTS[earlier].replies, Performative.CANCEL, Performative.NOT_UNDERSTOOD)
        assert isinstance(read_as, Message) is legal
        if not legal:
            [finding] = read_as
            assert finding.field == "performative"
            assert act.value in finding.message
            assert earlier.value in finding.message

    def test_one_to_a_message_that_is_not_known_is_told(self):
        assert "'gone'" in wrong("in_reply_to", in_reply_to="gone")

    def test_nobody_answers_for_another(self):
        found = wrong("sender", performative="inform", in_reply_to="asked", sender="eve", receiver=None)
        assert "'eve'" in found
        assert "'helper'" in found

    def test_nobody_else_is_answered(self):
        assert "'ada'" in wrong("receiver", performative="inform", in_reply_to="asked", receiver="eve")

    def test_it_is_not_said_elsewhere(self):
        told = wrong(
            "conversation_id", performative="inform", in_reply_to="asked", receiver=None, conversation_id="elsewhere"
        )
        assert "'talk'" in told


class TestWrong:
    @pytest.mark.parametrize("given", [None, [], "text", 5, True, [["receiver", "helper"]]])
    def test_what_is_no_object_is_no_message(self, given):
        [finding] = read(given)
        assert finding.field == ""
        assert "object" in finding.message

    def test_an_unknown_performative_is_told_with_the_nearest(self):
        assert "Did you mean 'request'?" in wrong("performative", performative="requst")
        assert "There are: accept-proposal, agree" in wrong("performative", performative="zzz")

    def test_an_unknown_field_is_told_with_the_nearest(self):
        assert "Did you mean 'conversation_id'?" in wrong("conversation-id", **{"conversation-id": "x"})
        assert "Known: performative" in wrong("zzz", zzz=1)

    @pytest.mark.parametrize("field", ["id", "created_at", "hops", "path", "cause", "addressed", "awaited"])
    def test_what_the_server_gives_is_not_taken(self, field):
        assert "Leave it out" in wrong(field, **{field: "x"})

    def test_a_key_that_is_no_text_is_no_field(self):
        [finding] = read({"receiver": "helper", "text": "x", 5: 1})
        assert "no field" in finding.message

    def test_a_receiver_is_needed(self):
        [finding] = read({"text": "Hello"})
        assert (finding.field, "capability:NAME" in finding.hint) == ("receiver", True)

    @pytest.mark.parametrize("address", ["capability:", "group:"])
    def test_an_address_names_somebody(self, address):
        assert "names none" in wrong("receiver", receiver=address)

    @pytest.mark.parametrize(
        "field",
        [
            "sender",
            "receiver",
            "conversation_id",
            "reply_with",
            "protocol",
            "ontology",
            "language",
            "idempotency_key",
            "in_reply_to",
            "trace",
        ],
    )
    @pytest.mark.parametrize("value", ["", "x" * (LONGEST_NAME + 1), "two\nlines", "bell\x07", "half\ud800", 5, ["x"]])
    def test_a_name_that_is_none_is_told(self, field, value):
        assert field in wrong(field, **{field: value})

    @pytest.mark.parametrize("value", [-1, 10, 5.0, True, "5", None.__class__, [5]])
    def test_a_priority_goes_from_0_to_9(self, value):
        assert "0 to 9" in wrong("priority", priority=value)

    def test_a_time_that_has_passed_is_told(self):
        assert "passed 60 s ago" in wrong("reply_by", reply_by=NOW - 60)

    @pytest.mark.parametrize("value", [True, math.nan, math.inf, "tomorrow", "2030-01-31", "2030-01-31T12:00:00", []])
    def test_a_time_that_is_none_is_told(self, value):
        assert "RFC 3339" in wrong("reply_by", reply_by=value)

    def test_a_trace_that_is_none_is_told(self):
        assert "traceparent" in wrong("trace", trace="00-xyz")

    def test_durability_is_a_choice(self):
        assert "Did you mean 'stored'?" in wrong("durability", durability="storred")

    def test_a_key_needs_a_store(self):
        assert "memory" in wrong("idempotency_key", durability="memory", idempotency_key="k")

    def test_a_group_speaks_in_its_own_conversation(self):
        assert "'team'" in wrong("conversation_id", receiver="group:team", conversation_id="other")

    @pytest.mark.parametrize("content", ["Hello", 5, ["x"], True])
    def test_a_content_is_an_object(self, content):
        assert "has to be an object" in wrong("content", text=None, content=content)

    def test_content_and_text_say_the_same_thing_twice(self):
        assert "both" in wrong("text", content={"text": "x"})

    @pytest.mark.parametrize("act", ["request", "query-if", "propose", "cfp", "inform", "failure"])
    @pytest.mark.parametrize("content", [None, {}, {"text": ""}, {"text": None}])
    def test_an_act_that_says_nothing_is_told(self, act, content):
        found = read({"receiver": "helper", "performative": act, "content": content})
        assert isinstance(found, list)
        assert all(finding.field in ("content", "content.text") for finding in found)

    def test_a_text_of_spaces_is_empty(self):
        assert "is empty" in wrong("content.text", text=" \n\t")

    def test_a_text_is_text(self):
        assert "has to be text, not a number" in wrong("content.text", text=None, content={"text": 5})

    @pytest.mark.parametrize(
        ("value", "told"), [(math.nan, "nan"), ("\ud800", "surrogate"), (2**70, "64 bits"), (b"x", "bytes")]
    )
    def test_a_content_that_is_not_json_is_told_with_the_place(self, value, told):
        assert told in wrong("content.rows[1]", text=None, content={"text": "x", "rows": [0, value]})

    def test_absurd_nesting_is_told(self):
        value = []
        for _ in range(50_000):
            value = [value]
        [finding] = read({"receiver": "helper", "content": {"a": value}})
        assert "levels deep" in finding.message
        assert len(finding.field) <= LONGEST_NAME

    def test_a_content_above_the_limit_is_told_with_both_numbers(self):
        assert f"{LARGEST_CONTENT} are the most" in wrong("content", text="x" * LARGEST_CONTENT)
        assert isinstance(read({"receiver": "helper", "text": "x" * 89}, largest=100), Message)
        assert isinstance(read({"receiver": "helper", "text": "x" * 90}, largest=100), list)

    def test_a_talk_brought_along_belongs_elsewhere(self):
        content = {"text": "x", "history": 5}
        assert "POST /agents/{name}/message" in wrong("content.history", text=None, content=content)

    def test_everything_is_told_at_once(self):
        fields = [finding.field for finding in read({"performative": "ask", "priority": 11, "content": [], "to": "x"})]
        assert fields == ["to", "performative", "receiver", "priority", "content"]

    def test_there_is_an_end_to_the_findings(self):
        many = {"receiver": "helper", "content": {"rows": [math.nan] * 10_000}, **{f"f{n}": n for n in range(100)}}
        assert len(read(many)) == MOST_FINDINGS


VALUES = JSON | st.binary(max_size=5) | st.floats() | st.text(st.characters(), max_size=5) | NAMES


@given(st.dictionaries(st.sampled_from([*FIELDS, "id", "to", "performatif"]), VALUES, max_size=8))
def test_whatever_comes_is_a_message_or_what_is_wrong_with_it(given):
    found = read(given, ASKED)
    if isinstance(found, Message):
        assert isinstance(found.performative, Performative)
        assert isinstance(found.durability, Durability)
        assert msgspec.json.decode(msgspec.json.encode(found), type=Message) == found
    else:
        assert 0 < len(found) <= MOST_FINDINGS
        assert all(isinstance(finding, Finding) for finding in found)
        msgspec.json.encode(found)
