"""What every provider has to do. A new kind is one more stage in `support.stages`: how it is opened, what stalls it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from support.completions import DEADLINE, answer, asks, failure, pieces_of
from support.stages import ABANDONING, REMOTE, asks_forever

from caxton.domain.completion import Completion, Delta, FinishReason
from caxton.domain.errors import Code
from caxton.domain.health import HealthStatus
from caxton.domain.ports.provider import (
    Closes,
    CountsTokens,
    DescribesModels,
    Provider,
    ReportsHealth,
    Streams,
    Warms,
)
from caxton.testing.openai_server import MODEL

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_whole_answer_has_text_model_and_reason(provider):
    completion = await answer(provider, asks())
    assert completion.text.strip()
    assert completion.model
    assert completion.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)


async def test_a_streamed_answer_ends_with_exactly_one_completion_holding_the_whole(provider):
    *deltas, completion = await pieces_of(provider, asks())
    assert isinstance(completion, Completion)
    assert all(isinstance(delta, Delta) and delta.text for delta in deltas)
    assert len(deltas) > 1
    assert "".join(delta.text for delta in deltas) == completion.text


async def test_a_streamed_answer_is_the_whole_one(provider):
    whole = await answer(provider, asks("What is the capital of France?"))
    streamed = (await pieces_of(provider, asks("What is the capital of France?")))[-1]
    assert streamed == whole


async def test_usage_counts_the_tokens_both_ways(provider):
    usage = (await answer(provider, asks())).usage
    assert usage
    assert usage.prompt_tokens > 0
    assert 0 < usage.completion_tokens <= 8


@pytest.mark.parametrize("stage", ["local", "server", "litellm"], indirect=True)
async def test_an_answer_that_reaches_its_limit_says_so(provider):
    for completion in await answer(provider, asks(max_tokens=3)), (await pieces_of(provider, asks(max_tokens=3)))[-1]:
        assert completion.finish_reason is FinishReason.LENGTH
        assert completion.usage.completion_tokens == 3


@pytest.mark.parametrize("stage", ["local", "server", "litellm"], indirect=True)
async def test_a_prompt_that_is_longer_than_the_context_is_told_as_such(provider):
    endless = asks("word " * 5000)
    assert (await failure(provider.complete(endless))).code is Code.CONTEXT_TOO_LONG
    assert (await failure(pieces_of(provider, endless))).code is Code.CONTEXT_TOO_LONG


async def test_a_stream_that_takes_longer_than_the_request_allows_times_out(provider):
    assert (await failure(pieces_of(provider, asks_forever(timeout=0.2)))).code is Code.PROVIDER_TIMEOUT
    assert await answer(provider, asks())


@pytest.mark.parametrize("stage", ABANDONING, indirect=True)
async def test_a_whole_answer_that_takes_longer_than_the_request_allows_times_out(provider):
    assert (await failure(provider.complete(asks_forever(timeout=0.2)))).code is Code.PROVIDER_TIMEOUT
    assert await answer(provider, asks())


@pytest.mark.parametrize("stage", ABANDONING, indirect=True)
async def test_a_long_answer_does_not_keep_others_and_can_be_cancelled(stage, provider):
    long = asyncio.create_task(provider.complete(asks_forever()))
    await asyncio.wait_for(stage.begun(), DEADLINE)
    assert await answer(provider, asks())
    assert not long.done()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    assert await answer(provider, asks())


async def test_a_stream_whose_reader_is_cancelled_makes_place_for_the_next(stage, provider):
    reading = asyncio.create_task(pieces_of(provider, asks_forever()))
    await asyncio.wait_for(stage.begun(), DEADLINE)
    assert await answer(provider, asks())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await answer(provider, asks())


async def test_streams_closed_early_make_place_for_the_next(provider):
    # More than are answered at once: were one of them not abandoned, the last would wait for a minute or more.
    request = asks("Write the whole novel, all forty chapters of it.", max_tokens=3500)
    for _ in range(5):
        async with asyncio.timeout(DEADLINE):
            pieces: AsyncGenerator[Delta | Completion] = provider.stream(request)
            assert isinstance(await anext(pieces), Delta)
            await pieces.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(pieces)
    assert await answer(provider, asks())


async def test_answers_at_once_are_not_mixed_up(stage, provider):
    questions = [f"Repeat: {'very ' * number}well" for number in range(4)]
    alone = [await answer(provider, asks(question)) for question in questions]
    mixed = await asyncio.gather(*(answer(provider, asks(question)) for question in questions))
    assert [one.usage for one in mixed] == [one.usage for one in alone]
    streamed = await asyncio.gather(*(pieces_of(provider, asks(question)) for question in questions))
    assert [pieces[-1].usage for pieces in streamed] == [one.usage for one in alone]


@pytest.mark.parametrize("stage", ["scripted", "double"], indirect=True)
async def test_each_of_many_is_answered_what_it_asked(provider):
    texts = [f"number {number}" for number in range(50)]
    answers = await asyncio.gather(*(answer(provider, asks(text)) for text in texts))
    assert [one.text for one in answers] == [f"echo: {text}" for text in texts]


@pytest.mark.parametrize("stage", ["scripted", "local"], indirect=True)
async def test_tokens_are_counted_as_the_model_counts_them(provider):
    assert isinstance(provider, CountsTokens)
    request = asks("How many tokens are these?")
    counted = await provider.count_tokens(request.messages, None)
    assert counted == (await answer(provider, request)).usage.prompt_tokens
    assert counted < await provider.count_tokens(asks("How many tokens are these, and these?").messages, None)


async def test_a_description_names_the_model(stage, provider):
    assert isinstance(provider, DescribesModels)
    for described in provider.describe("some-model"), provider.describe(None):
        assert described.context_length is None or described.context_length > 0


@pytest.mark.parametrize("stage", ["scripted", "local"], indirect=True)
async def test_a_description_names_the_model_that_answers(provider):
    assert provider.describe(None).name == (await answer(provider, asks())).model


@pytest.mark.parametrize("stage", ["server", "double"], indirect=True)
async def test_the_model_is_the_first_that_the_endpoint_lists_unless_the_request_names_one(stage, provider):
    first = (await answer(provider, asks())).model
    assert first in ("peer", MODEL)
    assert (await answer(provider, asks(model=first))).model == first


@pytest.mark.parametrize("stage", ["local"], indirect=True)
async def test_health_follows_warming_and_closing(stage):
    provider = stage.another()
    assert isinstance(provider, Warms)
    assert isinstance(provider, ReportsHealth)
    assert provider.health().status is HealthStatus.IDLE
    provider.warm()
    provider.warm()
    assert provider.health().status is HealthStatus.LOADING
    try:
        assert (await answer(provider, asks())).text
        assert provider.health().status is HealthStatus.OK
    finally:
        await provider.aclose()


@pytest.mark.parametrize("stage", ["local", *REMOTE], indirect=True)
@pytest.mark.parametrize("ask", [answer, pieces_of])
async def test_closing_fails_what_is_under_way_and_what_comes_later(stage, ask):
    provider = stage.another()
    assert isinstance(provider, Closes)
    long = asyncio.create_task(failure(ask(provider, asks_forever())))
    await asyncio.wait_for(stage.begun(), DEADLINE)
    assert await answer(provider, asks())
    await asyncio.wait_for(provider.aclose(), DEADLINE)
    assert (await long).code is Code.PROVIDER_UNAVAILABLE
    assert (await failure(ask(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    await provider.aclose()


@pytest.mark.parametrize("stage", ["local", *REMOTE], indirect=True)
async def test_closing_before_the_first_request_is_harmless(stage):
    provider = stage.another()
    await provider.aclose()
    assert (await failure(provider.complete(asks()))).code is Code.PROVIDER_UNAVAILABLE


@pytest.mark.parametrize("stage", ["local", *REMOTE], indirect=True)
async def test_closing_while_it_opens_fails_who_waits(stage):
    provider = stage.another()
    waiting = asyncio.create_task(failure(provider.complete(asks())))
    await asyncio.sleep(0)
    await asyncio.wait_for(provider.aclose(), DEADLINE)
    assert (await waiting).code is Code.PROVIDER_UNAVAILABLE


async def test_every_kind_answers_whole_and_streams(provider):
    assert isinstance(provider, Provider)
    assert isinstance(provider, Streams)
