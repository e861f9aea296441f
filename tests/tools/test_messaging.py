"""The messaging tools over a messenger that notes what it is asked; the real one stands in `tests/runtime`."""

import math
from collections.abc import Sequence

import msgspec
import pytest

from caxton.domain.capability import Capability, CapabilityName
from caxton.domain.clock import SystemClock
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.domain.ports.messenger import Contact, Errand
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool import ToolCall, ToolName
from caxton.domain.tool_settings import McpServerSettings, ToolSettings
from caxton.tools.catalogue import open_tools
from caxton.tools.messaging import LONGEST_WAIT, MOST, MessagingHost, messaging_kind


class Notes:
    """Implements `ports.messenger.Messenger`: replies with `reply`, or raises it."""

    def __init__(self) -> None:
        self.reply: Message | CaxtonError = a_reply(Performative.INFORM, {"text": "drawn"})
        self.errands: list[Errand] = []
        self.acts: list[Performative] = []
        self.sent: list[Message] = [self.reply]
        self.contacts: list[Contact] = []
        self.wanted: list[tuple[str, str, int]] = []

    async def ask(self, errand: Errand) -> Message:
        self.errands.append(errand)
        if isinstance(self.reply, CaxtonError):
            raise self.reply
        return self.reply

    async def send(self, errand: Errand, performative: Performative) -> Sequence[Message]:
        self.errands.append(errand)
        self.acts.append(performative)
        return self.sent

    def find(self, agent: str, words: str, limit: int) -> list[Contact]:
        self.wanted.append((agent, words, limit))
        return self.contacts


def a_reply(performative: Performative, content: dict[str, object]) -> Message:
    return Message(
        id="reply",
        performative=performative,
        sender="artist",
        receiver="helper",
        conversation_id="talk/artist",
        created_at=0.0,
        content=content,
    )


@pytest.fixture
def messenger() -> Notes:
    return Notes()


@pytest.fixture
def host(messenger: Notes) -> MessagingHost:
    context = HostContext(clock=SystemClock(), environ={})
    return messaging_kind(messenger)(McpServerSettings(name="messaging", kind="messaging"), context)


def a_call(tool: str, agent: str | None = "helper", occurrence: int = 0, **arguments: object) -> ToolCall:
    return ToolCall(
        id="1",
        tool=ToolName("messaging", tool),
        arguments=arguments,
        agent=agent,
        request="asked",
        occurrence=occurrence,
    )


async def test_the_reply_of_the_other_is_the_result(host, messenger):
    result = await host.call(a_call("ask", to="artist", text="Draw", priority=7, timeout=30, occurrence=2))
    assert (result.text(), result.failed) == ("drawn", False)
    assert result.structured == {"agent": "artist", "message": "reply", "conversation_id": "talk/artist"}
    assert messenger.errands == [
        Errand(agent="helper", request="asked", to="artist", text="Draw", occurrence=2, priority=7, timeout=30.0)
    ]


async def test_a_reply_without_text_is_read_as_a_whole(host, messenger):
    messenger.reply = a_reply(Performative.INFORM, {"rows": [1, 2]})
    assert (await host.call(a_call("ask", to="artist", text="Draw"))).text() == '{"rows":[1,2]}'


ERROR = CaxtonError(Code.PROVIDER_UNAVAILABLE, "The model is away.", hint="Wait.")


async def test_what_the_other_could_not_do_is_a_failure_with_its_reason(host, messenger):
    messenger.reply = a_reply(Performative.FAILURE, {"error": msgspec.to_builtins(ERROR.report())})
    result = await host.call(a_call("ask", to="artist", text="Draw"))
    assert (result.failed, result.error.code) == (True, Code.PROVIDER_UNAVAILABLE)
    assert result.text() == "The model is away. Wait."


NO = "No time."


@pytest.mark.parametrize("content", [{"text": NO}, {"error": NO}, {"error": {"code": 5}, "text": NO}])
@pytest.mark.parametrize("act", [Performative.REFUSE, Performative.FAILURE, Performative.NOT_UNDERSTOOD])
async def test_a_no_in_other_words_is_told_in_those(host, messenger, act, content):
    messenger.reply = a_reply(act, content)
    result = await host.call(a_call("ask", to="artist", text="Draw"))
    assert (result.failed, result.error.code) == (True, Code.TOOL_FAILED)
    assert NO in result.text()
    assert act.value in result.text()


async def test_what_keeps_the_message_from_arriving_is_a_failure_with_a_way_out(host, messenger):
    messenger.reply = CaxtonError(Code.CAPABILITY_NOT_FOUND, "Nobody can do 'chart'.", hint="Did you mean 'charts'?")
    result = await host.call(a_call("ask", to="chart", text="Draw"))
    assert (result.failed, result.error.code) == (True, Code.CAPABILITY_NOT_FOUND)
    assert result.text() == "Nobody can do 'chart'. Did you mean 'charts'?"


async def test_what_is_sent_is_informed_unless_it_is_requested(host, messenger):
    told = (await host.call(a_call("send", to="artist", text="News"))).text()
    assert told == "Sent to helper."
    told = (await host.call(a_call("send", to="artist", text="Draw", performative="request"))).text()
    assert "as a message of its own" in told
    assert messenger.acts == [Performative.INFORM, Performative.REQUEST]


async def test_a_group_in_which_nobody_listens_is_told(host, messenger):
    messenger.sent = []
    assert (await host.call(a_call("send", to="group:team", text="News"))).failed


@pytest.mark.parametrize("tool", ["send"])
async def test_an_agent_does_not_speak_to_everybody(host, messenger, tool):
    assert (await host.call(a_call(tool, to="all", text="News"))).failed
    assert messenger.errands == []


async def test_who_is_found_is_told_in_a_line_each(host, messenger):
    charts = Capability(name=CapabilityName("charts", 2), description="Pictures of numbers.")
    messenger.contacts = [
        Contact(
            name="artist", description="Draws\nwell.", capabilities=(charts, Capability(name=CapabilityName("art")))
        ),
        Contact(name="plain"),
    ]
    told = (await host.call(a_call("find", words="charts", limit=3))).text()
    assert told.splitlines() == [
        "artist: Draws well. Can do: charts:v2 (Pictures of numbers.); art",
        "plain: Says nothing of itself.",
    ]
    messenger.contacts = []
    assert (await host.call(a_call("find"))).text() == "Nobody was found."
    assert messenger.wanted == [("helper", "charts", 3), ("helper", "", 10)]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ask", {}),
        ("ask", {"to": "artist"}),
        ("ask", {"to": "", "text": "x"}),
        ("ask", {"to": "artist", "text": ""}),
        ("ask", {"to": "artist", "text": 5}),
        ("ask", {"to": "artist", "text": "x", "priority": 10}),
        ("ask", {"to": "artist", "text": "x", "timeout": 0}),
        ("ask", {"to": "artist", "text": "x", "timeout": LONGEST_WAIT + 1}),
        ("ask", {"to": "artist", "text": "x", "timeout": math.nan}),
        ("ask", {"to": "artist", "text": "x", "sender": "boss"}),
        ("send", {"to": "artist", "text": "x", "performative": "cancel"}),
        ("find", {"limit": 0}),
        ("find", {"limit": MOST + 1}),
        ("find", {"words": 5}),
    ],
)
async def test_arguments_that_do_not_fit_are_told_and_nothing_is_sent(host, messenger, tool, arguments):
    result = await host.call(a_call(tool, **arguments))
    assert result.failed
    assert "arguments" in result.text()
    assert messenger.errands == []


@pytest.mark.parametrize("tool", ["ask", "send", "find"])
async def test_by_hand_there_is_nobody_to_speak_for(host, messenger, tool):
    result = await host.call(a_call(tool, None, to="artist", text="x"))
    assert result.failed
    assert "caxton message send" in result.text()
    assert messenger.errands == []


async def test_a_tool_that_there_is_not_is_told(host):
    assert (await host.call(a_call("shout", to="artist", text="x"))).error.code is Code.TOOL_NOT_FOUND


async def test_it_is_always_there(host):
    host.start()
    await host.restart()
    await host.aclose()
    assert host.health().status is HealthStatus.OK
    assert host.logs() == []
    assert [str(tool.name) for tool in await host.tools()] == ["messaging.ask", "messaging.send", "messaging.find"]


async def test_an_agent_may_do_what_its_list_says_and_no_more(messenger):
    settings = ToolSettings(servers={"messaging": McpServerSettings(name="messaging", kind="messaging")})
    clock = SystemClock()
    async with open_tools(
        settings, clock=clock, new_id=IdSource(clock), environ={}, kind_of=lambda kind: messaging_kind(messenger)
    ) as tools:
        tools.grant("helper", ["messaging.find"])
        assert [str(tool.name) for tool in await tools.available("helper")] == ["messaging.find"]
        result = await tools.call(a_call("ask", to="artist", text="Draw"))
        assert (result.failed, result.error.code) == (True, Code.TOOL_DENIED)
        assert messenger.errands == []
        tools.grant("helper", ["messaging.*"])
        assert (await tools.call(a_call("ask", to="artist", text="Draw"))).text() == "drawn"
        assert (await tools.call(a_call("ask", "other", to="artist", text="Draw"))).error.code is Code.TOOL_DENIED
