"""How a trace is drawn."""

from support.messages import a_request

from caxton.cli.session import Session
from caxton.cli.tree import show_tree
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.message import MessageState
from caxton.service.api.events import EventMessage
from caxton.service.api.messages import ToolUse
from caxton.service.api.traces import TraceNode, TraceTree


def a_node(depth, text, *, turn=False, tools=(), took=None, **fields):
    request = a_request(text)
    given = {
        "message": EventMessage.of(request),
        "state": MessageState.SETTLED,
        "attempts": 0,
        "parent": f"parent of {text}" if depth else None,
        "depth": depth,
        "after": 0.0,
        "took": took,
        "provider": None,
        "model": None,
        "usage": None,
        "model_calls": None,
        "duration": None,
        "tools": tools,
        "error": None,
        "turn": turn,
        "cut": False,
    }
    return TraceNode(**(given | fields))


def drawn(capsys, *nodes, complete=True):
    show_tree(
        Session(environ={"NO_COLOR": "1"}),
        TraceTree(trace_id="a1", began=0.0, duration=1.5, complete=complete, nodes=list(nodes)),
    )
    return capsys.readouterr().out.splitlines()


def test_lines_lead_from_each_message_to_those_it_led_to(capsys):
    lines = drawn(
        capsys,
        a_node(0, "a", took=2.0),
        a_node(1, "b", tools=(ToolUse(tool="t.x", failed=False, duration=0.1),)),
        a_node(2, "c"),
        a_node(3, "d"),
        a_node(2, "e"),
        a_node(1, "f", tools=(ToolUse(tool="t.y", failed=True, duration=0.2),)),
        a_node(0, "g"),
    )
    assert lines[:9] == [
        "request user → helper: a  [settled, 2.000 s]",
        "├─ tool t.x  [0.100 s]",
        "├─ request user → helper: b",
        "│  ├─ request user → helper: c",
        "│  │  └─ request user → helper: d",
        "│  └─ request user → helper: e",
        "├─ tool t.y  [0.200 s, failed]",
        "└─ request user → helper: f",
        "request user → helper: g",
    ]
    assert lines[-1] == "trace a1: 1.500 s in all"


def test_what_went_wrong_is_told_and_nothing_commands_the_terminal(capsys):
    error = ErrorReport(code=Code.TURN_TIMEOUT, message="It took\x1b[2J too long.")
    [line, *_] = drawn(capsys, a_node(0, "", state=MessageState.DEAD, attempts=5, error=error))
    assert (
        line == "request user → helper: It took\N{REPLACEMENT CHARACTER}[2J too long.  [dead, 5 attempts, turn_timeout]"
    )


def test_long_texts_are_cut_and_an_incomplete_tree_says_so(capsys):
    first, *_, last = drawn(capsys, a_node(0, "x" * 100), complete=False)
    assert first == f"request user → helper: {'x' * 59}…"
    assert last == "trace a1: 1.500 s in all; there are more than these 1 messages"


def test_the_turns_that_are_still_known_are_named(capsys):
    lines = drawn(capsys, a_node(0, "a"), a_node(1, "b", turn=True), a_node(1, "c", turn=True))
    assert lines[-1] == "What a model was sent: caxton message turn parent of b …"
