"""What agents recall before a turn and keep after it."""

import asyncio

import pytest
from support.messages import a_request

from caxton.domain.agent import AgentDefinition, ConversationOptions, MemoryOptions, MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MemoryEntry, MemoryHit, MemorySpace, SearchResult
from caxton.domain.message import Exchange
from caxton.runtime.recall import HEADING, Recall, in_words

OWN = MemorySpace(scope=MemoryScope.AGENT, owner="helper")


class Keeps:
    """As much of `ports.memory.Memory` as turns use: finds what a test says, keeps what it is given."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.error: CaxtonError | None = None
        self.queries = []
        self.kept = []
        self.noted: list[str] = []
        self.noting = asyncio.Event()
        self.stalled: asyncio.Event | None = None

    async def get(self, space, key):
        if self.stalled:
            await self.stalled.wait()

    async def search(self, query) -> SearchResult:
        self.queries.append(query)
        if self.error:
            raise self.error
        hits = [
            MemoryHit(
                entry=MemoryEntry(id=f"m{n}", space=OWN, value=text, created_at=0, updated_at=0, used_at=0),
                score=1.0 - n / 10,
                similarity=None,
            )
            for n, text in enumerate(self.found)
        ]
        return SearchResult(hits=tuple(hits[: query.limit]))

    async def remember(self, space, new, *, limits=None):
        if self.error:
            raise self.error
        self.kept += [(space, one, limits) for one in new]

    async def used(self, ids) -> None:
        self.noted += ids
        self.noting.set()


@pytest.fixture
async def mindful(stage):
    """The stage with one agent, `helper`, that has a memory."""
    stage.memory = Keeps()
    async with stage.opened() as supervisor:
        stage.supervisor = supervisor

        async def options(**fields):
            given = {"enabled": True, **fields}
            await supervisor.apply(stage.a_definition(memory=MemoryOptions(**given)))

        stage.options = options
        await options()
        yield stage


def sent(stage) -> str:
    return stage.model.requests[-1].messages[-1].content


async def test_what_fits_the_request_is_put_before_it(mindful):
    mindful.memory.found = ["The user's cat is called Mo.", "The user lives in Graz."]
    reply = await mindful.ask("What is my cat's name?")
    assert sent(mindful) == (
        f"{HEADING}\n- The user's cat is called Mo.\n- The user lives in Graz.\n\nMessage: What is my cat's name?"
    )
    recalled = mindful.traces.find(reply.in_reply_to).recalled
    assert [(one.id, one.text) for one in recalled] == [
        ("m0", "The user's cat is called Mo."),
        ("m1", "The user lives in Graz."),
    ]
    await asyncio.wait_for(mindful.memory.noting.wait(), 5)
    assert mindful.memory.noted == ["m0", "m1"]


async def test_a_template_says_where_what_is_recalled_goes(mindful):
    loaded = mindful.a_definition(
        memory=MemoryOptions(enabled=True), user_prompt_template="{{request}}\n---\n{{context}}"
    )
    await mindful.supervisor.apply(loaded)
    mindful.memory.found = ["Mo"]
    await mindful.ask("cat?")
    assert sent(mindful) == f"cat?\n---\n{HEADING}\n- Mo"


async def test_what_is_recalled_is_no_part_of_the_history(mindful):
    mindful.memory.found = ["Mo"]
    await mindful.ask("cat?")
    mindful.memory.found = []
    await mindful.ask("and?")
    assert mindful.model.requests[-1].messages[1].content == "cat?"


async def test_no_more_than_the_budget_is_recalled(mindful):
    await mindful.options(recall_tokens=10, recall_limit=3)
    mindful.memory.found = ["x" * 31, "short one", "another one here", "beyond the limit"]
    await mindful.ask("hello")
    assert mindful.memory.queries[-1].limit == 3
    assert [line for line in sent(mindful).splitlines() if line.startswith("- ")] == [
        "- short one",
        "- another one here",
    ]


async def test_what_is_recalled_never_makes_a_message_too_long_for_the_window(mindful):
    options = ConversationOptions(context_window=200)
    loaded = mindful.a_definition(memory=MemoryOptions(enabled=True), conversation=options)
    await mindful.supervisor.apply(loaded)
    mindful.memory.found = ["word " * 50, "Mo"]
    reply = await mindful.ask("word " * 40)
    assert "error" not in reply.content
    assert [one.text for one in mindful.traces.find(reply.in_reply_to).recalled] == ["Mo"]


async def test_what_the_agent_is_told_is_kept_with_whom_and_where_from(mindful):
    await mindful.options(max_entries=7, retention=60.0)
    reply = await mindful.ask("My cat is called Mo.")
    [(space, new, limits)] = mindful.memory.kept
    assert space == OWN
    assert (new.value, new.subject, new.source) == ("My cat is called Mo.", "user", reply.in_reply_to)
    assert (limits.max_entries, limits.max_age) == (7, 60.0)


@pytest.mark.parametrize(
    ("scope", "space"),
    [
        (MemoryScope.AGENT, OWN),
        (MemoryScope.WORKSPACE, MemorySpace(scope=MemoryScope.WORKSPACE, owner="lab")),
        (MemoryScope.GLOBAL, MemorySpace(scope=MemoryScope.GLOBAL)),
        (MemoryScope.SESSION, MemorySpace(scope=MemoryScope.SESSION, owner="user:helper")),
    ],
)
async def test_the_scope_says_where_is_looked_and_kept(mindful, scope, space):
    await mindful.options(scope=scope, workspace="lab")
    await mindful.ask("hello")
    assert mindful.memory.queries[-1].filter.spaces == (space,)
    assert mindful.memory.kept[-1][0] == space


async def test_recalling_and_storing_can_be_switched_off_each(mindful):
    await mindful.options(auto_recall=False)
    await mindful.ask("one")
    assert (len(mindful.memory.queries), len(mindful.memory.kept)) == (0, 1)
    await mindful.options(auto_store=False)
    await mindful.ask("two")
    assert (len(mindful.memory.queries), len(mindful.memory.kept)) == (1, 1)
    await mindful.options(enabled=False)
    await mindful.ask("three")
    assert (len(mindful.memory.queries), len(mindful.memory.kept)) == (1, 1)


async def test_a_memory_that_fails_costs_nobody_an_answer_and_is_logged(mindful, caplog):
    mindful.memory.error = CaxtonError(Code.STORAGE_FAILED, "The disk is full.")
    assert (await mindful.ask("hello")).text == "re: hello"
    assert "answers without its memory" in caplog.text
    assert "could not remember" in caplog.text


async def test_that_memories_were_of_use_is_noted_beside_the_turn(mindful):
    mindful.memory.found = ["The cat is called Mo."]

    async def answers(request):
        await asyncio.wait_for(mindful.memory.noting.wait(), 5)
        return "after it was noted"

    mindful.model.answer = answers
    assert (await mindful.ask("What is the cat called?")).text == "after it was noted"
    assert mindful.memory.noted == ["m0"]


async def test_keeping_what_left_the_window_holds_no_reply_up_for_long(monkeypatch, caplog):
    monkeypatch.setattr("caxton.runtime.recall.PERSISTING", 0.01)
    memory = Keeps()
    memory.stalled = asyncio.Event()
    fallen = Exchange(a_request("old"), a_request("reply", sender="helper"))
    agent = AgentDefinition(name="helper", system_prompt="You help.")
    await Recall(memory).persist(agent, a_request("new"), [fallen])
    assert "puts off" in caplog.text
    memory.stalled = None
    await Recall(memory).persist(agent, a_request("newer"), [fallen])
    [(_, new, _)] = memory.kept
    assert new.key == fallen.request.id


@pytest.mark.parametrize("question", ["What is my cat's name?", "我的猫叫什么\uff1f", "Where do I live? "])
async def test_a_question_is_not_kept(mindful, question):
    await mindful.ask(question)
    assert mindful.memory.kept == []


async def test_a_turn_that_fails_is_not_kept(mindful):
    def fails(request):
        raise CaxtonError(Code.PROVIDER_REFUSED, "No.")

    mindful.model.answer = fails
    await mindful.ask("hello")
    assert mindful.memory.kept == []


def test_nothing_recalled_is_no_words():
    assert in_words([]) == ""
