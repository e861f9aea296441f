"""`caxton conversation`."""

import json

import pytest

from caxton.cli.client import Client
from caxton.service.api import conversations
from caxton.service.api.conversations import SpeakToGroup

AGENT = 'name = "{name}"\nsystem_prompt = "You echo."\n'


@pytest.fixture
def talk(caxton, agent):
    """A conversation of one turn, by its id."""
    caxton("message", "send", agent, "Hello", "--conversation", f"with-{agent}")
    return f"with-{agent}"


def test_the_list_has_a_line_a_conversation(caxton, agent, talk):
    head, line = caxton.out("conversation", "list", "--agent", agent).splitlines()
    assert head.split() == ["ID", "AGENT", "MESSAGES", "BEGAN", "LAST", "ACTIVE"]
    assert line.split()[:3] == [talk, agent, "2"]


def test_the_list_is_a_page_for_programs(caxton, agent, talk):
    caxton("message", "send", agent, "Hello")
    page = caxton.json("conversation", "list", "--agent", agent, "--limit", "1")
    assert [c["id"] for c in page["conversations"]] == [f"user:{agent}"]
    rest = caxton.json("conversation", "list", "--agent", agent, "--before", page["next"])
    assert [c["id"] for c in rest["conversations"]] == [talk]


def test_a_conversation_is_shown_as_it_went(caxton, talk):
    said = caxton.out("conversation", "show", talk)
    assert [line for line in said.splitlines() if line and "ago" not in line] == ["Hello", "echo: Hello"]
    told = caxton.json("conversation", "show", talk)
    assert told["conversation"]["id"] == talk
    assert [m["text"] for m in told["messages"]] == ["Hello", "echo: Hello"]


def test_a_conversation_is_erased_for_who_says_so(caxton, talk):
    assert "--yes" in caxton.err("conversation", "reset", talk, fails=2)
    assert caxton.out("conversation", "reset", talk, "--yes") == "Erased 2 messages.\n"
    assert "error: " in caxton.err("conversation", "show", talk, fails=1)


@pytest.mark.usefixtures("person")
def test_a_person_is_asked_before_a_conversation_is_erased(caxton, talk):
    caxton("conversation", "reset", talk, stdin="n\n", fails=130)
    assert "Erased 2 messages." in caxton.out("conversation", "reset", talk, stdin="y\n")


def test_what_was_erased_is_told_to_programs(caxton, talk):
    assert caxton.json("conversation", "reset", talk, "--yes") == {"id": talk, "messages_erased": 2}


@pytest.fixture
def group(caxton, agent, tmp_path):
    """A conversation of two agents and a person, by its id; its agents are `agent` and `agent`-b."""
    (tmp_path / f"{agent}-b.toml").write_text(AGENT.format(name=f"{agent}-b"))
    caxton("create", "--config", f"{agent}-b.toml", "--replace")
    id = f"group-of-{agent}"
    options = ("--person", "ada", "--title", "A plan", "--meta", "project=apollo", "--order", "in-turn", "--idle", "8h")
    assert caxton.out("conversation", "create", agent, f"{agent}-b", "--id", id, *options) == f"{id}\n"
    return id


def test_a_conversation_of_several_is_shown_with_who_is_in_it(caxton, agent, group):
    shown = caxton.out("conversation", "show", group)
    lines = [line.split(maxsplit=1) for line in shown.splitlines() if line]
    fields = {name: value for name, value in lines if name not in ("joined", "closed")}
    assert fields["title"] == "A plan"
    assert fields["participants"] == f"{agent}, {agent}-b, ada"
    assert (fields["history"], fields["order"], fields["project"]) == ("shared", "in-turn", "apollo")
    assert "closed after  28800 s of silence" in shown
    assert [value.partition(",")[0] for name, value in lines if name == "joined"] == [agent, f"{agent}-b", "ada"]
    told = caxton.json("conversation", "show", group)["conversation"]["group"]
    assert (told["metadata"], told["idle"]) == ({"project": "apollo"}, 28800.0)


def test_one_in_which_nothing_was_said_is_listed_too(caxton, agent, group):
    _, line = caxton.out("conversation", "list", "--agent", f"{agent}-b").splitlines()
    assert line.split("  ")[:2] == [group, f"{agent}, {agent}-b"]
    assert line.endswith("never")
    [entry] = caxton.json("conversation", "list", "--participant", agent)["conversations"]
    assert entry["id"] == group


def test_who_joins_and_leaves_is_said(caxton, agent, group):
    assert caxton.out("conversation", "join", group, "bob", "--person") == f"bob takes part in {group}.\n"
    assert caxton.out("conversation", "leave", group, f"{agent}-b") == f"{agent}-b has left {group}.\n"
    assert caxton.out("conversation", "join", group, f"{agent}-b") == f"{agent}-b takes part in {group}.\n"
    participants = caxton.json("conversation", "show", group)["conversation"]["group"]["participants"]
    assert [(one["name"], one["kind"]) for one in participants] == [
        (agent, "agent"),
        ("ada", "person"),
        ("bob", "person"),
        (f"{agent}-b", "agent"),
    ]
    assert "'nobody' does not take part" in caxton.err("conversation", "leave", group, "nobody", fails=1)


def test_what_each_answers_is_printed_under_its_name(caxton, agent, group):
    said = caxton.out("conversation", "send", group, "Hello", "--sender", "ada")
    assert [line for line in said.splitlines() if line] == [
        agent,
        "echo: ada: Hello",
        f"{agent}-b",
        "echo: ada: Hello",
        f"{agent}: echo: ada: Hello",
    ]
    shown = caxton.out("conversation", "show", group)
    assert shown.count("\nHello\n") == 1


def test_programs_get_all_replies_of_all_rounds(caxton, agent, group):
    told = caxton.json("conversation", "send", group, "Hello", "--rounds", "2")
    assert [(one["agent"], one["round"]) for one in told["replies"]] == [
        (name, number) for number in (1, 2) for name in (agent, f"{agent}-b")
    ]


def test_who_does_not_answer_is_told_and_if_nobody_does_it_is_a_failure(caxton, agent, group):
    caxton("agent", "stop", agent)
    said = caxton.out("conversation", "send", group, stdin="Hello")
    assert "[agent_not_running]" in said
    assert "echo: user: Hello" in said
    caxton("agent", "stop", f"{agent}-b")
    assert caxton("conversation", "send", group, "Hello", fails=1).stdout.count("[agent_not_running]") == 2
    assert "text" in caxton.err("conversation", "send", group, "-", fails=2)


def test_a_closed_one_is_opened_again(caxton, group):
    assert caxton.out("conversation", "close", group) == f"{group} is closed.\n"
    assert "is closed" in caxton.err("conversation", "send", group, "Hello", fails=1)
    assert ["closed", "0", "s", "ago"] in [
        line.split() for line in caxton.out("conversation", "show", group).splitlines()
    ]
    assert caxton.out("conversation", "reopen", group) == f"{group} is open.\n"
    caxton("conversation", "send", group, "Hello")


def test_a_whole_conversation_is_erased_for_who_says_so(caxton, group):
    caxton("conversation", "send", group, "Hello")
    assert "--yes" in caxton.err("conversation", "delete", group, fails=2)
    assert caxton.out("conversation", "delete", group, "--yes") == "Erased the conversation with 4 messages.\n"
    assert "There is no conversation" in caxton.err("conversation", "show", group, fails=1)


@pytest.mark.parametrize("options", [("--meta", "project"), ("--meta", "=apollo"), ("--idle", "soon")])
def test_options_that_cannot_be_read_are_explained(caxton, agent, options):
    assert options[1] in caxton.err("conversation", "create", agent, *options, fails=2)


class TestTail:
    @pytest.fixture
    def meanwhile(self, caxton, agent, group, monkeypatch):
        """Has something said to the group once the command has read what was said before."""
        call = Client.call

        def speaking(client, operation, **arguments):
            answer = call(client, operation, **arguments)
            if operation is conversations.SHOW:
                body = SpeakToGroup(text="And this is new", sender="ada")
                call(client, conversations.SEND, path={"id": group}, body=body)
            return answer

        return lambda: monkeypatch.setattr(Client, "call", speaking)

    def test_it_begins_with_the_last_lines_and_goes_on_with_what_is_said_once_each(
        self, caxton, agent, group, meanwhile
    ):
        caxton("conversation", "send", group, "This is old")
        meanwhile()
        said = caxton.out("conversation", "tail", group, "-n", "1", "--count", "3")
        speakers = [line.split()[0] for line in said.splitlines() if line.endswith("s ago")]
        assert speakers == [f"{agent}-b", "ada", agent, f"{agent}-b"]
        assert said.splitlines().count("And this is new") == 1
        assert said.splitlines().count("This is old") == 0

    def test_programs_get_a_line_for_each_message(self, caxton, agent, group, meanwhile):
        meanwhile()
        lines = caxton.out("conversation", "tail", group, "--count", "3", "--output", "json").splitlines()
        said = [json.loads(line) for line in lines]
        assert [(one["sender"], one["performative"]) for one in said] == [
            ("ada", "request"),
            (agent, "inform"),
            (f"{agent}-b", "inform"),
        ]
        assert said[0]["text"] == "And this is new"

    def test_of_a_conversation_that_is_not_there_nothing_is_shown(self, caxton):
        assert "There is no conversation" in caxton.err("conversation", "tail", "nothing", fails=1)
