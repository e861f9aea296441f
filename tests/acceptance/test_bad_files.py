"""Whatever is dropped into the agents directory: told with its place, and nobody else is the worse for it."""

import json
import os
import shutil
import sys
from collections.abc import Iterator

import pytest
from support.bad_files import BAD_FILES, HEAD, odd_names, odd_things
from support.server import SCRIPTED, Cli, free_port, until

PROVIDED = 'name = "{}"\nsystem_prompt = "{}"\n'


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Iterator[Cli]:
    """One server for all tests of this file, with the agent `helper`. It is the same process at the end."""
    cli = Cli(tmp_path_factory.mktemp("bad"), free_port())
    (cli.directory / "caxton.toml").write_text(SCRIPTED)
    cli("server", "start")
    pid = cli.pid()
    (cli.agents / "helper.toml").write_text(PROVIDED.format("helper", "You help."))
    until(lambda: "helper" in names(cli), "the agent")
    yield cli
    try:
        assert cli.pid() == pid
        assert cli.http("GET", "/ready")[0] == 200
    finally:
        cli.run("server", "stop", "--force")


@pytest.fixture
def server(live: Cli) -> Iterator[Cli]:
    """That server. After the test the directory is as it was, and the server well."""
    yield live
    for path in live.agents.iterdir():
        if path.name != "helper.toml":
            remove(path)
    well(live)
    until(lambda: (names(live), rejected(live)) == (["helper"], {}), "the end of what was dropped")


def remove(path):
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def names(cli):
    return [agent["name"] for agent in cli.http("GET", "/agents")[2]["agents"]]


def rejected(cli):
    """The diagnostics of files that define no agent, by the file's name."""
    found = cli.http("GET", "/agents")[2]["rejected"]
    return {one["file"].rpartition(os.sep)[2]: one["diagnostics"] for one in found}


def well(cli):
    """An agent answers, and a new file is noticed."""
    assert cli.say("helper", "Are you there?")["text"] == "echo: Are you there?"
    probe = cli.agents / "probe.toml"
    probe.write_text(PROVIDED.format("probe", "You are looked for."))
    until(lambda: "probe" in names(cli), "the notice of a new file")
    probe.unlink()


def first(diagnostics):
    problem = diagnostics[0]
    return problem["code"], problem.get("line", 0), problem.get("column", 0)


def expected(name):
    bad = BAD_FILES[name]
    return bad.code, bad.line, bad.column


def test_one_after_the_other_each_is_told_with_its_place(server):
    for name, bad in BAD_FILES.items():
        (server.agents / f"{name}.toml").write_bytes(bad.data)
        told = until(lambda name=name: rejected(server).get(f"{name}.toml"), f"the rejection of {name}")
        assert first(told) == expected(name), name
        assert all(problem["message"] for problem in told), name
        assert "sk-secret" not in json.dumps(told)
        assert server.say("helper", name)["text"] == f"echo: {name}"
    assert names(server) == ["helper"]
    listed = server("agent", "list")
    assert "\nhelper" in listed
    validated = json.loads(server("validate", str(server.agents), "--output", "json", fails=1))
    by_file = {os.path.basename(one["file"]): one["diagnostics"] for one in validated["files"]}  # noqa: PTH119
    for name, bad in BAD_FILES.items():
        path = server.agents / f"{name}.toml"
        assert (f"{path}:{bad.line}:{bad.column}" if bad.line else str(path)) in listed, name
        assert first(by_file[path.name]) == expected(name), name
    assert by_file["helper.toml"] == []


def test_all_at_once_each_is_told_and_the_good_ones_among_them_run(server):
    good = [f"good-{number}" for number in range(20)]
    for name, bad in BAD_FILES.items():
        (server.agents / f"{name}.toml").write_bytes(bad.data)
    for name in good:
        (server.agents / f"{name}.toml").write_text(PROVIDED.format(name, "You help."))
    until(lambda: len(names(server)) == 21 and len(rejected(server)) == len(BAD_FILES), "that all are taken in")
    told = rejected(server)
    assert {name: first(told[f"{name}.toml"]) for name in BAD_FILES} == {name: expected(name) for name in BAD_FILES}
    assert [server.say(name, "Hello")["text"] for name in good] == ["echo: Hello"] * 20
    for name in BAD_FILES:
        (server.agents / f"{name}.toml").write_text(PROVIDED.format(f"mended-{name}", "You help."))
    until(lambda: rejected(server) == {} and len(names(server)) == 21 + len(BAD_FILES), "that all are mended")


def test_an_agent_whose_file_is_broken_in_every_way_answers_on(server):
    path = server.agents / "victim.toml"
    path.write_text(PROVIDED.format("victim", "You are the first."))
    agent = until(lambda: view(server, "victim"), "the agent")
    for name, bad in BAD_FILES.items():
        path.write_bytes(bad.data)
        until(lambda name=name: first(reloaded(server).get("diagnostics") or [{"code": ""}]) == expected(name), name)
        assert reloaded(server)["outcome"] == "rejected"
        reply = server.say("victim", name)
        assert reply["text"] == f"echo: {name}"
        assert trace(server, reply)["prompt"][0]["content"] == "You are the first."
    shown = server("agent", "show", "victim")
    assert "rejected" in shown
    path.write_text(PROVIDED.format("victim", "You are the last."))
    until(lambda: view(server, "victim")["definition"]["system_prompt"] == "You are the last.", "the mending")
    assert view(server, "victim")["id"] == agent["id"]
    assert "diagnostics" not in reloaded(server)


def test_an_agent_whose_file_becomes_something_else_answers_on(server):
    path = server.agents / "victim.toml"
    path.write_text(PROVIDED.format("victim", "You are the first."))
    before = until(lambda: view(server, "victim"), "the agent")
    for name, make in odd_things().items():
        other = server.agents / "victim.new"
        make(other)
        path.unlink()
        other.rename(path)
        until(lambda: reloaded(server)["outcome"] == "rejected", f"the rejection of a {name}")
        assert [problem["code"] for problem in reloaded(server)["diagnostics"]] in (["unreadable"], ["too_large"]), name
        assert server.say("victim", name)["text"] == f"echo: {name}"
        remove(path)
        path.write_text(PROVIDED.format("victim", f"You were a {name}."))
        until(lambda: reloaded(server)["outcome"] == "applied", "the return of the file")
        for rest in server.agents.glob("victim.[!t]*"):
            rest.unlink()
    assert view(server, "victim")["id"] == before["id"]


def test_what_is_no_file_at_all_is_told(server):
    things = odd_things()
    for name, make in things.items():
        make(server.agents / f"{name}.toml")
        told = until(lambda name=name: rejected(server).get(f"{name}.toml"), f"the rejection of a {name}")
        assert first(told)[0] in ("unreadable", "too_large"), name
        assert server.say("helper", name)["text"] == f"echo: {name}"
    listed = server("agent", "list")
    assert all(f"{name}.toml" in listed for name in things)
    assert server.run("validate", str(server.agents)).returncode == 1


def test_odd_names_of_files_are_no_hindrance(server):
    for number, name in enumerate(odd_names()):
        (server.agents / f"{name}.toml").write_text(PROVIDED.format(f"odd-{number}", "You help."))
        (server.agents / f"{name} broken.toml").write_text(HEAD + "version =\n")
    count = len(odd_names())
    until(lambda: (len(names(server)), len(rejected(server))) == (count + 1, count), "that all are taken in")
    for number, name in enumerate(odd_names()):
        assert view(server, f"odd-{number}")["file"] == str(server.agents / f"{name}.toml")
        assert server.say(f"odd-{number}", "Hello")["text"] == "echo: Hello"
    listed = server("agent", "list")
    assert all(f"odd-{number}" in listed for number in range(count))
    assert listed.count("broken.toml:3:10") == count
    assert "version =" in server("validate", *(str(path) for path in server.agents.glob("*broken.toml")), fails=1)
    server("agent", "delete", "odd-0", "--yes")
    assert not (server.agents / f"{odd_names()[0]}.toml").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names in other encodings are Linux's")
def test_a_name_that_is_no_text_is_told_and_can_be_mended(server):
    raw = os.fsencode(server.agents) + b"/caf\xe9.toml"
    with open(raw, "w") as file:  # noqa: PTH123 - a path of bytes
        file.write(PROVIDED.format("latin", "You help."))
    told = until(lambda: rejected(server).get(r"caf\udce9.toml"), "the rejection")
    assert first(told) == ("encoding", 0, 0)
    assert r"caf\udce9.toml" in server("agent", "list")
    assert r"caf\udce9.toml" in server("validate", str(server.agents), fails=1)
    os.rename(raw, server.agents / "latin.toml")  # noqa: PTH104
    until(lambda: "latin" in names(server) and not rejected(server), "the agent")


def test_a_storm_of_changes_ends_with_what_is_in_the_files(server):
    bad = [one.data for one in BAD_FILES.values() if len(one.data) < 10_000]
    for turn in range(300):
        path = server.agents / f"storm-{turn % 5}.toml"
        match turn % 4:
            case 0:
                path.write_bytes(bad[turn % len(bad)])
            case 1:
                path.unlink(missing_ok=True)
            case 2:
                temporary = path.with_suffix(".tmp")
                temporary.write_text(PROVIDED.format(path.stem, f"Turn {turn}."))
                temporary.replace(path)
            case _:
                path.write_text(PROVIDED.format(path.stem, f"Turn {turn}."))
    last = {f"storm-{number}": f"The end of {number}." for number in range(5)}
    for name, prompt in last.items():
        (server.agents / f"{name}.toml").write_text(PROVIDED.format(name, prompt))
    until(
        lambda: {name: (view(server, name) or {}).get("definition", {}).get("system_prompt") for name in last} == last,
        "that the last word holds",
    )
    assert rejected(server) == {}
    assert [server.say(name, "Hello")["text"] for name in last] == ["echo: Hello"] * 5


def test_a_server_starts_with_all_of_it_in_its_directory(cli):
    (cli.directory / "caxton.toml").write_text(SCRIPTED)
    cli.agents.mkdir(parents=True)
    for name, bad in BAD_FILES.items():
        (cli.agents / f"{name}.toml").write_bytes(bad.data)
    for name, make in odd_things().items():
        make(cli.agents / f"{name}.toml")
    (cli.agents / "helper.toml").write_text(PROVIDED.format("helper", "You help."))
    cli("server", "start")
    assert names(cli) == ["helper"]
    told = rejected(cli)
    assert {name: first(told[f"{name}.toml"]) for name in BAD_FILES} == {name: expected(name) for name in BAD_FILES}
    assert len(told) == len(BAD_FILES) + len(odd_things())
    well(cli)


def view(cli, name):
    """The agent, None where there is none."""
    status, _, agent = cli.http("GET", f"/agents/{name}")
    return agent if status == 200 else None


def reloaded(cli):
    return view(cli, "victim")["last_reload"]


def trace(cli, reply):
    return cli.http("GET", f"/messages/{reply['in_reply_to']}/trace")[2]
