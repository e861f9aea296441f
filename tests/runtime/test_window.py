"""The context window."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caxton.domain.agent import AgentDefinition, ConversationOptions, LlmOptions
from caxton.domain.completion import ChatMessage, Completion, ModelInfo, Role
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Exchange, Message, Performative
from caxton.runtime.window import ASSUMED_CONTEXT, ContextWindow, Line, estimate_tokens, most_tokens


class WordCounter:
    """A provider whose tokens are words, and that holds `context_length` of them."""

    def __init__(self, context_length=None):
        self.context_length = context_length
        self.counted = 0

    async def complete(self, request):
        return Completion(text="", model="words")

    async def count_tokens(self, messages, model):
        self.counted += 1
        return sum(len(message.content.split()) for message in messages)

    def describe(self, model):
        return ModelInfo(name="words", context_length=self.context_length)


def an_agent(*, context_window=None, max_tokens=None, system_prompt="You help."):
    return AgentDefinition(
        name="helper",
        system_prompt=system_prompt,
        llm=LlmOptions(max_tokens=max_tokens),
        conversation=ConversationOptions(context_window=context_window),
    )


def a_talk(turns, words=10):
    """A history of `turns` exchanges whose every message is `words` words long."""

    def message(performative, number):
        return Message(
            id=f"id-{number:06}",
            performative=performative,
            sender="user",
            receiver="helper",
            conversation_id="c",
            created_at=float(number),
            content={"text": " ".join([f"m{number}", *["filling"] * (words - 1)])},
        )

    return [
        Exchange(message(Performative.REQUEST, 2 * turn), message(Performative.INFORM, 2 * turn + 1))
        for turn in range(turns)
    ]


async def fit(window, agent, provider, history, text="And now?", *, full=False):
    return await window.fit(agent, provider, conversation_id="c", history=history, text=text, history_is_full=full)


async def test_a_short_talk_is_given_whole_and_without_counting():
    provider = WordCounter(context_length=10_000)
    prompt = await fit(ContextWindow(), an_agent(), provider, a_talk(2))
    assert [m.role for m in prompt.messages] == [Role.SYSTEM, *[Role.USER, Role.ASSISTANT] * 2, Role.USER]
    assert prompt.messages[0].content == "You help."
    assert prompt.messages[-1].content == "And now?"
    assert (prompt.left_out, provider.counted) == (0, 0)


async def test_a_long_talk_loses_its_oldest_exchanges_and_stays_within_the_window():
    provider = WordCounter(context_length=200)
    history = a_talk(50)
    prompt = await fit(ContextWindow(), an_agent(max_tokens=50), provider, history)
    assert await provider.count_tokens(prompt.messages, None) <= 150
    assert prompt.messages[1].role is Role.USER
    assert prompt.messages[-2].content == history[-1].reply.text
    assert prompt.left_out == len(history) - (len(prompt.messages) - 2) // 2


async def test_between_two_cuts_every_prompt_begins_as_the_one_before():
    window, provider, agent = ContextWindow(), WordCounter(context_length=200), an_agent(max_tokens=50)
    starts = [(await fit(window, agent, provider, a_talk(turns))).messages[1] for turns in range(10, 40)]
    cuts = sum(before != after for before, after in pairwise(starts))
    assert 0 < cuts <= len(starts) / 2


async def test_turns_beyond_max_turns_are_cut_in_strides_too():
    window, provider, agent = ContextWindow(), WordCounter(context_length=10_000), an_agent()
    talk = a_talk(60, words=2)
    starts = []
    for turns in range(20, 60):
        newest = talk[:turns][-20:]
        starts.append((await fit(window, agent, provider, newest, full=True)).messages[1])
    cuts = sum(before != after for before, after in pairwise(starts))
    assert 0 < cuts <= 6


async def test_a_message_that_cannot_fit_alone_is_refused_with_the_numbers():
    provider = WordCounter(context_length=100)
    with pytest.raises(CaxtonError, match="take 302 tokens; the context window leaves room for 75") as raised:
        await fit(ContextWindow(), an_agent(), provider, a_talk(3), text="word " * 300)
    assert raised.value.code is Code.CONTEXT_TOO_LONG


async def test_the_agents_own_window_counts_where_it_is_the_smaller():
    provider = WordCounter(context_length=10_000)
    prompt = await fit(ContextWindow(), an_agent(context_window=100, max_tokens=20), provider, a_talk(30))
    assert await provider.count_tokens(prompt.messages, None) <= 80


async def test_a_provider_that_says_nothing_is_taken_to_hold_a_careful_amount():
    class Mute:
        async def complete(self, request):
            return Completion(text="", model="mute")

    prompt = await fit(ContextWindow(), an_agent(), Mute(), a_talk(200, words=100))
    assert estimate_tokens(prompt.messages) <= ASSUMED_CONTEXT * 3 // 4
    assert prompt.left_out > 0


async def test_a_history_the_caller_brings_is_fitted_too():
    provider = WordCounter(context_length=100)
    history = [ChatMessage(Role.USER if n % 2 == 0 else Role.ASSISTANT, f"m{n} " + "x " * 9) for n in range(30)]
    prompt = await ContextWindow().given(an_agent(), provider, history=history, text="now?")
    assert prompt.messages[-2] == history[-1]
    assert await provider.count_tokens(prompt.messages, None) <= 75


@given(st.lists(st.text(max_size=200), max_size=20))
def test_the_most_is_never_less_than_a_byte_a_token(texts):
    messages = [ChatMessage(Role.USER, text) for text in texts]
    assert most_tokens(messages) >= sum(len(text.encode()) for text in texts)


@settings(max_examples=60, deadline=None)
@given(turns=st.integers(0, 30), words=st.integers(1, 30), length=st.integers(20, 400), asked=st.integers(1, 40))
async def test_whatever_the_sizes_the_prompt_fits_or_is_refused(turns, words, length, asked):
    provider, agent = WordCounter(context_length=length), an_agent()
    budget = length - length // 4
    text = "word " * asked
    if asked + 2 > budget:
        with pytest.raises(CaxtonError, match="context window"):
            await fit(ContextWindow(), agent, provider, a_talk(turns, words), text)
        return
    prompt = await fit(ContextWindow(), agent, provider, a_talk(turns, words), text)
    assert await provider.count_tokens(prompt.messages, None) <= budget
    roles = [message.role for message in prompt.messages]
    assert roles[:1] == [Role.SYSTEM]
    assert roles[1::2] == [Role.USER] * len(roles[1::2])


def a_round_table(turns, *, own=True, words=10):
    """What was said in a group: each turn by a person, by the agent itself if `own`, and by another one."""

    def line(number, who):
        text = " ".join([f"{who}{number}:", *["filling"] * (words - 1)])
        return Line(id=f"{who}-{number:04}", role=Role.ASSISTANT if who == "own" else Role.USER, text=text)

    speakers = ("ada", "own", "other") if own else ("ada", "other")
    return [line(number, who) for number in range(turns) for who in speakers]


NOW = Line(id="now", role=Role.USER, text="ada: And now?", current=True)


async def share(window, provider, lines, *, agent=None, full=False, wrap=lambda text: text):
    agent = agent or an_agent()
    return await window.shared(agent, provider, conversation_id="c", lines=lines, wrap=wrap, history_is_full=full)


async def test_what_others_say_in_a_row_is_one_message_and_roles_alternate():
    prompt = await share(ContextWindow(), WordCounter(context_length=10_000), [*a_round_table(2, words=1), NOW])
    assert [(message.role, message.content) for message in prompt.messages[1:]] == [
        (Role.USER, "ada0:"),
        (Role.ASSISTANT, "own0:"),
        (Role.USER, "other0:\n\nada1:"),
        (Role.ASSISTANT, "own1:"),
        (Role.USER, "other1:\n\nada: And now?"),
    ]


async def test_who_has_spoken_last_is_told_once_more_what_to_answer():
    lines = [NOW, Line(id="x", role=Role.ASSISTANT, text="I have said it")]
    prompt = await share(ContextWindow(), WordCounter(context_length=10_000), lines)
    assert [message.content for message in prompt.messages[1:]] == ["ada: And now?", "I have said it", "ada: And now?"]


async def test_the_last_message_is_wrapped_and_no_other():
    provider = WordCounter(context_length=10_000)
    prompt = await share(ContextWindow(), provider, [*a_round_table(1, words=1), NOW], wrap=lambda text: f"<{text}>")
    assert [message.content for message in prompt.messages[1:]] == ["ada0:", "own0:", "<other0:\n\nada: And now?>"]


async def test_a_long_group_talk_loses_its_oldest_lines_but_never_the_current_one():
    provider = WordCounter(context_length=200)
    # To a newcomer all that was said is one message: it is cut all the same.
    lines = [NOW, *a_round_table(40, own=False)]
    prompt = await share(ContextWindow(), provider, lines)
    assert await provider.count_tokens(prompt.messages, None) <= 150
    [only] = prompt.messages[1:]
    assert only.content.startswith("ada: And now?")
    assert only.content.endswith(lines[-1].text)
    assert only.content.count("\n\n") == len(lines) - prompt.left_out


async def test_two_agents_of_one_conversation_have_cuts_of_their_own():
    window, provider = ContextWindow(), WordCounter(context_length=200)
    agents = [an_agent(max_tokens=50), AgentDefinition(name="other", system_prompt="You help.")]
    talk = a_round_table(60)
    starts = {"helper": [], "other": []}
    for turns in range(30, 60):
        for agent in agents:
            prompt = await share(window, provider, [*talk[: turns * 3], NOW], agent=agent)
            starts[agent.name].append(prompt.messages[1])
    for seen in starts.values():
        assert 0 < sum(before != after for before, after in pairwise(seen)) <= len(seen) / 2


@settings(max_examples=60, deadline=None)
@given(
    roles=st.lists(st.sampled_from([Role.USER, Role.ASSISTANT]), max_size=20),
    at=st.integers(0, 20),
    words=st.integers(1, 30),
    length=st.integers(20, 400),
)
async def test_whatever_was_said_in_a_group_the_prompt_fits_and_roles_alternate(roles, at, words, length):
    provider = WordCounter(context_length=length)
    lines = [Line(id=str(n), role=role, text="word " * words) for n, role in enumerate(roles)]
    lines.insert(at, NOW)
    prompt = await share(ContextWindow(), provider, lines)
    assert await provider.count_tokens(prompt.messages, None) <= length - length // 4
    got = [message.role for message in prompt.messages]
    assert got[0] is Role.SYSTEM
    assert got[1::2] == [Role.USER] * len(got[1::2])
    assert got[2::2] == [Role.ASSISTANT] * len(got[2::2])
    assert got[-1] is Role.USER
    assert "And now?" in "".join(message.content for message in prompt.messages)
