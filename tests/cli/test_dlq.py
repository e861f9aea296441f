"""`caxton dlq`. The house's model refuses what begins with "busy": for good, so that becomes a dead letter at once."""

import json

import pytest
from support.server import until


@pytest.fixture
def bury(caxton, agent):
    """Send this test's agent something that it cannot deal with; the id, once that is a dead letter."""

    def buried(text: str = "busy with tea") -> str:
        message = caxton.json("message", "send", agent, text, "--no-wait")["accepted"][0]["id"]
        until(lambda: message in listed(caxton, agent), "the dead letter")
        return message

    return buried


def listed(caxton, agent: str) -> list[str]:
    return [one["id"] for one in caxton.json("dlq", "list", "--receiver", agent)["letters"]]


def test_one_is_listed_shown_and_counted(caxton, agent, bury):
    letter = bury()
    head, line = caxton.out("dlq", "list", "--receiver", agent).splitlines()
    assert head.split() == ["ID", "DIED", "FROM", "TO", "ATTEMPTS", "CODE", "ERROR"]
    assert line.startswith(letter)
    assert "provider_refused" in line
    shown = caxton.out("dlq", "show", letter)
    for word in ("busy with tea", agent, "ATTEMPT", "provider_refused"):
        assert word in shown
    assert [word for line in caxton.out("dlq", "stats").splitlines() for word in line.split() if word == agent]
    counts = caxton.json("dlq", "stats")["counts"]
    assert {"receiver": agent, "code": "provider_refused", "count": 1} in counts


def test_programs_get_every_failure(caxton, bury):
    shown = caxton.json("dlq", "show", bury())
    assert [failure["attempt"] for failure in shown["failures"]] == [1]
    assert shown["failures"][0]["error"]["code"] == "provider_refused"


def test_pages_follow_one_another(caxton, agent, bury):
    letters = [bury(f"busy {number}") for number in range(3)]
    page = caxton("dlq", "list", "--receiver", agent, "--limit", "2")
    assert page.stdout.count("provider_refused") == 2
    assert f"--before {letters[1]}" in page.stderr
    rest = caxton.out("dlq", "list", "--receiver", agent, "--before", letters[1])
    assert rest.splitlines()[1].startswith(letters[0])


def test_there_may_be_none(caxton, agent):
    assert caxton.out("dlq", "list", "--receiver", agent) == "No dead letters.\n"


def test_one_is_replayed_and_those_that_die_again_are_there_again(caxton, agent, bury):
    letter = bury()
    died = caxton.json("dlq", "show", letter)["died_at"]
    assert caxton.out("dlq", "replay", letter) == "Replayed: 1.\n"

    def again() -> bool:
        (letters,) = [caxton.json("dlq", "list", "--receiver", agent)["letters"]]
        return bool(letters) and letters[0]["died_at"] > died

    until(again, "its second death")


def test_all_of_an_agent_are_redirected_to_another(caxton, agent, bury, tmp_path):
    for _ in range(3):
        bury()
    other = f"{agent}x"
    (tmp_path / "other.toml").write_text(f'name = "{other}"\nsystem_prompt = "You echo."\n')
    caxton("create", "--config", "other.toml")
    assert caxton.json("dlq", "redirect", other, "--receiver", agent) == {"replayed": 3, "unknown": 0}
    until(lambda: len(listed(caxton, other)) == 3, "the dead letters of the other")
    assert listed(caxton, agent) == []
    assert caxton.json("dlq", "redirect", agent, *listed(caxton, other)[:1])["replayed"] == 1


def test_what_is_for_nobody_is_said(caxton, agent, bury):
    bury()
    caxton("agent", "delete", agent, "--yes")
    until(lambda: agent not in caxton.out("agent", "list"), "the agent to go")
    result = caxton("dlq", "replay", "--receiver", agent)
    assert result.stdout == "Replayed: 0.\n"
    assert "1 are for agents that are not there" in result.stderr


def test_they_are_purged_when_that_is_confirmed(caxton, agent, bury, person):
    first, second = bury(), bury()
    assert caxton("dlq", "purge", first, stdin="n\n", fails=130)
    assert len(listed(caxton, agent)) == 2
    assert caxton.out("dlq", "purge", first, "--yes") == "Deleted: 1.\n"
    assert caxton.json("dlq", "purge", "--receiver", agent, "--older-than", "1h", "--yes") == {"purged": 0}
    assert caxton.json("dlq", "purge", "--receiver", agent, "--yes") == {"purged": 1}
    assert "No dead letter" in caxton.err("dlq", "show", second, fails=1).replace("There is no", "No")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("replay",), "Say which"),
        (("redirect", "a"), "Say which"),
        (("purge", "--yes"), "Say which"),
        (("replay", "m1", "--all"), "not both"),
        (("purge", "m1", "--code", "internal", "--yes"), "not both"),
        (("purge", "--all"), "--yes"),
        (("purge", "--older-than", "soon", "--yes"), "'soon'"),
    ],
)
def test_what_is_meant_has_to_be_said(caxton, arguments, words):
    assert words in caxton.err("dlq", *arguments, fails=2)


def test_one_that_is_not_there_is_an_error(caxton):
    error = json.loads(caxton("dlq", "replay", "nothing", "--output", "json", fails=1).stderr)
    assert error["code"] == "message_not_found"
