"""`caxton person`."""

import pytest

from caxton.cli.client import Client
from caxton.service.api import messages
from caxton.service.api.messages import SendMessage


@pytest.fixture
def zoe(caxton, agent, house):
    """Somebody who has said something in a conversation of this test, by name."""
    name = f"zoe-{agent}"
    said = SendMessage(text="Hello", sender=name, conversation_id=f"with-{agent}")
    Client(house).call(messages.SEND, path={"name": agent}, body=said)
    caxton("memory", "add", "likes tea", "--agent", agent, "--subject", name)
    return name


def test_what_is_kept_of_a_person_is_shown(caxton, agent, zoe):
    first, head, line = caxton.out("person", "show", zoe).splitlines()
    assert first == "Memories: 1. Conversations: 1."
    assert head.split() == ["ID", "AGENT", "MESSAGES", "LAST", "ACTIVE"]
    assert line.split()[:3] == [f"with-{agent}", agent, "2"]
    assert caxton.out("person", "show", "nobody") == "Memories: 0. Conversations: 0.\n"


def test_a_person_is_erased_for_who_says_so(caxton, agent, zoe):
    assert "--yes" in caxton.err("person", "forget", zoe, fails=2)
    said = caxton.out("person", "forget", zoe, "--yes")
    assert said == "Erased: 1 memories, 2 messages in 1 conversations.\n"
    assert "error: " in caxton.err("conversation", "show", f"with-{agent}", fails=1)
    assert caxton.json("person", "forget", zoe, "--yes")["messages"] == 0


@pytest.mark.usefixtures("person")
def test_a_person_at_the_terminal_is_asked_first(caxton, zoe):
    caxton("person", "forget", zoe, stdin="n\n", fails=130)
    assert "Erased: 1 memories" in caxton.out("person", "forget", zoe, stdin="y\n")


def test_the_conversations_of_several_that_somebody_is_in_are_named(caxton, agent):
    caxton("conversation", "create", agent, "--person", f"{agent}-zoe", "--id", f"{agent}-group")
    assert f"Takes part in: {agent}-group." in caxton.out("person", "show", f"{agent}-zoe")
    assert caxton.json("person", "forget", f"{agent}-zoe", "--yes")["participations"] == 1
    assert "Takes part" not in caxton.out("person", "show", f"{agent}-zoe")
