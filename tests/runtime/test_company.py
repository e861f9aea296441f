"""What the agents of a group are given of what was said."""

from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.completion import Role
from caxton.domain.conversation import Group, Participant, ParticipantKind
from caxton.domain.message import Message, Performative
from caxton.runtime.company import MOST_READ, Company, exchanges, lines, reading, said_before
from caxton.testing.conversations import MemoryGroupStore
from caxton.testing.memory import MemoryMessageStore


class Talk:
    """A conversation as it is stored: what is said to the group once for each of its agents."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._numbers = count(1)

    def say(
        self, text: str, *agents: str, sender: str = "ada", to: str = "group:g1", said=None, **fields
    ) -> list[Message]:
        """The copies of one message, one for each agent."""
        at = float(next(self._numbers))
        copies = [
            Message(
                id=f"m{next(self._numbers):04}",
                performative=fields.get("performative", Performative.REQUEST),
                sender=sender,
                receiver=agent,
                conversation_id="g1",
                created_at=at,
                content={"text": text},
                addressed=to,
                reply_with=said,
            )
            for agent in agents
        ]
        self.messages += copies
        return copies

    def answer(self, request: Message, text: str, performative=Performative.INFORM) -> Message:
        number = next(self._numbers)
        reply = Message(
            id=f"m{number:04}",
            performative=performative,
            sender=request.receiver,
            receiver=request.sender,
            conversation_id="g1",
            created_at=float(number),
            content={"text": text},
            in_reply_to=request.id,
        )
        self.messages.append(reply)
        return reply

    def heard(self, request: Message) -> list[str]:
        """What the receiver of a request reads, its own words marked."""
        agent = request.receiver
        read = lines(said_before(self.messages, request), agent, request)
        assert sum(line.current for line in read) == 1
        return [f"* {line.text}" if line.role is Role.ASSISTANT else line.text for line in read]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_what_is_said_to_all_is_read_once(talk):
    writer, reviewer = talk.say("Hello", "writer", "reviewer")
    assert talk.heard(writer) == ["ada: Hello"]
    assert talk.heard(reviewer) == ["ada: Hello"]


def test_who_is_asked_at_once_does_not_see_what_the_others_answer(talk):
    writer, reviewer = talk.say("Hello", "writer", "reviewer")
    talk.answer(writer, "I write")
    assert talk.heard(reviewer) == ["ada: Hello"]


def test_who_is_asked_in_turn_does(talk):
    [writer] = talk.say("Hello", "writer", said="one")
    talk.answer(writer, "I write")
    [reviewer] = talk.say("Hello", "reviewer", said="one")
    assert talk.heard(reviewer) == ["ada: Hello", "writer: I write"]


def test_a_second_round_hears_all_of_the_first_and_the_message_where_it_was_said(talk):
    for one in talk.say("Hello", "writer", "reviewer", said="one"):
        talk.answer(one, f"I am the {one.receiver}")
    again = talk.say("Hello", "writer", "reviewer", said="one")
    assert talk.heard(again[0]) == ["ada: Hello", "* I am the writer", "reviewer: I am the reviewer"]
    assert talk.heard(again[1]) == ["ada: Hello", "* I am the reviewer", "writer: I am the writer"]


def test_the_next_message_is_heard_after_all_replies_to_the_one_before_however_late(talk):
    writer, reviewer = talk.say("One", "writer", "reviewer")
    following, _ = talk.say("Two", "writer", "reviewer")
    talk.answer(writer, "re one")
    assert talk.heard(following) == ["ada: One", "* re one", "ada: Two"]
    talk.answer(reviewer, "late")
    assert talk.heard(following) == ["ada: One", "* re one", "ada: Two", "reviewer: late"]


def test_every_prompt_begins_as_the_one_before_whoever_answered_first(talk):
    before: dict[str, list[str]] = {"writer": [], "reviewer": []}
    for number in range(4):
        requests = talk.say(f"Message {number}", "writer", "reviewer")
        for request in requests:
            heard = talk.heard(request)
            assert heard[: len(before[request.receiver])] == before[request.receiver]
            before[request.receiver] = heard
        for request in requests if number % 2 else reversed(requests):
            talk.answer(request, f"{request.receiver} answers {number}")


def test_what_nobody_answered_and_what_failed_was_never_said(talk):
    for failed in talk.say("Too long", "writer", "reviewer"):
        talk.answer(failed, "no room", Performative.FAILURE)
    talk.say("Nobody was there", "writer")
    writer, reviewer = talk.say("Half of you", "writer", "reviewer")
    talk.answer(writer, "broken", Performative.FAILURE)
    talk.answer(reviewer, "done")
    [now] = talk.say("Now", "writer")
    assert talk.heard(now) == ["ada: Half of you", "reviewer: done", "ada: Now"]


def test_what_asks_for_no_answer_is_part_of_the_talk(talk):
    talk.say("For your information", "writer", "reviewer", sender="editor", performative=Performative.INFORM)
    [now] = talk.say("Now", "writer")
    assert talk.heard(now) == ["editor: For your information", "ada: Now"]


def test_who_joins_late_hears_what_was_said_before(talk):
    [writer] = talk.say("Hello", "writer")
    talk.answer(writer, "Hi")
    _, late = talk.say("Welcome", "writer", "latecomer")
    assert talk.heard(late) == ["ada: Hello", "writer: Hi", "ada: Welcome"]


def test_what_is_said_in_data_is_read_as_such(talk):
    [data] = talk.say("Chart this", "writer")
    talk.messages[-1] = data = msgspec.structs.replace(data, content={"text": "Chart this", "rows": [1, 2]})
    assert talk.heard(data) == ['ada: Chart this\n\n{"rows":[1,2]}']


def test_an_agents_own_message_to_the_group_is_its_own(talk):
    for request in talk.say("What about tea?", "reviewer", "editor", sender="writer"):
        talk.answer(request, "yes")
    [now] = talk.say("So?", "writer")
    assert talk.heard(now) == ["* What about tea?", "reviewer: yes", "editor: yes", "ada: So?"]


def test_what_two_say_to_each_other_alone_is_not_taken_for_one_message(talk):
    for text in ("yes", "yes"):
        [request] = talk.say(text, "writer", to="writer")
        talk.answer(request, "ok")
    [now] = talk.say("Now", "writer")
    assert talk.heard(now) == ["ada: yes", "* ok", "ada: yes", "* ok", "ada: Now"]


def test_a_request_that_is_not_stored_comes_last(talk):
    [writer] = talk.say("Hello", "writer")
    talk.answer(writer, "Hi")
    [now] = Talk().say("Now", "writer")
    assert talk.heard(msgspec.structs.replace(now, id="elsewhere")) == ["ada: Hello", "* Hi", "ada: Now"]


def test_exchanges_are_requests_with_their_replies(talk):
    first = talk.say("Hello", "writer", "reviewer")
    replies = [talk.answer(one, "Hi") for one in first]
    [now] = talk.say("Now", "writer")
    found = exchanges(said_before(talk.messages, now))
    assert [(one.request, one.reply) for one in found] == list(zip(first, replies, strict=True))


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=20))
def test_whatever_was_said_each_message_is_heard_once_and_the_request_is_among_it(steps):
    talk, open_requests = Talk(), []
    for agents, answers, fails in steps:
        open_requests += talk.say(f"text {len(talk.messages)}", *["writer", "reviewer"][:agents])
        if answers and open_requests:
            request = open_requests.pop(0)
            talk.answer(request, "reply", Performative.FAILURE if fails else Performative.INFORM)
    [now] = talk.say("Now", "writer")
    heard = said_before(talk.messages, now)
    said = [(one.message.sender, one.message.created_at) for one in heard]
    assert len(set(said)) == len(said)
    own = {m.id for m in talk.messages if m.sender == "writer" and m.performative is Performative.INFORM}
    assert own <= {one.message.id for one in heard}
    assert not any(one.message.performative is Performative.FAILURE for one in heard)


def a_group(*names: str) -> Group:
    def takes_part(name: str) -> Participant:
        kind = ParticipantKind.PERSON if name == "ada" else ParticipantKind.AGENT
        return Participant(name=name, kind=kind, joined_at=1.0)

    return Group(id="g1", created_at=1.0, participants=tuple(takes_part(name) for name in names))


def test_an_agent_is_told_who_else_is_there_and_what_for():
    about = {"writer": "Writes\n  what was found"}
    company = Company(MemoryGroupStore(MemoryMessageStore()), lambda name: about.get(name, ""))
    told = company.introduce(a_group("researcher", "writer", "reviewer", "ada"), "researcher")
    assert told == (
        "You are researcher. You are in a conversation with writer (Writes what was found), reviewer, ada. "
        "Speak for yourself only."
    )
    assert company.introduce(a_group("researcher"), "researcher") == ""


def test_what_is_read_is_bounded_by_the_turns_and_not_by_the_group():
    assert reading(a_group("writer", "reviewer", "ada"), 10) == 40
    assert reading(a_group("ada"), 10) == 20
    assert reading(a_group(*(f"agent-{n}" for n in range(500))), 50) == MOST_READ
