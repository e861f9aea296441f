"""What becomes of what falls out of a conversation's window."""

import asyncio

import pytest

from caxton.domain.agent import ContextStrategy, ConversationOptions, LlmOptions
from caxton.domain.completion import Role
from caxton.domain.errors import Code, ProviderError
from caxton.domain.memory import MemoryEntry, MemoryHit, SearchResult
from caxton.runtime.summaries import HEADING, TASK

WINDOW = 600
"""Tokens: room for a few of the long messages below."""


def of_strategy(stage, strategy: str, **fields):
    options = ConversationOptions(strategy=ContextStrategy(strategy), context_window=WINDOW)
    return stage.a_definition(conversation=options, llm=LlmOptions(max_tokens=50), **fields)


def is_summary(request) -> bool:
    return request.messages[0].content == TASK


async def talk(stage, turns: int) -> None:
    for number in range(turns):
        reply = await stage.ask(f"Fact {number}: " + "word " * 30)
        assert "error" not in reply.content


async def until(true, deadline: float = 5.0) -> None:
    async with asyncio.timeout(deadline):
        while not true():
            await asyncio.sleep(0)


def prompts(stage):
    return [request for request in stage.model.requests if not is_summary(request)]


class TestSummarize:
    @pytest.fixture(autouse=True)
    async def agent(self, running):
        running.model.answer = lambda request: "They spoke of facts." if is_summary(request) else "Noted."
        await running.supervisor.apply(of_strategy(running, "summarize"))

    async def test_what_falls_out_is_summed_up_and_goes_on_in_the_prompt(self, running):
        await talk(running, 12)
        await until(lambda: running.messages.summary("user:helper", "helper"))
        await running.ask("And now?")
        assert prompts(running)[-1].messages[0].content == f"You help.\n\n{HEADING} They spoke of facts."

    async def test_one_that_is_far_too_long_takes_no_more_than_its_part_of_the_window(self, running):
        running.model.answer = lambda request: "endless " * 5000 if is_summary(request) else "Noted."
        await talk(running, 12)
        await until(lambda: running.messages.summary("user:helper", "helper"))
        await talk(running, 12)
        longest = max(len(request.messages[0].content) for request in prompts(running))
        assert len(HEADING) < longest < WINDOW

    async def test_a_summary_speaks_of_what_fell_out_and_of_the_one_before(self, running):
        await talk(running, 12)
        await until(lambda: running.messages.summary("user:helper", "helper"))
        await talk(running, 12)
        await until(lambda: len([r for r in running.model.requests if is_summary(r)]) > 1)
        first, *_, last = [r.messages[1].content for r in running.model.requests if is_summary(r)]
        assert first.startswith("user: Fact 0: ")
        assert last.startswith("Earlier: They spoke of facts.\nuser: Fact")
        assert "Fact 0: " not in last

    async def test_no_reply_waits_for_a_summary(self, running):
        never = asyncio.Event()

        async def stuck():
            await never.wait()

        running.model.answer = lambda request: stuck() if is_summary(request) else "Noted."
        await talk(running, 20)
        assert any(is_summary(request) for request in running.model.requests)
        assert running.messages.summary("user:helper", "helper") is None

    async def test_a_summary_that_fails_is_tried_again_when_more_falls_out(self, running, caplog):
        def moody(request):
            if is_summary(request):
                raise ProviderError(Code.PROVIDER_REFUSED, "No.")
            return "Noted."

        good, running.model.answer = running.model.answer, moody
        await talk(running, 12)
        await until(lambda: "is not summarised" in caplog.text)
        running.model.answer = good
        await talk(running, 1)
        await until(lambda: running.messages.summary("user:helper", "helper"))
        asked = [request.messages[1].content for request in running.model.requests if is_summary(request)]
        assert asked[-1].startswith("user: Fact 0: ")

    async def test_a_conversation_that_fits_is_not_summarised(self, running):
        await talk(running, 2)
        assert not any(is_summary(request) for request in running.model.requests)

    async def test_every_prompt_stays_within_the_window(self, running):
        await talk(running, 30)
        for request in prompts(running):
            assert sum(len(message.content) // 3 for message in request.messages) < WINDOW

    async def test_the_newest_turns_are_there_word_for_word(self, running):
        await talk(running, 30)
        assert prompts(running)[-1].messages[-3].content.startswith("Fact 28: ")


class Finds:
    """As much of `ports.memory.Memory` as persisting uses."""

    def __init__(self) -> None:
        self.entries: dict[tuple, MemoryEntry] = {}
        self.remembered = 0

    async def get(self, space, key):
        return self.entries.get((space, key))

    async def remember(self, space, new, *, limits=None):
        for one in new:
            self.remembered += 1
            entry = MemoryEntry(id=one.key, space=space, value=one.value, created_at=0, updated_at=0, used_at=0)
            self.entries[space, one.key] = entry

    async def search(self, query):
        hits = [
            MemoryHit(entry=entry, score=1.0, similarity=None)
            for (space, _), entry in self.entries.items()
            if space in query.filter.spaces and query.text.split()[-1] in entry.text
        ]
        return SearchResult(hits=tuple(hits[: query.limit]))

    async def used(self, ids):
        pass


class TestPersist:
    @pytest.fixture
    async def lasting(self, stage):
        stage.memory = Finds()
        stage.model.answer = lambda request: "Noted."
        async with stage.opened() as supervisor:
            await supervisor.apply(of_strategy(stage, "persist"))
            yield stage

    async def test_what_fell_out_is_found_again_when_it_matters(self, lasting):
        await lasting.ask("The password is tulip.")
        await talk(lasting, 14)
        await lasting.ask("What was it about tulip.")
        last = lasting.model.requests[-1]
        assert "user: The password is tulip.\nhelper: Noted." in last.messages[-1].content
        assert not any("password" in message.content for message in last.messages[:-1])

    async def test_what_is_still_in_the_window_is_not_kept(self, lasting):
        await talk(lasting, 2)
        assert lasting.memory.entries == {}

    async def test_nothing_is_kept_twice(self, lasting):
        await talk(lasting, 20)
        assert lasting.memory.remembered == len(lasting.memory.entries)

    async def test_another_conversation_does_not_find_it(self, lasting):
        await lasting.ask("The password is tulip.")
        await talk(lasting, 14)
        await lasting.ask("Tell me of tulip.", conversation="other")
        assert "password" not in lasting.model.requests[-1].messages[-1].content


async def test_a_sliding_window_forgets(running):
    running.model.answer = lambda request: "Noted."
    await running.supervisor.apply(of_strategy(running, "sliding"))
    await talk(running, 12)
    assert not any(is_summary(request) for request in running.model.requests)
    assert running.model.requests[-1].messages[0].content == "You help."
    assert running.model.requests[-1].messages[1].role is Role.USER
