"""What tools are: their names and schemas, a call and its result, who decided that it may be made."""

import re
from enum import StrEnum

import msgspec

from caxton.domain.errors import CaxtonError, Code, ErrorReport

SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
FUNCTION_NAME_LENGTH = 64
_NOT_IN_FUNCTION_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def is_server_name(name: str) -> bool:
    """Whether `name` can name a server: lower-case letters, digits, `-` and `_`, at most 64; no dot."""
    return SERVER_NAME.fullmatch(name) is not None


class ToolName(msgspec.Struct, frozen=True, order=True):
    """`server.tool`. The server's part has no dot; the tool's part is as its server calls it."""

    server: str
    tool: str

    @classmethod
    def parse(cls, text: str) -> "ToolName":
        """CaxtonError `tool_not_found` where `text` has not both parts."""
        server, dot, tool = text.partition(".")
        if not (dot and tool and is_server_name(server)):
            raise CaxtonError(
                Code.TOOL_NOT_FOUND,
                f"{text!r} is no tool's name.",
                hint="Write server.tool, as `caxton tool list` does.",
            )
        return cls(server, tool)

    def __str__(self) -> str:
        return f"{self.server}.{self.tool}"

    @property
    def function(self) -> str:
        """The name a language model is given: models take letters, digits, `_` and `-` only, and no more than 64.

        Two tools may end up with one name; whoever offers several to a model has to see to that.
        """
        return _NOT_IN_FUNCTION_NAMES.sub("_", f"{self.server}__{self.tool}")[:FUNCTION_NAME_LENGTH]


class ToolHints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a server says of its tool's effects. A claim, not a promise: nothing is permitted because of it."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True


class ToolSchema(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool as its server describes it. Everything in here but `name.server` is the server's word.

    `parameters` and `returns` are JSON Schemas of its arguments and its structured result. `fingerprint` is a SHA-256
    over all the server said; `changed` tells that it is another than the approved one.
    """

    name: ToolName
    description: str = ""
    title: str = ""
    parameters: dict[str, object] = {}
    returns: dict[str, object] | None = None
    hints: ToolHints = ToolHints()
    fingerprint: str = ""
    changed: bool = False


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call to be made. `agent` is None for an operator who calls by hand: only the system's rules hold for him.

    `timeout` is in seconds for the whole call, None for the server's setting; `request` is the id of the message that
    it serves, if any, and `occurrence` how many calls with the same arguments its turn has had before this one, so that
    those of a turn that runs again can be told to be the same.
    """

    id: str
    tool: ToolName
    arguments: dict[str, object] = {}
    agent: str | None = None
    timeout: float | None = None
    request: str | None = None
    occurrence: int = 0


class ToolProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a call has come, in units of the tool's own; `total` is None where it does not know."""

    call: str
    progress: float
    total: float | None = None
    message: str = ""


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """`data` is base64, as it came."""

    data: str
    media_type: str


class AudioPart(msgspec.Struct, frozen=True, tag="audio"):
    """`data` is base64, as it came."""

    data: str
    media_type: str


class ResourcePart(msgspec.Struct, frozen=True, kw_only=True, tag="resource", omit_defaults=True):
    """Something the server can read: its text or its base64 `data` where the server enclosed it, else a link."""

    uri: str
    media_type: str = ""
    title: str = ""
    text: str | None = None
    data: str | None = None


ContentPart = TextPart | ImagePart | AudioPart | ResourcePart


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a call ended. Its content comes from outside and is never to be trusted, whoever's tool it was.

    `failed` tells that the tool said so itself, or that no answer came; in the second case `error` says why.
    `structured` is any JSON value. `duration` is in seconds.
    """

    call: str
    tool: ToolName
    content: tuple[ContentPart, ...] = ()
    structured: object = None
    failed: bool = False
    error: ErrorReport | None = None
    duration: float = 0.0

    def text(self) -> str:
        """The result as a model reads it: texts one below the other, a line for what is no text, else the JSON."""
        lines = [_described(part) for part in self.content]
        if not lines and self.structured is not None:
            lines = [msgspec.json.encode(self.structured).decode()]
        if self.error is not None:
            lines.append(" ".join(part for part in (self.error.message, self.error.why, self.error.hint) if part))
        return "\n".join(lines)

    @classmethod
    def refused(cls, call: ToolCall, error: CaxtonError, duration: float = 0.0) -> "ToolResult":
        """The result of a call that got no answer of its tool."""
        return cls(call=call.id, tool=call.tool, failed=True, error=error.report(), duration=duration)


def _described(part: ContentPart) -> str:
    match part:
        case TextPart(text=text):
            return text
        case ImagePart(media_type=media_type) | AudioPart(media_type=media_type):
            return f"[{media_type}, {len(part.data) * 3 // 4} bytes]"
        case ResourcePart(text=str() as text):
            return text
        case ResourcePart(uri=uri, title=title):
            return f"[{title or 'resource'}: {uri}]"


class Verdict(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class ToolDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a call may be made, and the rule that decided.

    `rule` is the rule as it is written (a pattern, an argument rule), empty where no rule spoke for the call; `where`
    is where it stands (`the agent's tools`, `[tools] deny` …); `why` is the whole in a sentence.
    """

    tool: ToolName
    agent: str | None
    verdict: Verdict
    rule: str
    where: str
    why: str

    @property
    def allowed(self) -> bool:
        return self.verdict is not Verdict.DENY


class ToolViolation(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was refused: who, what, which rule, when (seconds since the epoch, UTC)."""

    at: float
    call: ToolCall
    decision: ToolDecision


class PendingApproval(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits for a person's yes. Times are seconds since the epoch, UTC."""

    id: str
    call: ToolCall
    decision: ToolDecision
    asked_at: float
    expires_at: float


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's answer, or the lack of one: then `by` is empty and `expired` is true."""

    id: str
    granted: bool
    by: str = ""
    reason: str = ""
    expired: bool = False


class ToolResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a server offers to read. A `template` has an RFC 6570 URI template for its `uri`."""

    server: str
    uri: str
    name: str = ""
    description: str = ""
    media_type: str = ""
    template: bool = False


class ToolPrompt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt that a server offers; `arguments` are names, `required` those it cannot do without."""

    server: str
    name: str
    description: str = ""
    arguments: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


class PromptLine(msgspec.Struct, frozen=True):
    """One message of a prompt that was filled in. `role` is `user` or `assistant`."""

    role: str
    content: ContentPart


class ElicitAction(StrEnum):
    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"


class Elicitation(msgspec.Struct, frozen=True, kw_only=True):
    """A server's question to the user. `schema` is the answer's JSON Schema; None where it gave a `url` instead."""

    server: str
    message: str
    schema: dict[str, object] | None = None
    url: str = ""


class ElicitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    action: ElicitAction
    content: dict[str, object] | None = None
