"""The supervisor and its actors."""

import asyncio

import pytest

from caxton.domain.agent import DesiredState
from caxton.domain.bus_settings import BusSettings
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lifecycle import AgentState, Trigger
from caxton.domain.message import Durability, MessageState, Performative
from caxton.runtime import actor as actor_module
from caxton.runtime.supervisor import FIRST_DELAY, LONGEST_DELAY


async def until(happened):
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0)


class Gate:
    """An answer that waits to be let through; `entered` counts the turns that got to it."""

    def __init__(self):
        self.entered = 0
        self.open = asyncio.Event()

    async def __call__(self, request):
        self.entered += 1
        await self.open.wait()
        return f"re: {request.messages[-1].content}"


async def test_a_new_agent_runs_and_answers(running):
    reply = await running.ask("hello")
    assert (reply.performative, reply.text, reply.sender) == (Performative.INFORM, "re: hello", "helper")
    assert running.supervisor.get("helper").state is AgentState.RUNNING
    assert running.providers.warmed == ["answers"]


async def test_a_new_definition_holds_from_the_next_turn_with_the_same_id_and_history(running):
    await running.ask("first")
    before = running.supervisor.get("helper").record.id
    loaded = running.a_definition(description="changed")
    await running.supervisor.apply(loaded)
    await running.ask("second")
    actor = running.supervisor.get("helper")
    assert actor.record.id == before
    assert actor.loaded is loaded
    assert [m.content for m in running.model.requests[-1].messages] == ["You help.", "first", "re: first", "second"]
    assert running.agents.find("helper").source == loaded.source


async def test_turns_of_one_conversation_follow_each_other_and_others_do_not_wait(running):
    gate = Gate()
    running.model.answer = gate
    asked = [
        asyncio.create_task(running.ask(f"{conversation}{n}", conversation=conversation))
        for n in range(3)
        for conversation in "ab"
    ]
    await until(lambda: gate.entered == 2)
    activity = running.supervisor.get("helper").activity
    assert (activity.active_turns, activity.waiting) == (2, 4)
    gate.open.set()
    replies = await asyncio.gather(*asked)
    assert [reply.text for reply in replies] == [f"re: {c}{n}" for n in range(3) for c in "ab"]
    order = [request.messages[-1].content for request in running.model.requests]
    assert [text for text in order if text.startswith("a")] == ["a0", "a1", "a2"]


async def test_a_message_that_comes_as_the_last_turn_allowed_ends_does_not_wait_for_another(stage):
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition(resources={"concurrent_turns": 1}))
        async with asyncio.timeout(5):
            for text in "abc":
                reply = await stage.bus.ask(stage.request(text, durability=Durability.MEMORY))
                assert reply.text == f"re: {text}"


async def test_no_more_turns_run_at_once_than_the_agent_allows(stage):
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition(resources={"concurrent_turns": 2}))
        gate = Gate()
        stage.model.answer = gate
        asked = [asyncio.create_task(stage.ask("x", conversation=f"c{n}")) for n in range(5)]
        await until(lambda: supervisor.get("helper").activity.waiting == 3)
        assert gate.entered == 2
        gate.open.set()
        assert len(await asyncio.gather(*asked)) == 5


async def test_a_crash_fails_the_message_and_restarts_only_that_agent(running):
    await running.supervisor.apply(running.a_definition("other"))

    def crash(request):
        if request.messages[-1].content == "boom":
            raise ZeroDivisionError("a bug")
        return "fine"

    running.model.answer = crash
    reply = await running.ask("boom")
    assert reply.performative is Performative.FAILURE
    assert reply.content["error"]["code"] == Code.TURN_CRASHED
    helper = running.supervisor.get("helper")
    assert helper.state is AgentState.FAILED
    assert "ZeroDivisionError: a bug" in helper.activity.last_error.message
    assert (await running.ask("hello", to="other", conversation="o")).text == "fine"

    waiting = asyncio.create_task(running.ask("while it is down"))
    await until(lambda: helper.activity.waiting == 1)
    assert not waiting.done()
    await running.clock.advance(FIRST_DELAY * 1.3)
    assert (await waiting).text == "fine"
    assert helper.state is AgentState.RUNNING
    assert helper.activity.restarts == 1
    await running.supervisor.flush()
    events = await running.agents.events("helper", 10)
    assert [event.trigger for event in events] == [Trigger.START, Trigger.FAIL, Trigger.START, Trigger.LOAD]


async def test_repeated_crashes_are_answered_with_ever_longer_waits(running):
    def crash(request):
        raise ZeroDivisionError

    running.model.answer = crash
    helper = running.supervisor.get("helper")
    waited = []
    for _ in range(9):
        await running.ask("boom")
        began = running.clock.now()
        while helper.state is AgentState.FAILED:
            await running.clock.advance(0.1)
        waited.append(running.clock.now() - began)
    assert FIRST_DELAY * 0.8 <= waited[0] <= FIRST_DELAY * 1.2 + 0.1
    assert waited[3] > waited[0] * 4
    assert max(waited) <= LONGEST_DELAY * 1.2 + 0.1


async def test_an_agent_that_overruns_its_time_answers_with_a_failure_and_goes_on(stage):
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition(resources={"max_execution_time": 0.01}))
        stage.model.answer = Gate()
        reply = await stage.ask("slow")
        assert reply.content["error"]["code"] == Code.TURN_TIMEOUT
        assert "max_execution_time of 0.01 s" in reply.content["error"]["message"]
        assert supervisor.get("helper").state is AgentState.RUNNING
        stage.model.answer = lambda request: "quick"
        assert (await stage.ask("again")).text == "quick"


async def test_a_stopped_agent_finishes_what_it_is_at_and_takes_no_more(running):
    gate = Gate()
    running.model.answer = gate
    asked = asyncio.create_task(running.ask("in time"))
    await until(lambda: gate.entered == 1)
    stopping = asyncio.create_task(running.supervisor.stop("helper"))
    helper = running.supervisor.get("helper")
    await until(lambda: helper.state is AgentState.DRAINING)
    with pytest.raises(CaxtonError, match="is draining") as raised:
        await running.ask("too late")
    assert raised.value.code is Code.AGENT_NOT_RUNNING
    gate.open.set()
    assert (await asked).text == "re: in time"
    await stopping
    assert helper.state is AgentState.STOPPED
    assert running.agents.find("helper").desired is DesiredState.STOPPED


async def test_a_stopped_agent_stays_stopped_over_a_restart_of_the_server(stage):
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition())
        await supervisor.stop("helper")
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition())
        assert supervisor.get("helper").state is AgentState.STOPPED
        await supervisor.start("helper")
        assert (await stage.ask("hello")).text == "re: hello"


async def test_commands_that_have_nothing_to_do_do_nothing(running):
    await running.supervisor.start("helper")
    await running.supervisor.stop("helper")
    await running.supervisor.stop("helper")
    assert running.supervisor.get("helper").state is AgentState.STOPPED
    await running.supervisor.restart("helper")
    assert running.supervisor.get("helper").state is AgentState.RUNNING


async def test_what_a_stopping_server_cuts_off_is_answered_by_the_next(stage):
    async with stage.opened(drain_timeout=0) as supervisor:
        await supervisor.apply(stage.a_definition())
        gate = Gate()
        stage.model.answer = gate
        asked = [asyncio.create_task(stage.ask(text)) for text in ("one", "two")]
        await until(lambda: gate.entered == 1)
    for one in asked:
        with pytest.raises(CaxtonError, match="server stops"):
            await one
    stage.model.answer = lambda request: "late"
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition())
        await until(lambda: supervisor.get("helper").activity.turns == 2)
    talk = [(turn.request.text, turn.reply.text) for turn in stage.messages.history("user:helper", "helper", 10)]
    assert talk == [("one", "late"), ("two", "late")]


async def test_a_message_that_no_server_lived_to_finish_is_given_up(stage):
    request = stage.request("poison")
    await stage.messages.append([request])
    for _ in range(actor_module.MAX_ATTEMPTS):
        await stage.messages.begin(request.id)
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition())
        await until(lambda: supervisor.get("helper").activity.failures == 1)
    assert stage.messages.find(request.id).state is MessageState.DEAD
    assert stage.messages.dead_letter(request.id).error.code is Code.DELIVERY_EXHAUSTED
    assert stage.messages.reply_to(request.id).content["error"]["code"] == Code.DELIVERY_EXHAUSTED
    assert not stage.model.requests


async def test_a_full_mailbox_leaves_messages_in_the_store_and_takes_them_up_in_their_order(stage):
    stage.bus_settings = BusSettings(mailbox=2)
    gate = Gate()
    stage.model.answer = gate
    async with stage.opened() as supervisor:
        stage.supervisor = supervisor
        helper = await supervisor.apply(stage.a_definition())
        asked = [asyncio.create_task(stage.ask(str(number))) for number in range(9)]
        await until(lambda: stage.messages.last() == 9)
        assert helper.depth == 2
        gate.open.set()
        replies = await asyncio.gather(*asked)
    assert [reply.text for reply in replies] == [f"re: {number}" for number in range(9)]
    assert [request.messages[-1].content for request in stage.model.requests] == [str(number) for number in range(9)]


async def test_a_store_that_cannot_settle_fails_the_wait_and_keeps_the_message(running):
    async def full(*arguments):
        raise CaxtonError(Code.STORAGE_FAILED, "The disk is full.")

    commit, running.messages.commit = running.messages.commit, full
    with pytest.raises(CaxtonError, match="disk is full"):
        await running.ask("hello")
    assert [one.message.text for one in await running.messages.claim("helper", after=0, limit=9)] == ["hello"]
    helper = running.supervisor.get("helper")
    assert helper.state is AgentState.RUNNING
    running.messages.commit = commit
    await running.clock.advance(1)
    assert await running.messages.waiting("helper") == 0
    assert (await running.ask("again")).text == "re: again"


async def test_an_answer_that_cannot_be_stored_is_a_failure(running):
    commit = running.messages.commit

    async def particular(changes):
        for change in changes:
            if "half" in change.reply.text:
                raise CaxtonError(Code.BODY_INVALID, "Half a surrogate.")
        await commit(changes)

    running.messages.commit = particular
    running.model.answer = lambda _: "half"
    reply = await running.ask("hello")
    assert reply.performative is Performative.FAILURE
    assert reply.content["error"]["code"] == Code.BODY_INVALID
    assert await running.messages.waiting("helper") == 0


async def test_a_removed_agent_keeps_its_id_for_its_return_unless_it_is_forgotten(running):
    first = running.supervisor.get("helper").record.id
    await running.supervisor.remove("helper")
    with pytest.raises(CaxtonError, match="no agent 'helper'"):
        await running.ask("hello")
    assert (await running.supervisor.apply(running.a_definition())).record.id == first
    await running.supervisor.remove("helper", forget=True)
    assert (await running.supervisor.apply(running.a_definition())).record.id != first


async def test_an_unknown_agent_is_answered_with_the_nearest_name(running):
    with pytest.raises(CaxtonError, match="no agent 'helpr'") as raised:
        await running.ask("hello", to="helpr")
    assert raised.value.hint == "Did you mean 'helper'?"
    with pytest.raises(CaxtonError, match="no agent 'helpr'"):
        running.supervisor.get("helpr")


async def test_an_agent_whose_provider_is_missing_says_so_in_its_turns(stage):
    async with stage.opened() as supervisor:
        await supervisor.apply(stage.a_definition(llm_providers=("gone",)))
        reply = await stage.ask("hello")
        assert reply.content["error"]["code"] == Code.PROVIDER_UNKNOWN
        assert supervisor.get("helper").state is AgentState.RUNNING
