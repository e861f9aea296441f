"""Who is known, and whom a message goes to."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from caxton.bus.directory import Directory
from caxton.domain.bus_settings import Balance
from caxton.domain.capability import Capability, read_capability
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, Performative

ROWS = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "number"}}}, "required": ["rows"]}


class Box:
    """A mailbox that holds a number, and may refuse."""

    limit = 100

    def __init__(self, depth: int = 0, refusal: Code | None = None) -> None:
        self.depth = depth
        self.refusal = refusal

    def admit(self, message: Message) -> None:
        if self.refusal:
            raise CaxtonError(self.refusal, f"it says {self.refusal}")


def can(*names: str, **more: object) -> tuple[Capability, ...]:
    return tuple(Capability(name=read_capability(name), **more) for name in names)


def to(receiver: str, **more: object) -> Message:
    return Message(
        **{
            "id": "m",
            "performative": Performative.REQUEST,
            "sender": "asker",
            "receiver": receiver,
            "conversation_id": "talk",
            "created_at": 0.0,
            "content": {"text": "Draw."},
            **more,
        }
    )


def refused(directory: Directory, message: Message, **how: object) -> CaxtonError:
    with pytest.raises(CaxtonError) as refusal:
        directory.resolve(message, **how)
    return refusal.value


@pytest.fixture
def directory() -> Directory:
    return Directory(Balance.LEAST_LOADED, rng=random.Random(1))


def test_an_agent_is_found_by_its_name(directory):
    box = Box(refusal=Code.MAILBOX_FULL)
    directory.add("painter", box)
    assert directory.resolve(to("painter")) == "painter"
    assert directory.mailbox("painter") is box is directory.find("painter")
    assert "painter" in directory
    assert list(directory.addresses()) == ["painter"]


def test_the_nearest_name_is_told_where_there_is_none(directory):
    directory.add("painter", Box())
    error = refused(directory, to("paintre"))
    assert (error.code, error.message) == (Code.AGENT_NOT_FOUND, "There is no agent 'paintre'.")
    assert error.hint == "Did you mean 'painter'?"
    assert directory.find("paintre") is None


def test_whoever_has_gone_is_not_found_and_going_twice_is_harmless(directory):
    directory.add("painter", Box(), can("charts:v2"))
    directory.remove("painter")
    directory.remove("painter")
    assert refused(directory, to("painter")).code is Code.AGENT_NOT_FOUND
    assert refused(directory, to("capability:charts")).code is Code.CAPABILITY_NOT_FOUND
    assert directory.offers() == []
    assert directory.capabilities("painter") == ()


@pytest.mark.parametrize("wanted", ["charts", "charts:v2", "charts:v02"])
def test_a_version_is_met_by_name_alone_or_as_a_whole(directory, wanted):
    directory.add("painter", Box(), can("charts:v2", "maps"))
    directory.add("old-painter", Box(5), can("charts:v1"))
    assert directory.resolve(to(f"capability:{wanted}")) == "painter"


def test_another_version_is_not_what_was_asked_for(directory):
    directory.add("painter", Box(), can("charts:v2"))
    error = refused(directory, to("capability:charts:v3"))
    assert (error.code, error.message) == (Code.CAPABILITY_NOT_FOUND, "No agent can do 'charts:v3'.")
    assert (error.why, error.hint) == ("What there is: charts, charts:v2.", "Did you mean 'charts:v2'?")
    directory.add("plain", Box(), can("charts"))
    assert refused(directory, to("capability:charts:v3")).code is Code.CAPABILITY_NOT_FOUND


def test_an_agent_of_that_name_stands_in_for_a_capability_that_nobody_offers(directory):
    directory.add("charts", Box())
    assert directory.resolve(to("capability:charts")) == "charts"
    assert refused(directory, to("capability:charts:v2")).code is Code.CAPABILITY_NOT_FOUND
    directory.add("painter", Box(), can("charts"))
    assert directory.resolve(to("capability:charts")) == "painter"


def test_what_can_be_asked_for_is_told_while_it_is_little(directory):
    assert refused(directory, to("capability:charts")).why == "No agent offers any capability."
    for number in range(10):
        directory.add(f"agent-{number}", Box(), can(f"skill-{number}"))
    assert refused(directory, to("capability:charts")).why.startswith("What there is: skill-0, skill-1")
    directory.add("agent-10", Box(), can("skill-10"))
    error = refused(directory, to("capability:skil-10"))
    assert (error.why, error.hint) == ("", "Did you mean 'skill-10'?")


def test_an_odd_name_is_one_that_nobody_offers(directory):
    for name in ["charts:v" + "9" * 5000, "Charts", ":v2", "charts:v2:v2", "\0", "x" * 10_000]:
        assert refused(directory, to(f"capability:{name}")).code is Code.CAPABILITY_NOT_FOUND


def test_whoever_refuses_is_passed_over(directory):
    directory.add("stopped", Box(0, Code.AGENT_NOT_RUNNING), can("charts"))
    directory.add("full", Box(0, Code.MAILBOX_FULL), can("charts"))
    directory.add("busy", Box(9), can("charts"))
    assert directory.resolve(to("capability:charts")) == "busy"


def test_where_all_refuse_the_refusal_says_so(directory):
    directory.add("stopped", Box(0, Code.AGENT_NOT_RUNNING), can("charts"))
    assert refused(directory, to("capability:charts")).message == "it says agent_not_running"
    directory.add("another", Box(0, Code.AGENT_NOT_RUNNING), can("charts"))
    error = refused(directory, to("capability:charts"))
    assert (error.code, error.why) == (Code.AGENT_NOT_RUNNING, "it says agent_not_running")
    assert error.message == "None of 2 agents that can do 'charts' takes a message now."


def test_where_none_has_room_it_goes_to_a_full_one_but_to_no_stopped_one(directory):
    directory.add("stopped", Box(0, Code.AGENT_NOT_RUNNING), can("charts"))
    assert refused(directory, to("capability:charts")).code is Code.AGENT_NOT_RUNNING
    directory.add("full", Box(9, Code.MAILBOX_FULL), can("charts"))
    directory.add("fuller", Box(12, Code.MAILBOX_FULL), can("charts"))
    assert directory.resolve(to("capability:charts")) == "full"
    assert directory.resolve(to("capability:charts"), avoid={"full"}) == "fuller"
    directory.add("busy", Box(50), can("charts"))
    assert directory.resolve(to("capability:charts")) == "busy"


def test_work_does_not_come_back_to_whoever_had_it(directory):
    directory.add("painter", Box(), can("charts"))
    directory.add("drawer", Box(9), can("charts"))
    sent = to("capability:charts", sender="writer", path=("asker", "painter"))
    assert directory.resolve(sent, avoid={*sent.path, sent.sender}) == "drawer"
    directory.remove("drawer")
    error = refused(directory, sent, avoid={*sent.path, sent.sender})
    assert error.code is Code.DELEGATION_LOOP
    assert error.message == (
        "Only 'painter' can do 'charts', and the work has been there already: asker → painter → writer."
    )
    direct = to("painter", path=("asker", "painter"), sender="painter")
    assert "asker → painter." in refused(directory, direct, avoid={"painter"}).message
    directory.remove("painter")
    directory.add("charts", Box())
    assert refused(directory, to("capability:charts"), avoid={"charts"}).code is Code.DELEGATION_LOOP


def test_a_full_one_that_is_no_loop_is_chosen_before_the_loop(directory):
    directory.add("painter", Box(), can("charts"))
    directory.add("drawer", Box(0, Code.MAILBOX_FULL), can("charts"))
    assert directory.resolve(to("capability:charts"), avoid={"painter"}) == "drawer"


def test_content_has_to_fit_what_the_capability_takes(directory):
    directory.add("painter", Box(), can("charts:v2", input=ROWS))
    assert directory.resolve(to("capability:charts", content={"rows": [1, 2.5]})) == "painter"
    error = refused(directory, to("capability:charts", content={"rows": [1, "two"]}))
    assert error.code is Code.CONTENT_MISMATCH
    assert error.message == (
        "The content is not what 'painter' takes for 'charts:v2': $.rows[1]: \"two\" is not of type \"number\"."
    )
    assert error.hint == "`caxton capability show charts:v2` has its schema."
    missing = refused(directory, to("capability:charts:v2", content={"text": "Draw."}))
    assert '$: "rows" is a required property' in missing.message


def test_only_what_asks_has_to_fit_and_only_where_the_capability_is_named(directory):
    directory.add("painter", Box(), can("charts", input=ROWS))
    directory.resolve(to("painter"))
    for performative in Performative:
        sent = to("capability:charts", performative=performative)
        if performative in (Performative.REQUEST, Performative.QUERY_IF, Performative.QUERY_REF):
            assert refused(directory, sent).code is Code.CONTENT_MISMATCH
        else:
            assert directory.resolve(sent) == "painter"


def test_a_problem_is_told_in_short_and_a_schema_fetches_nothing(directory):
    directory.add("painter", Box(), can("charts", input=ROWS))
    error = refused(directory, to("capability:charts", content={"rows": ["x" * 10_000] * 1000}))
    assert len(error.message) < 1000
    directory.add("painter", Box(), can("charts", input={"$ref": "http://127.0.0.1:1/schema.json"}))
    error = refused(directory, to("capability:charts"))
    assert "the schema cannot be used: Resource 'http://127.0.0.1:1/schema.json' is not present" in error.message
    recursive = {"$ref": "#/$defs/tree", "$defs": {"tree": {"additionalProperties": {"$ref": "#/$defs/tree"}}}}
    directory.add("painter", Box(), can("charts", input=recursive))
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"in": deep}
    assert "nested too deeply" in refused(directory, to("capability:charts", content=deep)).message


def test_the_plain_name_means_the_offer_without_a_version_else_the_newest(directory):
    takes_rows, takes_all = can("charts:v2", input=ROWS), can("charts:v10", "charts:v9")
    directory.add("painter", Box(), (*takes_all, *takes_rows))
    assert directory.resolve(to("capability:charts")) == "painter"
    assert refused(directory, to("capability:charts:v2")).code is Code.CONTENT_MISMATCH
    directory.add("painter", Box(), (*can("charts", input=ROWS), *takes_all))
    assert refused(directory, to("capability:charts")).code is Code.CONTENT_MISMATCH


def test_registering_again_replaces_what_was_known(directory):
    directory.add("painter", Box(1), can("charts", "maps"))
    directory.measured("painter", 2.0)
    directory.add("painter", Box(7), can("maps", "films:v1"))
    assert [str(one.capability.name) for one in directory.offers()] == ["maps", "films:v1"]
    assert {(one.waiting, one.limit, one.seconds) for one in directory.offers()} == {(7, 100, 2.0)}
    assert refused(directory, to("capability:charts")).code is Code.CAPABILITY_NOT_FOUND
    assert directory.providers("films") == directory.providers("films:v1") == ["painter"]
    assert directory.providers("charts") == []
    directory.add("painter", Box())
    assert directory.offers() == []
    assert directory.resolve(to("painter")) == "painter"


def test_a_conversation_stays_with_the_agent_that_it_began_with():
    directory = Directory(Balance.CONTEXT, rng=random.Random(1))
    first, second = Box(), Box()
    directory.add("one", first, can("charts"))
    directory.add("two", second, can("charts"))
    chosen = directory.resolve(to("capability:charts"))
    directory.mailbox(chosen).depth = 5
    assert directory.resolve(to("capability:charts")) == chosen
    other = "two" if chosen == "one" else "one"
    assert directory.resolve(to("capability:charts", conversation_id="another")) == other
    directory.spoke("talk", other)
    assert directory.resolve(to("capability:charts")) == other
    directory.spoke("talk", "somebody")
    assert directory.resolve(to("capability:charts")) == other


def test_the_fastest_gets_it_as_far_as_is_known():
    directory = Directory(Balance.FASTEST, rng=random.Random(1))
    directory.add("slow", Box(), can("charts"))
    directory.add("quick", Box(), can("charts"))
    directory.measured("slow", 2.0)
    directory.measured("quick", 1.0)
    directory.measured("nobody", 1.0)
    chosen = [directory.resolve(to("capability:charts")) for _ in range(100)]
    assert chosen.count("quick") >= 90


def test_one_that_fails_at_once_does_not_seem_the_fastest():
    directory = Directory(Balance.FASTEST, rng=random.Random(1))
    directory.add("broken", Box(), can("charts"))
    directory.add("sound", Box(), can("charts"))
    directory.measured("sound", 5.0)
    directory.failed("broken")
    directory.failed("nobody")
    directory.measured("broken", 0.001)
    assert [directory.resolve(to("capability:charts")) for _ in range(100)].count("sound") >= 90
    for _ in range(40):
        directory.measured("broken", 0.1)
    assert directory.resolve(to("capability:charts")) == "broken"


NAMES = ["one", "two", "three", "charts", "maps"]
OFFERS = ["charts", "charts:v1", "charts:v2", "maps"]


class DirectoryMachine(RuleBasedStateMachine):
    """A directory of any balancing against a dict of who offers what."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, tuple[Box, set[str]]] = {}
        self.directory = Directory()

    @precondition(lambda self: not self.known)
    @rule(balance=st.sampled_from(Balance), seed=st.integers())
    def begin_anew(self, balance: Balance, seed: int) -> None:
        self.directory = Directory(balance, rng=random.Random(seed))

    @rule(
        address=st.sampled_from(NAMES),
        offers=st.sets(st.sampled_from(OFFERS)),
        depth=st.integers(0, 5),
        refusal=st.sampled_from([None, None, Code.MAILBOX_FULL, Code.AGENT_NOT_RUNNING]),
    )
    def add(self, address: str, offers: set[str], depth: int, refusal: Code | None) -> None:
        self.known[address] = Box(depth, refusal), offers
        self.directory.add(address, self.known[address][0], can(*sorted(offers)))

    @rule(address=st.sampled_from(NAMES))
    def remove(self, address: str) -> None:
        self.known.pop(address, None)
        self.directory.remove(address)

    @rule(address=st.sampled_from(NAMES), seconds=st.floats(0, 100))
    def measure(self, address: str, seconds: float) -> None:
        self.directory.measured(address, seconds)
        self.directory.spoke("talk", address)

    @rule(wanted=st.sampled_from([*OFFERS, "charts:v3", "films"]), avoid=st.sets(st.sampled_from(NAMES)))
    def resolve(self, wanted: str, avoid: set[str]) -> None:
        able = {name for name, (_, offers) in self.known.items() if self.meets(offers, wanted)}
        if not able and wanted in self.known:
            able = willing = {wanted} - avoid
        else:
            ranks = {name: self.known[name][0].refusal for name in able - avoid}
            free = {name for name, refusal in ranks.items() if refusal is None}
            willing = free or {name for name, refusal in ranks.items() if refusal is Code.MAILBOX_FULL}
        sent = to(f"capability:{wanted}")
        if willing:
            assert self.directory.resolve(sent, avoid=avoid) in willing
            return
        if able - avoid:
            expected = Code.AGENT_NOT_RUNNING
        elif able or wanted in self.known:
            expected = Code.DELEGATION_LOOP
        else:
            expected = Code.CAPABILITY_NOT_FOUND
        assert refused(self.directory, sent, avoid=avoid).code is expected

    @invariant()
    def lists_what_is_offered(self) -> None:
        listed = {(one.agent, str(one.capability.name)) for one in self.directory.offers()}
        assert listed == {(name, offer) for name, (_, offers) in self.known.items() for offer in offers}
        assert set(self.directory.addresses()) == self.known.keys()
        for wanted in OFFERS:
            able = {name for name, (_, offers) in self.known.items() if self.meets(offers, wanted)}
            assert set(self.directory.providers(wanted)) == able

    @staticmethod
    def meets(offers: set[str], wanted: str) -> bool:
        return any(read_capability(offer).meets(read_capability(wanted)) for offer in offers)


TestDirectory = DirectoryMachine.TestCase
TestDirectory.settings = settings(max_examples=50)


@given(text=st.text(max_size=20))
def test_reading_a_capability_and_writing_it_again_keeps_what_it_means(text):
    name = read_capability(text)
    assert read_capability(str(name)) == name
