"""`caxton memory`."""

import json

import pytest


@pytest.fixture
def entry(caxton, agent):
    """An entry in the memory of this test's agent, by its id."""
    return caxton.json("memory", "add", "The cat is orange.", "--agent", agent, "--tag", "pet", "--key", "cat")["id"]


def test_what_is_added_is_found_listed_and_shown(caxton, agent, entry):
    head, line = caxton.out("memory", "search", "orange", "--agent", agent).splitlines()
    assert head.split() == ["SCORE", "ID", "SPACE", "TEXT"]
    assert entry in line
    assert "The cat is orange." in line
    head, line = caxton.out("memory", "list", "--agent", agent).splitlines()
    assert head.split() == ["ID", "WHEN", "SPACE", "KEY", "TEXT"]
    assert f"agent:{agent}" in line
    shown = caxton.out("memory", "show", entry)
    for word in ("The cat is orange.", "pet", f"agent:{agent}", "0.5"):
        assert word in shown


def test_what_is_added_is_said(caxton, agent):
    said = caxton.out("memory", "add", "x", "--agent", agent)
    assert said.startswith("Remembered as ")


@pytest.mark.parametrize(
    ("option", "scope"), [("--workspace", "workspace"), ("--conversation", "session"), ("--agent", "agent")]
)
def test_each_scope_has_its_option(caxton, agent, option, scope):
    added = caxton.json("memory", "add", "x", option, agent, "--importance", "0.9", "--subject", "zoe")
    assert added["space"] == {"scope": scope, "owner": agent}
    assert (added["importance"], added["subject"]) == (0.9, "zoe")
    assert [e["id"] for e in caxton.json("memory", "list", option, agent)["entries"]] == [added["id"]]


def test_the_memory_of_all_is_chosen_by_a_flag(caxton, agent):
    added = caxton.json("memory", "add", "for all", "--global", "--key", agent)
    assert added["space"]["scope"] == "global"
    assert [e["value"] for e in caxton.json("memory", "list", "--global", "--key", agent)["entries"]] == ["for all"]


def test_an_entry_may_expire(caxton, agent):
    added = caxton.json("memory", "add", "x", "--agent", agent, "--expires-in", "30d")
    assert added["expires_at"] == pytest.approx(added["created_at"] + 30 * 86_400)
    assert "expires" in caxton.out("memory", "show", added["id"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "x"), "Say whose memory"),
        (("add", "x", "--global", "--agent", "a"), "Choose one of"),
        (("list", "--workspace", "a", "--conversation", "b"), "Choose one of"),
        (("add", "x", "--global", "--expires-in", "soon"), "'soon'"),
        (("add", "x", "--global", "--importance", "2"), "--importance"),
        (("search", "x", "--mode", "magic"), "--mode"),
        (("search", "x", "--limit", "0"), "--limit"),
        (("forget", "--yes"), "Say what to forget"),
        (("import", "missing.jsonl"), "missing.jsonl"),
    ],
)
def test_a_wrong_use_is_told_before_anything_is_sent(caxton, arguments, words):
    assert words in caxton.err("memory", *arguments, fails=2)


def test_what_is_not_there_is_told(caxton):
    assert "nothing" in caxton.err("memory", "show", "nothing", fails=1)


def test_an_entry_is_forgotten_for_who_says_so(caxton, agent, entry):
    assert "--yes" in caxton.err("memory", "forget", entry, fails=2)
    assert caxton.out("memory", "forget", entry, "--yes") == "Forgotten: 1.\n"
    assert caxton.json("memory", "forget", "--agent", agent, "--yes") == {"entries": 0}


@pytest.mark.usefixtures("person")
def test_a_person_is_asked_before_anything_is_forgotten(caxton, entry):
    caxton("memory", "forget", entry, stdin="n\n", fails=130)
    assert "Forgotten: 1." in caxton.out("memory", "forget", entry, stdin="y\n")


def test_an_export_can_be_imported(caxton, agent, entry, tmp_path):
    assert caxton.out("memory", "export", "memory.jsonl", "--agent", agent) == "Exported: 1.\n"
    [line] = (tmp_path / "memory.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["id"] == entry
    assert caxton.out("memory", "export", "--agent", agent) == line + "\n"
    caxton("memory", "forget", entry, "--yes")
    assert caxton.out("memory", "import", "memory.jsonl") == "Imported: 1 new.\n"
    assert caxton.json("memory", "import", "memory.jsonl") == {"records": 0}
    assert caxton.json("memory", "show", entry)["key"] == "cat"


def test_a_large_import_goes_in_pieces_that_a_server_takes(caxton, agent, tmp_path):
    entry = caxton.json("memory", "add", "x" * 300_000, "--agent", agent)
    lines = [json.dumps({**entry, "id": f"{agent}-{n}", "type": "entry"}) + "\n\n" for n in range(6)]
    (tmp_path / "large.jsonl").write_text("".join(lines), encoding="utf-8")
    assert caxton.json("memory", "import", "large.jsonl") == {"records": 6}


@pytest.mark.parametrize("line", ["no json", "{}", '{"type": "entry"}', '{"type": "other"}', '"text"', "\x00"])
def test_a_line_that_is_no_record_is_named(caxton, tmp_path, line):
    (tmp_path / "broken.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
    assert "broken.jsonl:2 is no exported record" in caxton.err("memory", "import", "broken.jsonl", fails=1)


def test_numbers_are_shown(caxton, agent, entry):
    said = caxton.out("memory", "stats", "--agent", agent)
    for words in ("1 in 1 spaces", "all-MiniLM-L6-v2, 384 dimensions"):
        assert words in said
    assert caxton.json("memory", "stats", "--agent", agent)["entries"] == 1
    assert caxton.json("memory", "reindex")["entries"] >= 1
