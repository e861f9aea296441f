"""`caxton conversation`."""

import pytest


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
