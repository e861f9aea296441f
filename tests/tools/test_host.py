"""Tool servers under supervision: whatever a server does, a call ends, and the next one finds a server."""

import asyncio
import json
import logging
import time
from pathlib import Path

import psutil
import pytest

from caxton.domain.completion import Completion, CompletionRequest
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.tool import ElicitAction, ElicitAnswer, Elicitation
from caxton.domain.tool_settings import Starting
from caxton.testing.clock import FakeClock

DEADLINE = 30.0


async def failure(awaitable) -> CaxtonError:
    with pytest.raises(CaxtonError) as caught:
        async with asyncio.timeout(DEADLINE):
            await awaitable
    return caught.value


async def test_a_server_that_crashes_at_its_start_is_reported_with_its_status(odd):
    server = odd("crashes at start")
    error = await failure(server.tools())
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "status 7" in error.why
    assert any("no configuration found" in line for line in server.logs())
    assert server.health().status is HealthStatus.FAILED


async def test_a_program_that_is_not_there_is_reported_by_name(host):
    error = await failure(host("ghost", command="no-such-program-anywhere").tools())
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "no-such-program-anywhere" in error.why


async def test_a_server_that_says_nothing_is_given_up_in_time(odd):
    began = time.monotonic()
    error = await failure(odd("silent at start", start_timeout=0.5).tools())
    assert "within 0.5 s" in error.why
    assert time.monotonic() - began < 10


async def test_a_server_that_dies_during_a_call_fails_the_call_and_is_there_for_the_next(odd, call, tmp_path: Path):
    server = odd("dies once", str(tmp_path / "marker"))
    error = await failure(server.call(call()))
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "status 3" in error.why
    assert (await server.call(call())).text() == "alive"


async def test_a_server_that_dies_again_and_again_is_started_with_pauses(odd, call):
    clock = FakeClock()
    server = odd("dies", context={"clock": clock})
    await failure(server.call(call()))
    await failure(server.call(call()))
    async with asyncio.timeout(DEADLINE):
        while server.health().status is not HealthStatus.FAILED:
            await asyncio.sleep(0.01)
    refused = await failure(server.call(call()))
    assert "status 3" in refused.why
    await clock.advance(1.1)
    assert (await server.call(call("odd.echo", a=1))).text() == '{"a": 1}'


async def test_an_eager_server_is_started_again_by_itself(odd, call):
    server = odd("dies", start=Starting.EAGER)
    await failure(server.call(call()))
    async with asyncio.timeout(DEADLINE):
        while server.health().status is not HealthStatus.OK:
            await asyncio.sleep(0.01)


async def test_a_server_that_is_killed_is_started_again(odd, call):
    server = odd("environment")
    first = json.loads((await server.call(call())).text())
    assert "PATH" in first
    (process,) = [child for child in psutil.Process().children() if "odd_server.py" in " ".join(child.cmdline())]
    process.kill()
    async with asyncio.timeout(DEADLINE):
        while not any("SIGKILL" in line for line in server.logs()):
            await asyncio.sleep(0.01)
    assert (await server.call(call("odd.echo", n=2))).text() == '{"n": 2}'


async def test_a_server_that_closes_its_output_is_ended(odd, call):
    server = odd("closes its output")
    error = await failure(server.call(call()))
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "closed its output" in error.why


async def test_a_call_that_takes_too_long_times_out_and_a_hung_server_is_replaced(odd, call, monkeypatch):
    monkeypatch.setattr("caxton.tools.session.PROBE", 0.3)
    server = odd("hangs", timeout=0.3)
    error = await failure(server.call(call()))
    assert error.code is Code.TOOL_TIMEOUT
    async with asyncio.timeout(DEADLINE):
        while not any("hangs" in line for line in server.logs()):
            await asyncio.sleep(0.01)
    assert (await server.call(call("odd.echo", n=1))).text() == '{"n": 1}'


async def test_a_slow_call_does_not_cost_a_living_server_its_life(odd, call):
    server = odd("forgets", timeout=0.2)
    error = await failure(server.call(call()))
    assert error.code is Code.TOOL_TIMEOUT
    assert (await server.call(call("odd.echo", n=1))).text() == '{"n": 1}'
    assert server.health().status is HealthStatus.OK


async def test_a_cancelled_call_returns_at_once(odd, call):
    server = odd("hangs")
    await server.tools()
    calling = asyncio.create_task(server.call(call()))
    await asyncio.sleep(0)
    calling.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert time.monotonic() - began < 1


async def test_a_flood_on_standard_error_is_read_and_kept_within_bounds(odd, call, caplog):
    caplog.set_level(logging.INFO)
    server = odd("floods stderr")
    assert (await server.call(call())).text() == "flooded"
    async with asyncio.timeout(DEADLINE):
        while not any("line 199999" in line for line in server.logs()):
            await asyncio.sleep(0.01)
    assert len(server.logs()) <= 500
    assert len(caplog.records) < 2_000


@pytest.mark.parametrize(
    ("mode", "answer"),
    [("garbage", "after garbage"), ("unknown id", "after a stray answer"), ("normal", "nothing odd")],
)
async def test_what_is_no_answer_is_passed_over(odd, call, mode, answer):
    assert (await odd(mode).call(call())).text() == answer


async def test_lines_before_the_first_message_do_no_harm(odd, call):
    server = odd("talks at start")
    assert (await server.call(call())).text() == "nothing odd"
    assert any("Welcome" in line for line in server.logs())


@pytest.mark.parametrize("mode", ["broken answer", "invalid utf-8", "no result", "lies"])
async def test_an_answer_that_is_wrong_fails_its_call_at_once_and_no_other(odd, call, mode):
    server = odd(mode)
    error = await failure(server.call(call()))
    assert error.code is Code.TOOL_MALFORMED
    assert (await server.call(call("odd.echo", n=1))).text() == '{"n": 1}'


async def test_an_error_of_the_protocol_is_told_in_the_servers_words(odd, call):
    error = await failure(odd("error").call(call()))
    assert error.code is Code.TOOL_FAILED
    assert "the printer is on fire" in error.message


@pytest.mark.parametrize("mode", ["large", "large, id last"])
async def test_an_answer_that_is_too_large_fails_its_call_and_no_other(odd, call, mode):
    server = odd(mode, max_result_bytes=1_000_000)
    error = await failure(server.call(call()))
    assert error.code is Code.TOOL_RESULT_TOO_LARGE
    assert "1000000" in error.message
    assert (await server.call(call("odd.echo", n=1))).text() == '{"n": 1}'


async def test_a_large_line_that_is_no_answer_is_passed_over(odd, call):
    assert (await odd("large, no id", max_result_bytes=1_000_000).call(call())).text() == "after it"


async def test_a_large_answer_within_the_limit_arrives_whole(odd, call):
    result = await odd("large", max_result_bytes=100_000_000).call(call())
    assert len(result.text()) == 50 * 1_048_576


async def test_a_list_without_end_ends(odd):
    assert len(await odd("endless list").tools()) == 100


async def test_a_list_that_never_rests_is_given_all_the_same(odd, call):
    server = odd("restless")
    async with asyncio.timeout(DEADLINE):
        first = await server.tools()
        assert await server.tools() is first
        assert (await server.call(call("odd.echo", n=1))).text() == '{"n": 1}'


async def test_a_server_sees_nothing_of_our_environment_but_what_it_is_given(odd, call):
    environ = {
        **{name: value for name, value in psutil.Process().environ().items() if name == "PATH"},
        "SECRET_KEY": "hush",
        "TOKEN": "abc",
        "LET_THROUGH": "yes",
    }
    server = odd(
        "environment",
        context={"environ": environ},
        env={"AUTH": "Bearer ${TOKEN}", "MODE": "${UNSET:-plain}"},
        inherit=("LET_THROUGH",),
    )
    seen = json.loads((await server.call(call())).text())
    assert "SECRET_KEY" not in seen
    assert "TOKEN" not in seen
    assert (seen["AUTH"], seen["MODE"], seen["LET_THROUGH"]) == ("Bearer abc", "plain", "yes")


async def test_a_variable_that_is_not_set_is_named(odd):
    error = await failure(odd("normal", env={"AUTH": "${NOT_SET_ANYWHERE}"}).tools())
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "NOT_SET_ANYWHERE" in error.why


async def test_what_a_server_started_ends_with_it(odd, call):
    server = odd("child")
    child = int((await server.call(call())).text())
    assert psutil.pid_exists(child)
    await server.aclose()
    async with asyncio.timeout(DEADLINE):
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def test_a_server_that_ignores_the_end_of_its_input_is_ended_all_the_same(odd, monkeypatch):
    monkeypatch.setattr("caxton.tools.pipes.GRACE", 0.3)
    server = odd("ignores the end")
    await server.tools()
    began = time.monotonic()
    await server.aclose()
    assert time.monotonic() - began < 5


async def test_closing_fails_the_calls_under_way_and_those_to_come(odd, call):
    server = odd("forgets")
    await server.tools()
    calling = asyncio.create_task(server.call(call()))
    await asyncio.sleep(0.05)
    await server.aclose()
    assert (await failure(calling)).code is Code.TOOL_SERVER_UNAVAILABLE
    assert (await failure(server.call(call()))).code is Code.TOOL_SERVER_UNAVAILABLE
    await server.aclose()


async def test_closing_during_the_start_leaves_nothing(odd):
    server = odd("silent at start")
    starting = asyncio.create_task(server.tools())
    await asyncio.sleep(0.1)
    await server.aclose()
    assert (await failure(starting)).code is Code.TOOL_SERVER_UNAVAILABLE


async def test_a_restart_gives_a_new_process(odd, call):
    server = odd("environment")
    await server.call(call())
    (before,) = {child.pid for child in psutil.Process().children() if "odd_server" in " ".join(child.cmdline())}
    await server.restart()
    await server.call(call())
    (after,) = {child.pid for child in psutil.Process().children() if "odd_server" in " ".join(child.cmdline())}
    assert before != after


async def test_a_restart_during_the_start_keeps_nobody_waiting(odd, call):
    server = odd("environment")
    calling = asyncio.create_task(server.call(call("odd.echo", n=1)))
    await asyncio.sleep(0.02)
    await server.restart()
    async with asyncio.timeout(DEADLINE):
        assert (await calling).text() == '{"n": 1}'


async def test_a_restart_ends_a_pause(odd, call):
    server = odd("dies", context={"clock": FakeClock()})
    for _ in range(2):
        await failure(server.call(call()))
    async with asyncio.timeout(DEADLINE):
        while server.health().status is not HealthStatus.FAILED:
            await asyncio.sleep(0.01)
    await server.restart()
    assert (await server.call(call("odd.echo", n=1))).text() == '{"n": 1}'


async def test_many_calls_at_once_each_get_their_own_answer(odd, call):
    server = odd("normal")
    results = await asyncio.gather(*(server.call(call("odd.echo", n=n)) for n in range(200)))
    assert [json.loads(result.text())["n"] for result in results] == list(range(200))


class Lender:
    """A sampler that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, CompletionRequest]] = []

    async def sample(self, server: str, agent: str | None, request: CompletionRequest) -> Completion:
        self.asked.append((server, agent, request))
        return Completion(text="42", model="oracle")


async def test_sampling_goes_to_the_lender_with_server_and_agent(odd, call):
    lender = Lender()
    server = odd("asks", sampling=True, context={"sampler": lender, "agent": "helper"})
    question = {
        "messages": [{"role": "user", "content": {"type": "text", "text": "6 times 7?"}}],
        "systemPrompt": "Be brief.",
        "maxTokens": 10,
    }
    result = await server.call(call(method="sampling/createMessage", params=question))
    assert json.loads(result.text())["content"]["text"] == "42"
    ((name, agent, request),) = lender.asked
    assert (name, agent, request.max_tokens) == ("odd", "helper", 10)
    assert [message.content for message in request.messages] == ["Be brief.", "6 times 7?"]


async def test_without_a_lender_sampling_is_refused(odd, call):
    question = {"messages": [], "maxTokens": 10}
    result = await odd("asks", sampling=True).call(call(method="sampling/createMessage", params=question))
    assert "code" in json.loads(result.text())


ELICIT = {"message": "Your name?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}


async def test_a_question_to_the_user_is_declined_where_nobody_answers(odd, call):
    result = await odd("asks").call(call(method="elicitation/create", params=ELICIT))
    assert json.loads(result.text())["action"] == "decline"


async def test_a_question_to_the_user_is_answered_where_somebody_does(odd, call):
    class Somebody:
        async def elicit(self, elicitation: Elicitation) -> ElicitAnswer:
            assert elicitation.server == "odd"
            assert elicitation.message == "Your name?"
            return ElicitAnswer(action=ElicitAction.ACCEPT, content={"name": "Ada"})

    server = odd("asks", context={"elicitor": Somebody()})
    result = await server.call(call(method="elicitation/create", params=ELICIT))
    assert json.loads(result.text()) == {"action": "accept", "content": {"name": "Ada"}}


async def test_roots_are_told_as_file_urls(odd, call, tmp_path: Path):
    result = await odd("asks", roots=(tmp_path,)).call(call(method="roots/list", params={}))
    assert json.loads(result.text())["roots"] == [{"uri": tmp_path.resolve().as_uri(), "name": tmp_path.name}]
