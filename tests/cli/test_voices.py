"""Several voices on one terminal."""

import msgspec
import pytest
from support.http import REPLY

from caxton.cli.session import Session
from caxton.cli.voices import Voices
from caxton.domain.errors import Code, ErrorReport
from caxton.service.api.conversations import GroupReplies, GroupReply, SpeakerDelta, SpeakerStarted


def starts(agent):
    return SpeakerStarted(agent=agent, round=1, in_reply_to="m", conversation_id="g")


def ends(agent, text=""):
    if not text:
        error = ErrorReport(code=Code.TURN_TIMEOUT, message="It took too long.")
        return GroupReply(agent=agent, round=1, error=error)
    return GroupReply(agent=agent, round=1, reply=msgspec.structs.replace(REPLY, text=text))


@pytest.fixture
def hear(capsys):
    """What is printed of some events."""

    def hear(*events):
        voices = Voices(Session({"NO_COLOR": "1"}))
        for event in [*events, GroupReplies(conversation_id="g", replies=[])]:
            voices.hear(event)
        return capsys.readouterr().out

    return hear


def test_to_a_program_each_reply_is_printed_whole(hear):
    said = hear(starts("a"), SpeakerDelta(agent="a", text="one"), starts("b"), ends("b", "two\n"), ends("a", "one"))
    assert said == "b\ntwo\n\na\none\n\n"


@pytest.mark.usefixtures("person")
class TestToAPerson:
    def test_the_first_is_shown_as_it_speaks_and_the_others_after_it(self, hear):
        pieces = [SpeakerDelta(agent=name, text=text) for name, text in (("a", "one "), ("b", "two"), ("a", "more"))]
        said = hear(starts("a"), starts("b"), *pieces, ends("b", "two"), ends("a", "one more"), ends("c", "three"))
        assert said == "a\none more\n\nb\ntwo\n\nc\nthree\n\n"

    def test_one_after_another_each_is_shown_as_it_speaks(self, hear):
        events = [
            (starts(name), SpeakerDelta(agent=name, text=f"I am {name}"), ends(name, f"I am {name}")) for name in "ab"
        ]
        assert hear(*events[0], *events[1]) == "a\nI am a\n\nb\nI am b\n\n"

    def test_one_that_breaks_off_says_why(self, hear):
        said = hear(starts("a"), SpeakerDelta(agent="a", text="Well"), ends("a"), ends("b"))
        assert said == "a\nWell\n(It took too long. [turn_timeout])\n\nb\n(It took too long. [turn_timeout])\n\n"

    def test_no_text_commands_the_terminal(self, hear):
        assert "\x1b" not in hear(
            starts("a"), SpeakerDelta(agent="a", text="\x1b[2J"), ends("a", "x"), ends("b", "\x1b[2J")
        )
