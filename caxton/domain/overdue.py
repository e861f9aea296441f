"""What messages die of that wait too long."""

from caxton.domain.errors import Code, ErrorReport

OVERDUE = ErrorReport(
    code=Code.DEADLINE_PASSED,
    message="Nobody had dealt with the message when its reply was due.",
    hint="Replay it where it still matters: `caxton dlq replay`.",
)
UNCLAIMED = ErrorReport(
    code=Code.AGENT_NOT_RUNNING,
    message="Nobody took the message up for as long as messages wait.",
    why="Its receiver did not run; `waiting` in `[bus]` says for how long it may.",
    hint="Start the receiver, then `caxton dlq replay`; or `caxton dlq redirect` to another.",
)
