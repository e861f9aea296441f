"""Providers through HTTP and CLI: switched while the server runs, failing over, checked, accounted for, keys kept."""

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest
from support.server import SCRIPTED, Cli, until

from caxton.domain.settings import ProviderSettings
from caxton.providers.local import LocalProvider
from caxton.providers.local_process import ModelProcess, start_model
from caxton.testing.openai_server import Scene, fails, open_openai_server, says

AGENT = 'name = "helper"\nsystem_prompt = "You are brief."\n[llm]\nmax_tokens = 8\n'
KEY = "sk-Planted0Key1That2Nobody3May4See"
PIXEL = "data:image/png;base64," + b64encode(b"\x89PNG not really").decode()


@pytest.fixture(scope="module")
def peer(tmp_path_factory) -> Iterator[ModelProcess]:
    """A real server of the OpenAI protocol, llama.cpp's own, with the embedded weights."""
    folder = tmp_path_factory.mktemp("peer")
    path = LocalProvider(ProviderSettings(name="x", kind="local"), environ={}, data_dir=folder)._path()
    task = {"model_path": str(path), "model": "peer", "context_length": 2048, "parallel": 2, "threads": 1}
    with in_loop() as run:
        process = run(start_model(task, folder / "server.log"))
        yield process
        run(process.stop())


class in_loop:  # noqa: N801 - reads as what it does
    """An event loop in a thread of its own; runs coroutines and returns what they do."""

    def __enter__(self) -> Callable:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return lambda work: asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def endpoint() -> Iterator[Callable[[Scene], str]]:
    """Starts a double of the OpenAI API that plays a scene; its URL."""
    with in_loop() as run:
        opened = []

        def start(scene: Scene) -> str:
            context = open_openai_server(scene)
            double = run(context.__aenter__())
            opened.append(context)
            return double.url

        yield start
        for context in opened:
            run(context.__aexit__(None, None, None))


def started(cli: Cli, settings: str, agent: str = AGENT) -> Cli:
    (cli.directory / "caxton.toml").write_text(SCRIPTED + settings)
    (cli.directory / "helper.toml").write_text(agent)
    cli("server", "start")
    cli("create", "--config", "helper.toml")
    return cli


def test_an_agent_is_switched_to_another_provider_by_one_line_while_the_server_runs(cli, peer):
    cli.environ["PEER_KEY"] = peer.key
    started(cli, f'[providers.peer]\nkind = "openai"\nbase_url = "{peer.url}/v1"\napi_key_env = "PEER_KEY"\n')
    assert cli.say("helper", "Hello")["provider"] == "scripted"
    file = cli.agents / "helper.toml"
    file.write_text('llm_provider = "peer"\n' + file.read_text())
    reply = until(
        lambda: (said := cli.say("helper", "Hello again"))["provider"] == "peer" and said, "the switch of providers"
    )
    assert reply["model"] == "peer"
    assert reply["usage"]["completion_tokens"] > 0
    file.write_text(file.read_text().replace('llm_provider = "peer"', 'llm_provider = "local"'))
    until(lambda: cli.say("helper", "And again")["provider"] == "local", "the switch to the embedded model")


def test_the_next_provider_of_the_list_answers_when_the_first_does_not(cli):
    dead = '[providers.dead]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\nretries = 0\n'
    started(cli, dead, 'llm_provider = ["dead", "scripted"]\n' + AGENT)
    reply = cli.say("helper", "Hello")
    assert reply["provider"] == "scripted"
    [fallback] = reply["fallbacks"]
    assert (fallback["provider"], fallback["error"]["code"]) == ("dead", "provider_unavailable")
    trace = cli.json("message", "turn", reply["in_reply_to"])
    assert trace["fallbacks"][0]["provider"] == "dead"
    assert "dead" in cli("message", "turn", reply["in_reply_to"])


def test_a_provider_that_keeps_failing_is_left_alone_shown_and_reset(cli):
    dead = '[providers.dead]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\nretries = 0\n'
    started(cli, dead + "breaker_failures = 2\n", 'llm_provider = "dead"\n' + AGENT)
    for expected in ("provider_unavailable", "provider_unavailable", "provider_paused"):
        status, _, problem = cli.http("POST", "/agents/helper/message", "hello")
        assert (status, problem["code"]) == (503, expected)
    assert cli.json("provider", "show", "dead")["circuit"]["state"] == "open"
    assert "open, 2 failures" in cli("provider", "list")
    cli("provider", "reset", "dead")
    assert cli.json("provider", "show", "dead")["circuit"]["state"] == "closed"
    assert "127.0.0.1:9" not in cli("provider", "check", "scripted")
    assert "The connection to provider 'dead' failed." in cli("provider", "check", "dead", fails=1)


def test_a_day_s_budget_ends_the_day_s_answers(cli):
    started(cli, "", AGENT + "[limits]\ndaily_tokens = 5\n")
    cli.say("helper", "Hello")
    status, _, problem = cli.http("POST", "/agents/helper/message", "hello")
    assert (status, problem["code"]) == (429, "budget_exhausted")
    file = cli.agents / "helper.toml"
    file.write_text(file.read_text().replace("daily_tokens = 5", "daily_tokens = 5000"))
    until(lambda: cli.http("POST", "/agents/helper/message", "hello")[0] == 200, "the raised budget")


def test_what_was_used_is_summed_up_and_outlives_the_server(cli):
    started(cli, "[providers.scripted.price]\nprompt = 1000\ncompletion = 1000\n")
    cli.say("helper", "Hello")
    cli.say("helper", "Hello", conversation_id="other")
    before = cli.json("provider", "usage", "--by", "agent")
    assert before["total"]["completions"] == 2
    assert before["total"]["cost"] > 0
    cli("server", "restart")
    assert cli.json("provider", "usage", "--by", "agent")["sums"] == before["sums"]
    assert {one["key"] for one in cli.json("provider", "usage", "--by", "conversation")["sums"]} == {
        "user:helper",
        "other",
    }
    assert "helper" in cli("provider", "usage", "--by", "agent")
    assert (
        cli.json("provider", "show", "scripted")["today"]["tokens"]
        == before["total"]["prompt_tokens"] + (before["total"]["completion_tokens"])
    )


def test_a_check_times_the_first_token_of_the_embedded_model(cli):
    started(cli, "")
    checked = cli.json("provider", "check", "local")
    assert 0 < checked["first_token"] <= checked["duration"]
    assert "the first token after" in cli("provider", "check", "local")
    [model] = cli.json("provider", "models", "local")["models"]
    assert (model["tools"], model["vision"], model["json_schema"]) == (True, False, True)


def test_an_answer_held_to_a_schema_comes_as_data_too(cli):
    schema = 'response_schema = { type = "object", properties = { city = { type = "string", maxLength = 12 } }, '
    schema += 'required = ["city"], additionalProperties = false }\n'
    agent = 'llm_provider = "local"\n' + AGENT.replace("max_tokens = 8", "max_tokens = 60")
    started(cli, "", agent + schema)
    reply = cli.say("helper", "Which city is the capital of France?")
    assert reply["data"] == json.loads(reply["text"])
    assert list(reply["data"]) == ["city"]


def test_a_picture_reaches_a_model_that_sees_and_no_other(cli, endpoint):
    seen = []

    async def scene(exchange):
        seen.append(exchange.asked.body)
        await says("A pixel.")(exchange)

    url = endpoint(scene)
    eye = f'[providers.eye]\nkind = "openai"\nbase_url = "{url}"\nmodel = "m"\n'
    started(cli, eye, 'llm_provider = "eye"\n' + AGENT)
    assert cli.say("helper", "What is this?", images=[PIXEL])["text"] == "A pixel."
    assert seen[-1]["messages"][-1]["content"][1] == {"type": "image_url", "image_url": {"url": PIXEL}}
    file = cli.agents / "helper.toml"
    file.write_text(file.read_text().replace('llm_provider = "eye"', 'llm_provider = "local"'))
    body = json.dumps({"text": "What is this?", "images": [PIXEL]})
    until(lambda: cli.http("POST", "/agents/helper/message", body)[0] == 422, "the refusal")
    status, _, problem = cli.http("POST", "/agents/helper/message", '{"text": "x", "images": ["http://x/y.png"]}')
    assert (status, problem["code"]) == (422, "body_invalid")


def test_what_a_model_is_known_not_to_do_is_a_diagnostic(cli):
    blunt = '[providers.blunt]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\njson_schema = false\n'
    started(cli, blunt)
    wrong = (
        'name = "other"\nsystem_prompt = "x"\nllm_provider = "blunt"\n[llm]\nresponse_schema = { type = "object" }\n'
    )
    status, _, report = cli.http("POST", "/agents/validate", wrong, **{"content-type": "application/toml"})
    assert status == 200
    [problem] = report["diagnostics"]
    assert (problem["code"], problem["line"], problem["column"]) == ("model_incapable", 5, 1)


def test_a_planted_key_is_nowhere_in_what_the_server_says(cli, endpoint):
    """Not in replies, errors, traces, log, settings or database, though the endpoint quotes it at every turn."""
    url = endpoint(fails(401, {"message": f"Incorrect API key provided: {KEY}. Header: Bearer {KEY}"}))
    cli.environ["PLANTED_KEY"] = KEY
    quoting = f'[providers.quoting]\nkind = "openai"\nbase_url = "{url}"\nmodel = "m"\napi_key_env = "PLANTED_KEY"\n'
    started(cli, quoting + "[providers.scripted.limits]\nconcurrent = 3\n", 'llm_provider = "quoting"\n' + AGENT)
    said = []
    for path in ("/agents/helper/message", "/providers/quoting/check"):
        status, headers, problem = cli.http("POST", path, "hello" if "message" in path else None)
        assert (status, problem["code"]) == (502, "provider_authentication")
        said.append(json.dumps([headers, problem]))
    paths = ["/ready", "/server", "/providers", "/providers/quoting", "/agents/helper", "/agents/helper/messages"]
    said += [json.dumps(cli.http("GET", path)) for path in (*paths, "/agents/helper/events", "/usage", "/openapi.json")]
    [message] = {m["id"]: m for m in cli.http("GET", "/agents/helper/messages")[2]["messages"] if m["text"]}.values()
    said.append(json.dumps(cli.http("GET", f"/messages/{message['id']}/trace")))
    said += [cli("provider", "list"), cli("provider", "show", "quoting"), cli("agent", "show", "helper")]
    said.append(cli("provider", "check", "quoting", fails=1))
    cli("server", "stop")
    files = [path for path in (cli.directory / "data").rglob("*") if path.is_file()]
    assert {"caxton.db", "server.log"} <= {path.name for path in files}
    said += [path.read_bytes().decode(errors="replace") for path in files]
    assert not [words for words in said if KEY in words or KEY[3:12] in words]
