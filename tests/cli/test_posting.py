"""`caxton message` beyond a request to one agent: other acts, other addresses, no waiting."""

import json

import msgspec
import pytest

from caxton.domain.message import Message, Performative
from caxton.service.api.posting import AcceptedMessage, Posted

HELD = Posted(accepted=[AcceptedMessage(id="m1", receiver="helper", conversation_id="c")], replies=[])


def a_reply(performative: Performative, content: dict, sender: str = "helper", to: str = "m1") -> Message:
    return Message(
        id=f"r-{sender}",
        performative=performative,
        sender=sender,
        receiver="user",
        conversation_id="c",
        created_at=1.0,
        content=content,
        in_reply_to=to,
    )


@pytest.fixture
def told(raw):
    """Has the server answer with a value."""
    return lambda value: raw.answers(200, msgspec.json.encode(value))


def test_a_message_is_left_without_waiting_and_its_reply_is_there_later(caxton, agent):
    id, _, _, to = caxton.out("message", "send", agent, "Hello", "--no-wait").split()
    assert to == agent
    assert caxton.out("message", "reply", id, "--timeout", "10s") == "echo: Hello\n"


def test_programs_get_the_ids(caxton, agent):
    posted = caxton.json("message", "send", agent, "Hello", "--no-wait")
    assert posted["replies"] == []
    assert posted["accepted"][0]["receiver"] == agent


def test_a_message_has_a_priority_and_a_sender(caxton, agent):
    assert caxton.out("message", "send", agent, "Hello", "--priority", "9", "--sender", "ada") == "echo: Hello\n"
    listed = caxton.json("message", "list", agent, "--sender", "ada")["messages"]
    assert [(one["priority"], one["sender"]) for one in listed] == [(9, "ada")]


def test_a_query_is_answered_like_a_request(caxton, agent):
    assert caxton.out("message", "send", agent, "Hello", "--performative", "query-ref") == "echo: Hello\n"


def test_what_is_told_is_not_answered(caxton, agent):
    said = caxton("message", "send", agent, "News", "--performative", "inform", "--no-wait").stdout
    assert said.endswith(f"sent to {agent}\n")


def test_an_act_that_needs_no_text_needs_none(caxton, agent):
    said = caxton.out("message", "send", agent, "--performative", "cancel")
    assert said == "There was nothing to cancel.\n"


def test_an_unknown_act_is_told_with_the_nearest(caxton, agent):
    said = caxton.err("message", "send", agent, "Hello", "--performative", "requst", fails=2)
    assert "'requst'" in said
    assert "Did you mean 'request'?" in said


def test_nobody_who_can_do_it_is_told(caxton):
    said = caxton.err("message", "send", "capability:nothing", "Hello", fails=1)
    assert "'nothing'" in said


def test_a_stream_is_for_requests_to_one_agent(caxton, agent):
    assert "--stream" in caxton.err("message", "send", agent, "Hello", "--stream", "--priority", "9", fails=2)
    assert "--stream" in caxton.err("message", "send", "all", "Hello", "--stream", fails=2)


@pytest.mark.parametrize("option", ["--timeout", "--since"])
def test_a_duration_that_is_none_is_told(caxton, agent, option):
    command = ("send", agent, "Hello") if option == "--timeout" else ("list", agent)
    assert option in caxton.err("message", *command, option, "soon", fails=2)


def test_several_replies_are_told_with_who_said_them(apart, told):
    replies = [
        a_reply(Performative.INFORM, {"text": "Yes."}),
        a_reply(Performative.REFUSE, {"text": "No time."}, "other", "m2"),
        a_reply(Performative.FAILURE, {"error": {"code": "internal", "message": "Broken."}}, "third", "m3"),
    ]
    ids = {"m1": "helper", "m2": "other", "m3": "third", "m4": "fourth"}
    accepted = [AcceptedMessage(id=id, receiver=name, conversation_id="c") for id, name in ids.items()]
    told(Posted(accepted=accepted, replies=replies))
    result = apart("message", "send", "all", "Hello")
    assert result.stdout.splitlines() == [
        "helper: Yes.",
        "other: (refuse) No time.",
        "third: (failure) Broken.",
        "m4  sent to fourth",
    ]
    assert "caxton message reply" in result.stderr


def test_where_nobody_listens_that_is_told(apart, told):
    told(Posted(accepted=[], replies=[]))
    assert apart.out("message", "send", "group:team", "Hello") == "Nobody takes messages there now.\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": {"code": "provider_unavailable", "message": "It is away.", "hint": "Wait."}}, "It is away."),
        ({"text": "odd"}, "answered with failure"),
    ],
)
def test_a_failure_is_the_commands_own(apart, told, content, words):
    told(Posted(accepted=HELD.accepted, replies=[a_reply(Performative.FAILURE, content)]))
    assert words in apart.err("message", "send", "helper", "Hello", "--priority", "3", fails=1)
    told(a_reply(Performative.FAILURE, content))
    assert words in apart.err("message", "reply", "m1", fails=1)


def test_the_options_become_the_fields_of_the_message(apart, told, raw):
    told(HELD)
    apart(
        *("message", "send", "capability:charts", "Draw", "--performative", "propose", "--priority", "2"),
        *("--sender", "ada", "--in-reply-to", "m0", "--timeout", "1m30s", "--conversation", "c"),
    )
    body = json.loads(raw.requests[-1].partition(b"\r\n\r\n")[2])
    assert body == {
        "receiver": "capability:charts",
        "text": "Draw",
        "performative": "propose",
        "priority": 2,
        "sender": "ada",
        "in_reply_to": "m0",
        "conversation_id": "c",
        "wait": 90.0,
    }


class TestList:
    def test_it_has_everybodys(self, caxton, agent):
        caxton("message", "send", agent, f"for {agent}")
        said = caxton.out("message", "list", "--limit", "100")
        assert f"for {agent}" in said

    def test_it_has_those_of_an_act_of_a_state_and_of_late(self, caxton, agent):
        caxton("message", "send", agent, "Hello")
        only = caxton.json("message", "list", agent, "--performative", "inform", "--state", "settled", "--since", "1h")
        assert [one["text"] for one in only["messages"]] == ["echo: Hello"]
        assert caxton.json("message", "list", agent, "--state", "dead")["messages"] == []

    def test_a_state_that_there_is_not_is_told(self, caxton):
        assert "dead" in caxton.err("message", "list", "--state", "ded", fails=2)
