"""A contract among a hundred agents, through HTTP, on the real server and the real embedded model."""

import http.client
import json
import os
import signal
import threading
from collections import Counter
from itertools import count

import pytest
from support.server import SCRIPTED, Cli, until

AGENTS = 100
KILLS = 3
TASK = "Name a colour."


def hire(cli: Cli, number: int, more: str = "") -> None:
    """Put the file of one agent where agents live; the first of them is the cheapest."""
    name = f"agent-{number:03}"
    policy = f"[contract_net]\ncost = {1 + number / 10}\nlowest_cost = 1.0\nestimated_seconds = {number + 1}\n{more}"
    text = f'system_prompt = "Answer in one word."\ncapabilities = ["naming"]\n[llm]\nmax_tokens = 8\n{policy}'
    cli.agents.mkdir(parents=True, exist_ok=True)
    (cli.agents / f"{name}.toml").write_text(f'name = "{name}"\n{text}\n')


def hire_all(cli: Cli, *, lazy: int = 0, picky: int = 0) -> None:
    """A hundred agents: the first so many take part in nothing, the next so many want something else to do."""
    for number in range(AGENTS):
        more = "bid = false" if number < lazy else 'words = ["law"]' if number < lazy + picky else ""
        hire(cli, number, more)


def start(cli: Cli) -> None:
    cli("server", "start")
    until(lambda: len(cli.json("agent", "list")["agents"]) == AGENTS, "the agents")


def call(cli: Cli, **fields: object) -> dict:
    status, _, contract = cli.http("POST", "/contracts", json.dumps({"task": TASK, "capability": "naming", **fields}))
    assert status == 200, contract
    return contract


def test_a_hundred_agents_bid_and_the_best_of_them_does_it(cli):
    hire_all(cli, lazy=10, picky=10)
    start(cli)
    contract = call(cli, rounds=2, sender="zoe")

    assert contract["state"] == "completed"
    assert contract["protocol"] == "fipa-iterated-contract-net"
    parties = {party["agent"]: party for party in contract["participants"]}
    assert len(parties) == AGENTS
    assert Counter(party["state"] for party in parties.values()) == {"refused": 20, "rejected": 79, "performed": 1}
    assert parties["agent-000"]["why"] == "It takes no part in contracts."
    assert parties["agent-010"]["why"] == "The task has none of the words that it bids on."

    # The cheapest led the first round, and was beaten in the second by one that went lower.
    [winner] = [party for party in parties.values() if party["award"]]
    assert len(winner["bids"]) == 2
    assert all(party["bids"][-1]["score"] <= winner["bids"][-1]["score"] for party in parties.values() if party["bids"])
    assert winner["award"]["text"].strip() == contract["text"].strip() != ""
    assert winner["award"]["result"]["provider"] == "local"

    # The story is told afterwards, by the command and by the messages.
    assert cli.http("GET", f"/contracts/{contract['id']}")[2] == contract
    told = cli("contract", "show", contract["id"])
    assert all(name in told for name in parties)
    award, reply = (cli.http("GET", f"/messages/{winner['award'][one]}")[2] for one in ("message", "reply"))
    assert (award["performative"], award["receiver"], award["text"]) == ("accept-proposal", winner["agent"], TASK)
    assert (reply["performative"], reply["in_reply_to"]) == ("inform", award["id"])
    # Who was rejected hears of it: what asks for no answer is noted in its own time.
    rejected = next(name for name, party in parties.items() if party["state"] == "rejected")

    def heard() -> list[str]:
        page = cli.http("GET", f"/agents/{rejected}/messages?conversation_id={contract['id']}")[2]
        return [one["performative"] for one in page["messages"] if one["state"] == "settled"]

    until(lambda: "reject-proposal" in heard(), "the rejection")
    [summary] = cli.json("contract", "list", "--state", "completed")["contracts"]
    assert (summary["participants"], summary["bids"], summary["awarded"]) == (AGENTS, 80, [winner["agent"]])

    # Who asks to be forgotten takes the contract along.
    assert cli.http("DELETE", "/people/zoe")[2]["contracts"] == 1
    assert cli.http("GET", f"/contracts/{contract['id']}")[0] == 404


def kill(cli: Cli) -> None:
    os.kill(cli.pid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    until(lambda: cli.run("server", "status").returncode == 3, "the death of the server")


@pytest.fixture
def slow(cli) -> Cli:
    """A server whose agents take their time over what is slow, and not for anything else."""
    (cli.directory / "rules.toml").write_text('[[rules]]\nmatch = "^slow"\ndelay = 1.0\n')
    (cli.directory / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    hire_all(cli)
    start(cli)
    return cli


def shown(cli: Cli, id: str) -> dict:
    return cli.http("GET", f"/contracts/{id}")[2]


def test_a_contract_is_carried_on_after_a_kill(slow):
    id = call(slow, task="slow work", wait=False)["id"]
    until(lambda: shown(slow, id)["state"] == "awarded", "the award")
    [before] = [party for party in shown(slow, id)["participants"] if party["award"]]
    kill(slow)
    slow("server", "start")
    until(lambda: shown(slow, id)["state"] == "completed", "the end of the contract")
    [winner] = [party for party in shown(slow, id)["participants"] if party["award"]]
    assert (winner["agent"], winner["award"]["message"]) == (before["agent"], before["award"]["message"])
    assert winner["award"]["text"] == "echo: slow work"


def test_contracts_that_are_killed_at_any_moment_are_all_done_and_nobody_does_them_twice(slow):
    begun: list[str] = []
    for round_ in range(KILLS):
        stop = threading.Event()

        def call_on(stop: threading.Event = stop, round_: int = round_) -> None:
            for number in count():
                task, rounds = ("slow work", 1) if number % 3 == 0 else ("quick work", 1 + number % 2)
                try:
                    begun.append(call(slow, task=task, rounds=rounds, winners=1 + round_ % 2, wait=False)["id"])
                except (OSError, http.client.HTTPException):
                    return  # the server is gone
                if stop.is_set():
                    return

        callers = [threading.Thread(target=call_on) for _ in range(2)]
        for caller in callers:
            caller.start()
        enough = len(begun) + 4 + round_
        until(lambda enough=enough: len(begun) >= enough, "some contracts")
        kill(slow)
        stop.set()
        for caller in callers:
            caller.join(30)
        slow("server", "start")
    until(lambda: all(shown(slow, id)["ended_at"] for id in begun), "the end of all contracts", 60)
    for id in begun:
        contract = shown(slow, id)
        assert contract["state"] == "completed", contract["why"]
        awarded = [party for party in contract["participants"] if party["award"]]
        assert len(awarded) == contract["terms"]["winners"]
        assert Counter(party["state"] for party in contract["participants"])["rejected"] == AGENTS - len(awarded)
        for party in awarded:
            page = slow.http("GET", f"/agents/{party['agent']}/messages?conversation_id={id}")[2]
            acts = Counter(one["performative"] for one in page["messages"])
            assert (acts["accept-proposal"], acts["inform"]) == (1, 1)
