"""`caxton contract`."""

import pytest

BIDDER = 'name = "{name}"\nsystem_prompt = "x"\ncapabilities = ["{skill}"]\n[contract_net]\ncost = {cost}\n{more}\n'


@pytest.fixture
def bidders(caxton, agent, tmp_path) -> str:
    """Two agents of a capability that only they have; its name. The second one is the cheaper."""
    skill = f"skill-{agent}"
    for name, cost, more in ((f"{agent}-dear", 5, ""), (f"{agent}-cheap", 2, "estimated_seconds = 3")):
        (tmp_path / f"{name}.toml").write_text(BIDDER.format(name=name, skill=skill, cost=cost, more=more))
        caxton("create", "--config", f"{name}.toml", "--replace")
    return skill


def test_a_contract_is_run_and_shown_with_bids_and_scores(caxton, agent, bidders):
    said = caxton.out("contract", "run", "Sum it up.", "--capability", bidders)
    lines = [line.split() for line in said.splitlines()]
    assert ["state", "completed"] in lines
    [head] = [place for place, line in enumerate(lines) if line[:2] == ["AGENT", "STATE"]]
    first, second = lines[head + 1], lines[head + 2]
    assert first[:2] == [f"{agent}-cheap", "performed"]
    assert first[3:] == ["2", "0.00", "3"]
    assert second[:2] == [f"{agent}-dear", "rejected"]
    assert float(first[2]) > float(second[2])
    assert said.endswith(f"{agent}-cheap\necho: Sum it up.\n")


def test_a_contract_is_listed_and_shown_afterwards(caxton, agent, bidders):
    run = caxton.json("contract", "run", "Sum it up.", "--agent", f"{agent}-dear", "--agent", f"{agent}-cheap")
    assert run["state"] == "completed"
    assert run["called"] == f"{agent}-dear,{agent}-cheap"
    assert caxton.json("contract", "show", run["id"]) == run
    assert run["id"] in caxton.out("contract", "show", run["id"])
    [line] = [line for line in caxton.out("contract", "list").splitlines() if run["id"] in line]
    assert line.split()[-6:] == ["completed", "2/2", f"{agent}-cheap", "Sum", "it", "up."]
    assert run["id"] not in caxton.out("contract", "list", "--state", "failed")


def test_the_task_may_come_from_standard_input(caxton, bidders):
    assert "echo: From a pipe." in caxton.out("contract", "run", "--capability", bidders, stdin="From a pipe.\n")
    assert "no task" in caxton.err("contract", "run", "--capability", bidders, fails=2)


def test_weights_decide_who_wins(caxton, agent, bidders):
    said = caxton.json("contract", "run", "x", "--capability", bidders, "--weight", "cost=0", "--weight", "time=1")
    assert said["terms"]["scoring"] == {"cost": 0.0, "load": 3.0, "success": 3.0, "time": 1.0, "quality": 0.0}
    for weight, told in (("colour=1", "the weights are"), ("cost", "NAME=NUMBER"), ("cost=-1", "from 0 on")):
        assert told in caxton.err("contract", "run", "x", "--everybody", "--weight", weight, fails=2)


def test_a_contract_that_is_not_done_fails(caxton, bidders):
    said = caxton.err("contract", "run", "x", "--capability", "nobody-has-it", fails=1)
    assert "No running agent has capability 'nobody-has-it'." in said
    result = caxton("contract", "run", "x", "--capability", bidders, "--max-cost", "1", fails=1)
    assert "Nobody made a bid that could be taken." in result.stdout
    assert "It costs 2, and may cost 1." in result.stdout


def test_a_contract_that_nobody_waits_for_can_be_called_off(caxton, bidders):
    begun = caxton.json("contract", "run", "x", "--capability", bidders, "--no-wait")
    assert begun["state"] == "calling"
    said = caxton.out("contract", "cancel", begun["id"])
    assert said.startswith(f"Contract {begun['id']} is ")
    assert "error: " in caxton.err("contract", "cancel", "unknown", fails=1)
    assert "error: " in caxton.err("contract", "show", "unknown", fails=1)
