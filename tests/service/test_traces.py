import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import a_request, an_answer

from caxton.domain.completion import Usage
from caxton.domain.delivery import Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import MessageState, Performative
from caxton.domain.observation import LONGEST
from caxton.domain.trace import trace_id_of, traceparent
from caxton.domain.turn import ToolStep, TurnTrace
from caxton.runtime.traces import Traces
from caxton.service.traces import TraceService, in_tree_order, parents_of
from caxton.testing.clock import FakeClock
from caxton.testing.messages import MemoryMessageStore

new_id = IdSource(FakeClock())


class House:
    """A service on a store in memory."""

    def __init__(self):
        self.store = MemoryMessageStore()
        self.traces = Traces()
        self.service = TraceService(store=self.store, traces=self.traces)

    async def ask(self, text="Hello", cause=None, **fields):
        """A request, of the trace of the one in whose handling it is sent."""
        id = new_id()
        parent = {"cause": cause.id, "sender": cause.receiver} if cause else {}
        given = {"id": id, "trace": traceparent(id, cause.trace if cause else None), **parent, **fields}
        message = a_request(text, **given)
        await self.store.append([message])
        return message

    async def answer(self, request, text="Hi", **content):
        reply = an_answer(
            request, id=new_id(), trace=request.trace, cause=request.id, content={"text": text, **content}
        )
        await self.store.commit([Settle(message_id=request.id, state=MessageState.SETTLED, reply=reply)])
        return reply


@pytest.fixture
def house():
    return House()


def drawn(tree):
    return [(node.depth, node.message.text) for node in tree.nodes]


async def test_a_tree_has_all_that_the_first_message_led_to_whichever_is_asked_for(house):
    first = await house.ask("write")
    facts = await house.ask("facts?", first, agent="researcher")
    more = await house.ask("sources?", facts, agent="library")
    await house.ask("another story")
    replies = [await house.answer(more, "books"), await house.answer(facts, "wet"), await house.answer(first, "done")]
    for message in (first, facts, more, *replies):
        tree = await house.service.tree(id=message.id)
        assert drawn(tree) == [(0, "write"), (1, "facts?"), (2, "sources?"), (3, "books"), (2, "wet"), (1, "done")]
        assert tree.trace_id == trace_id_of(first.id, None)
        assert (tree.began, tree.complete) == (first.created_at, True)
        assert tree.duration == replies[-1].created_at - first.created_at
    node = tree.nodes[1]
    assert (node.parent, node.state, node.after) == (first.id, "settled", facts.created_at - first.created_at)
    assert node.took == replies[1].created_at - facts.created_at
    assert tree.nodes[-1].took is None


async def test_a_reply_says_what_it_cost_over_restarts(house):
    request = await house.ask()
    tools = [{"tool": "files.read_file", "failed": False, "duration": 0.5}]
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    await house.answer(request, provider="local", model="smol", usage=usage, duration=1.5, tools=tools)
    node = (await house.service.tree(id=request.id)).nodes[1]
    assert (node.provider, node.model, node.duration) == ("local", "smol", 1.5)
    assert node.usage == Usage(prompt_tokens=7, completion_tokens=2)
    assert [(use.tool, use.duration) for use in node.tools] == [("files.read_file", 0.5)]
    assert (node.turn, node.model_calls) == (False, None)


async def test_a_recent_turn_says_how_often_the_model_was_asked(house):
    request = await house.ask()
    await house.answer(request)
    steps = tuple(ToolStep(round=round_, tool="t", arguments="", result="") for round_ in (1, 1, 2))
    turn = TurnTrace(
        request=request.id,
        agent=request.receiver,
        agent_version="1",
        conversation_id="c",
        provider="p",
        model="m",
        started_at=0.0,
        prompt=(),
        prompt_tokens=0,
        steps=steps,
    )
    house.traces.keep(turn)
    node = (await house.service.tree(id=request.id)).nodes[1]
    assert (node.turn, node.model_calls) == (True, 3)


async def test_a_failure_has_its_error(house):
    request = await house.ask()
    error = {"code": "turn_timeout", "message": "Too late."}
    await house.answer(request, "", error=error)
    assert (await house.service.tree(id=request.id)).nodes[1].error.code is Code.TURN_TIMEOUT


async def test_what_others_write_into_their_replies_does_not_hurt(house):
    request = await house.ask()
    odd = {"provider": 7, "usage": "much", "duration": [], "tools": [{"tool": 1}], "error": "bad"}
    await house.answer(request, **odd)
    node = (await house.service.tree(id=request.id)).nodes[1]
    assert (node.provider, node.usage, node.duration, node.tools, node.error) == (None, None, None, (), None)


async def test_long_contents_are_cut(house):
    request = await house.ask("x" * (LONGEST + 1))
    [node] = (await house.service.tree(id=request.id)).nodes
    assert (len(node.message.text), node.cut) == (LONGEST, True)


async def test_a_tree_that_is_too_large_is_not_complete(house):
    first = await house.ask()
    for _ in range(5):
        await house.ask("more", first)
    tree = await house.service.tree(id=first.id, limit=3)
    assert (len(tree.nodes), tree.complete) == (3, False)


async def test_a_message_without_a_trace_is_there_with_what_it_led_to(house):
    old = await house.ask("old", trace=None)
    child = await house.ask("new", msgspec.structs.replace(old, trace=traceparent(old.id)))
    for one in (old, child):
        assert drawn(await house.service.tree(id=one.id)) == [(0, "old"), (1, "new")]


async def test_a_message_that_is_not_there_is_an_error(house):
    with pytest.raises(CaxtonError) as caught:
        await house.service.tree(id="nothing")
    assert caught.value.code is Code.MESSAGE_NOT_FOUND


names = st.sampled_from("abcdef")


@given(st.lists(st.tuples(names, st.none() | names, st.none() | names), unique_by=lambda one: one[0]))
def test_whatever_senders_write_every_message_is_in_the_tree_once(told):
    messages = [
        a_request(id=id, in_reply_to=answered, cause=cause, performative=Performative.INFORM)
        for id, answered, cause in told
    ]
    parents = parents_of(messages)
    ordered = in_tree_order(parents)
    assert sorted(id for id, _ in ordered) == sorted(message.id for message in messages)
    depths = dict(ordered)
    places = {id: place for place, (id, _) in enumerate(ordered)}
    for message in messages:
        parent = parents[message.id]
        assert parent in (None, message.in_reply_to, message.cause)
        assert depths[message.id] == (0 if parent is None else depths[parent] + 1)
        between = ordered[places[parent] + 1 : places[message.id]] if parent else []
        assert all(depth >= depths[message.id] for _, depth in between)
