"""`caxton tool`, with the tools for agents' memory: the house has no other server."""

import json
import time

import pytest

from caxton.domain.errors import Code, ErrorReport
from caxton.domain.health import HealthStatus
from caxton.domain.tool import ToolHints, Verdict
from caxton.service.api.tools import (
    ApprovalAnswered,
    ApprovalList,
    ApprovalView,
    DecisionView,
    ToolAnswer,
    ToolList,
    ToolServer,
    ToolServerList,
    ToolServerLog,
    ToolView,
    ViolationList,
    ViolationView,
)

NOW = time.time()
DECISION = DecisionView(
    tool="files.delete",
    agent="helper",
    verdict=Verdict.DENY,
    rule="*.delete",
    where="[tools] deny",
    why="The agent 'helper' may not call files.delete.",
)
ANSWER = ToolAnswer(
    tool="files.read_file", text="hello", content=[], structured=None, failed=False, error=None, duration=0.1
)
CHANGED = ToolView(
    name="files.read_file",
    title="",
    description="Reads a file.\nAt length.",
    parameters={"properties": {"path": {"type": "string"}}, "required": ["path"]},
    returns=None,
    hints=ToolHints(read_only=True),
    fingerprint="f",
    changed=True,
)


@pytest.fixture
def told(raw, apart):
    """Has the server answer with this."""
    import msgspec

    def answer(value: object) -> None:
        raw.answers(200, msgspec.json.encode(value))

    return answer


def sent(raw) -> tuple[str, dict]:
    """The last request: its line, and its body."""
    head, _, body = raw.requests[-1].partition(b"\r\n\r\n")
    return head.split(b" HTTP")[0].decode(), json.loads(body.strip() or b"{}")


def test_the_list_has_a_line_a_tool(caxton):
    lines = caxton.out("tool", "list").splitlines()
    assert [line.split()[0] for line in lines] == [
        "TOOL",
        "memory.remember",
        "memory.recall",
        "memory.forget",
        "messaging.ask",
        "messaging.send",
        "messaging.find",
    ]
    names = [tool["name"] for tool in caxton.json("tool", "list", "--server", "memory")["tools"]]
    assert names == ["memory.remember", "memory.recall", "memory.forget"]
    assert "There is no tool server 'absent'." in caxton.err("tool", "list", "--server", "absent", fails=1)


def test_a_changed_tool_and_a_server_that_fails_are_told(apart, told):
    failure = ErrorReport(code=Code.TOOL_SERVER_UNAVAILABLE, message="It does not run.", why="No reason.")
    told(ToolList(tools=[CHANGED], failures={"far": failure}))
    result = apart("tool", "list")
    [line] = [line for line in result.stdout.splitlines() if "files.read_file" in line]
    assert "changed" in line
    assert "Reads a file. At length." in line
    assert result.stderr == "far: It does not run. No reason.\n"
    told(ToolList(tools=[], failures={}))
    assert "[mcp_servers.time]" in apart.out("tool", "list")


def test_a_tool_is_shown_with_its_arguments(caxton, apart):
    shown = caxton.out("tool", "show", "memory.recall")
    assert "reads only" in shown
    assert "query" in shown
    assert caxton.json("tool", "show", "memory.recall")["hints"]["read_only"] is True
    assert "Did you mean 'memory.recall'?" in caxton.err("tool", "show", "memory.recal", fails=1)
    assert "server.tool" in caxton.err("tool", "show", "recall", fails=1)


def test_arguments_are_json_where_they_can_be_read_so(apart, raw, told):
    told(ANSWER)
    assert apart.out("tool", "call", "files.read_file", "path=a b.txt", "n=5", "deep=[1]", "t=1.x", "e=") == "hello\n"
    line, body = sent(raw)
    assert line == "POST /tools/files.read_file/call"
    assert body["arguments"] == {"path": "a b.txt", "n": 5, "deep": [1], "t": "1.x", "e": ""}
    apart.out("tool", "call", "files.read_file", "n=6", "--json", '{"n": 5, "m": 1}', "--timeout", "2.5")
    assert sent(raw)[1] == {"arguments": {"n": 6, "m": 1}, "timeout": 2.5}


@pytest.mark.parametrize("wrong", [("path",), ("=a",), ("--json", "[1]"), ("--json", "{"), ("--timeout", "0")])
def test_arguments_that_cannot_be_read_are_a_matter_of_usage(apart, wrong):
    apart.err("tool", "call", "files.read_file", *wrong, fails=2)


def test_a_call_that_fails_ends_with_status_1(caxton):
    result = caxton("tool", "call", "memory.recall", "query=x", fails=1)
    assert "caxton memory" in result.stderr
    assert result.stdout == ""


def test_a_permission_is_explained(caxton, agent):
    told = caxton.out("tool", "explain", agent, "memory.recall")
    assert told.startswith("deny: ")
    assert agent in told
    assert caxton.json("tool", "explain", agent, "memory.recall")["where"] == "the agent's tools"
    caxton.err("tool", "explain", agent, "memory.recall", "--json", "[", fails=2)


def test_servers_are_listed_restarted_and_their_logs_shown(caxton, apart, told):
    for command in ("servers",), ("restart", "memory"):
        lines = caxton.out("tool", *command).splitlines()
        assert lines[0].split() == ["SERVER", "KIND", "SHARING", "STATUS", "DETAIL"]
        assert lines[1].split()[:2] == ["memory", "memory"]
    assert caxton.json("tool", "logs", "memory") == {"lines": []}
    caxton.err("tool", "logs", "absent", fails=1)
    caxton.err("tool", "restart", "absent", fails=1)
    told(ToolServerLog(lines=["one", "two"]))
    assert apart.out("tool", "logs", "files") == "one\ntwo\n"
    far = ToolServer(name="far", kind="http", sharing="agent", status=HealthStatus.FAILED, detail="refused")
    told(ToolServerList(servers=[far]))
    assert "refused" in apart.out("tool", "servers")


def test_a_description_is_approved(caxton):
    assert caxton.out("tool", "approve", "memory.recall") == "memory.recall is approved as it is now.\n"


def test_calls_that_wait_are_listed_and_answered(caxton, apart, raw, told):
    assert caxton.out("tool", "approvals") == "No call waits.\n"
    caxton.err("tool", "answer", "no-such-id", "yes", fails=1)
    caxton.err("tool", "answer", "no-such-id", "perhaps", fails=2)
    one = ApprovalView(
        id="id-1", tool="files.delete", agent="helper", arguments={"path": "a"}, why="", asked_at=NOW, expires_at=NOW
    )
    told(ApprovalList(approvals=[one]))
    shown = apart.out("tool", "approvals")
    assert "id-1" in shown
    assert '{"path":"a"}' in shown
    assert "caxton tool answer" in shown
    told(ApprovalAnswered(id="id-1", granted=True))
    assert apart.out("tool", "answer", "id-1", "yes") == "The call is made.\n"
    line, body = sent(raw)
    assert (line, body["granted"], bool(body["by"])) == ("POST /tools/approvals/id-1", True, True)
    told(ApprovalAnswered(id="id-1", granted=False))
    assert apart.out("tool", "answer", "id-1", "no", "--reason", "too risky") == "The call is refused.\n"
    assert sent(raw)[1]["reason"] == "too risky"


def test_violations_are_listed(caxton, apart, told):
    assert caxton.json("tool", "violations") == {"violations": []}
    told(ViolationList(violations=[ViolationView(at=NOW, arguments={}, request=None, decision=DECISION)]))
    shown = apart.out("tool", "violations", "--limit", "5")
    assert "files.delete" in shown
    assert "helper" in shown
