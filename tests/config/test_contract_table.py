"""`[contract_net]` of an agent file."""

import pytest

from caxton.config.agent_file import diagnose, load_definition
from caxton.domain.agent import Source
from caxton.domain.bids import BiddingPolicy

HEAD = 'name = "ann"\nsystem_prompt = "x"\n'


def source(text: str) -> Source:
    return Source(path="ann.toml", text=HEAD + text)


def test_a_file_without_the_table_has_the_default_policy():
    assert load_definition(source(""), providers=[]).definition.contract_net == BiddingPolicy()


def test_every_key_of_the_table_is_taken():
    text = """
    [contract_net]
    bid = false
    cost = 2.5
    cost_per_1k_characters = 0.1
    lowest_cost = 2
    max_load = 7
    estimated_seconds = "1m30s"
    quality = 0.9
    words = ["tax", "law"]
    """
    assert load_definition(source(text), providers=[]).definition.contract_net == BiddingPolicy(
        bid=False,
        cost=2.5,
        cost_per_1k_characters=0.1,
        lowest_cost=2.0,
        max_load=7,
        estimated_seconds=90.0,
        quality=0.9,
        words=("tax", "law"),
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cost = -1", "cost"),
        ("cost = inf", "cost"),
        ("cost = nan", "cost"),
        ("max_load = 0", "max_load"),
        ("quality = 2", "quality"),
        ('estimated_seconds = "soon"', "soon"),
        ("words = [1]", "words"),
        ('words = [""]', "empty"),
        ("lowest_cost = 1.5", "'lowest_cost' is above 'cost'"),
        ("csot = 1", "'cost'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(line, told):
    [problem] = diagnose(source(f"[contract_net]\n{line}\n"), providers=[])
    assert problem.line in (3, 4)
    assert told in f"{problem.message} {problem.hint}"
