"""How what the server answers is shown to people."""

import pytest

from caxton.cli.session import Session
from caxton.cli.show import said, show_messages
from caxton.domain.message import MessageState
from caxton.service.api.messages import MessageView


def a_message(**fields) -> MessageView:
    shape = {
        "id": "1", "performative": "inform", "sender": "helper", "receiver": "user", "conversation_id": "c",
        "created_at": 1.7e9, "text": "", "content": {}, "in_reply_to": None, "state": MessageState.SETTLED,
        "attempts": 1, "addressed": None, "reply_with": None, "reply_by": None, "protocol": None, "priority": 5,
        "hops": 0, "path": (), "cause": None, "trace": None,
    }  # fmt: skip
    return MessageView(**shape | fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": "Hello"}, "Hello"),
        ({"performative": "failure", "content": {"error": {"message": "It broke."}}}, "(failure: It broke.)"),
        ({"performative": "agree"}, "(agree)"),
    ],
)
def test_a_message_says_its_text_or_what_it_is(fields, words):
    assert said(a_message(**fields)) == words


def test_a_talk_is_who_said_what(capsys):
    session = Session(environ={})
    show_messages(session, [a_message(sender="user", text="Hi\n"), a_message(text="Hello")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["user", "Hi", "", "helper", "Hello", ""]


def test_no_message_is_said_to_be_none(capsys):
    show_messages(Session(environ={}), [])
    assert capsys.readouterr().out == "Nothing was said yet.\n"
