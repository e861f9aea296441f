"""Every error that a user can meet, by its stable name, and what each means.

`CODES` is the one table from an error's code to its HTTP status, its exit status and its meaning. The REST problems,
the CLI's exit statuses and the reference page of errors all come from it.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3


class Code(StrEnum):
    """Every error a user can meet, by its stable name."""

    AGENT_EXISTS = "agent_exists"
    AGENT_NOT_FOUND = "agent_not_found"
    AGENT_NOT_RUNNING = "agent_not_running"
    APPROVAL_NOT_FOUND = "approval_not_found"
    BODY_INVALID = "body_invalid"
    BODY_MALFORMED = "body_malformed"
    BODY_TOO_LARGE = "body_too_large"
    BUDGET_EXHAUSTED = "budget_exhausted"
    CAPABILITY_NOT_FOUND = "capability_not_found"
    CONFIGURATION_INVALID = "configuration_invalid"
    CONTENT_MISMATCH = "content_mismatch"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTRACT_NOT_FOUND = "contract_not_found"
    CONVERSATION_CLOSED = "conversation_closed"
    CONVERSATION_EXISTS = "conversation_exists"
    CONVERSATION_NOT_FOUND = "conversation_not_found"
    DEADLINE_PASSED = "deadline_passed"
    DELEGATION_LOOP = "delegation_loop"
    DELIVERY_EXHAUSTED = "delivery_exhausted"
    EMBEDDER_UNAVAILABLE = "embedder_unavailable"
    EMBEDDING_INVALID = "embedding_invalid"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    INTERNAL = "internal"
    MAILBOX_FULL = "mailbox_full"
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    MEMORY_INVALID = "memory_invalid"
    MEMORY_NOT_FOUND = "memory_not_found"
    MEMORY_UNAVAILABLE = "memory_unavailable"
    MESSAGE_NOT_FOUND = "message_not_found"
    MESSAGE_NOT_UNDERSTOOD = "message_not_understood"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MODEL_INCAPABLE = "model_incapable"
    NOT_FOUND = "not_found"
    NOT_SUPPORTED = "not_supported"
    ORIGIN_REFUSED = "origin_refused"
    PARAMETER_INVALID = "parameter_invalid"
    PARTICIPANT_NOT_FOUND = "participant_not_found"
    PORT_IN_USE = "port_in_use"
    PROVIDER_AUTHENTICATION = "provider_authentication"
    PROVIDER_MALFORMED = "provider_malformed"
    PROVIDER_PAUSED = "provider_paused"
    PROVIDER_QUOTA = "provider_quota"
    PROVIDER_RATE_LIMITED = "provider_rate_limited"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_REJECTED = "provider_rejected"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_UNKNOWN = "provider_unknown"
    REPLY_TIMEOUT = "reply_timeout"
    SERVER_RUNNING = "server_running"
    SERVER_STOPPING = "server_stopping"
    SERVER_UNREACHABLE = "server_unreachable"
    STORAGE_FAILED = "storage_failed"
    TEMPLATE_NOT_FOUND = "template_not_found"
    TOOL_CHANGED = "tool_changed"
    TOOL_DENIED = "tool_denied"
    TOOL_FAILED = "tool_failed"
    TOOL_LIMIT_EXCEEDED = "tool_limit_exceeded"
    TOOL_MALFORMED = "tool_malformed"
    TOOL_NOT_APPROVED = "tool_not_approved"
    TOOL_NOT_FOUND = "tool_not_found"
    TOOL_RESULT_TOO_LARGE = "tool_result_too_large"
    TOOL_SERVER_EXISTS = "tool_server_exists"
    TOOL_SERVER_UNAVAILABLE = "tool_server_unavailable"
    TOOL_SERVER_UNKNOWN = "tool_server_unknown"
    TOOL_TIMEOUT = "tool_timeout"
    TOO_MANY_READERS = "too_many_readers"
    TURN_CANCELLED = "turn_cancelled"
    TURN_CRASHED = "turn_crashed"
    TURN_TIMEOUT = "turn_timeout"
    USAGE_INVALID = "usage_invalid"


class CodeInfo(msgspec.Struct, frozen=True):
    """What a code means: HTTP status, exit status of the CLI, a title, and what its reader should do."""

    http: int
    exit: int
    title: str
    remedy: str


CODES: Mapping[Code, CodeInfo] = {
    Code.AGENT_EXISTS: CodeInfo(
        409,
        EXIT_FAILED,
        "An agent of that name exists",
        "Choose another name, or replace it: PUT /agents/{name}, `caxton create --replace`.",
    ),
    Code.AGENT_NOT_FOUND: CodeInfo(
        404, EXIT_FAILED, "No agent has that name", "See `caxton agent list` for those that there are."
    ),
    Code.AGENT_NOT_RUNNING: CodeInfo(
        503,
        EXIT_FAILED,
        "The agent is not running",
        "Start it: `caxton agent start NAME`; `caxton agent show NAME` says why it stopped.",
    ),
    Code.APPROVAL_NOT_FOUND: CodeInfo(
        404,
        EXIT_FAILED,
        "No call waits under that id",
        "See `caxton tool approvals`; it may have been answered or expired.",
    ),
    Code.BODY_INVALID: CodeInfo(
        422,
        EXIT_USAGE,
        "The request body does not fit the operation",
        "The message names the field and what was expected; see /docs.",
    ),
    Code.BODY_MALFORMED: CodeInfo(
        400, EXIT_USAGE, "The request body is not what it begins as", "The message says where it breaks off."
    ),
    Code.BODY_TOO_LARGE: CodeInfo(
        413, EXIT_USAGE, "The request body is too large", "Send less, or raise `max_body_bytes` in `[server]`."
    ),
    Code.BUDGET_EXHAUSTED: CodeInfo(
        429,
        EXIT_FAILED,
        "Today's budget is used up",
        "Wait until midnight UTC, or raise the budget: `[limits]` of the agent or of the provider.",
    ),
    Code.CAPABILITY_NOT_FOUND: CodeInfo(
        404,
        EXIT_FAILED,
        "No running agent has that capability",
        "See `caxton capability list` for those that there are.",
    ),
    Code.CONFIGURATION_INVALID: CodeInfo(
        422,
        EXIT_FAILED,
        "A configuration file has errors",
        "Mend what the diagnostics point at; `caxton validate FILE` shows them again.",
    ),
    Code.CONTENT_MISMATCH: CodeInfo(
        422, EXIT_USAGE, "The content is not what the capability takes", "`caxton capability show NAME` has its schema."
    ),
    Code.CONTEXT_TOO_LONG: CodeInfo(
        413,
        EXIT_FAILED,
        "The message does not fit the model's context window",
        "Shorten the message or the system prompt, or choose a model with a longer window.",
    ),
    Code.CONTRACT_NOT_FOUND: CodeInfo(404, EXIT_FAILED, "No contract has that id", "See `caxton contract list`."),
    Code.CONVERSATION_CLOSED: CodeInfo(
        409,
        EXIT_FAILED,
        "The conversation is closed",
        "Reopen it: POST /conversations/{id}/reopen, `caxton conversation reopen ID`.",
    ),
    Code.CONVERSATION_EXISTS: CodeInfo(
        409, EXIT_FAILED, "A conversation of that id exists", "Choose another id, or none: then one is made up."
    ),
    Code.CONVERSATION_NOT_FOUND: CodeInfo(
        404, EXIT_FAILED, "No conversation has that id", "See `caxton conversation list`."
    ),
    Code.DEADLINE_PASSED: CodeInfo(
        504,
        EXIT_FAILED,
        "The message was to be answered by a time that has passed",
        "Send it again with a later `reply_by`, or none.",
    ),
    Code.DELEGATION_LOOP: CodeInfo(
        422,
        EXIT_FAILED,
        "The work would go round in a circle",
        "The message names the agents; have one of them answer itself, or raise `max_hops` in `[bus]`.",
    ),
    Code.DELIVERY_EXHAUSTED: CodeInfo(
        500,
        EXIT_FAILED,
        "The message was tried as often as allowed and never finished",
        "The server was stopped or killed during each attempt; look at the log, then send it again.",
    ),
    Code.EMBEDDER_UNAVAILABLE: CodeInfo(
        503,
        EXIT_FAILED,
        "The embedding model cannot be used",
        "Searching by words works meanwhile; see `caxton memory stats` and the server's log.",
    ),
    Code.EMBEDDING_INVALID: CodeInfo(
        502,
        EXIT_FAILED,
        "The embedding model answered with something else than the vectors asked for",
        "Check that the model named is an embedding model, and its dimension.",
    ),
    Code.IDEMPOTENCY_KEY_REUSED: CodeInfo(
        422,
        EXIT_USAGE,
        "The idempotency key was used for another message",
        "Repeat the message as it was, or give this one a key of its own.",
    ),
    Code.INTERNAL: CodeInfo(
        500, EXIT_FAILED, "A fault in Caxton", "The log has the details under the same trace id; please report it."
    ),
    Code.MAILBOX_FULL: CodeInfo(
        503,
        EXIT_FAILED,
        "The agent has too many messages waiting",
        "Wait and send again, or raise `concurrent_turns` in the agent's `[resources]`.",
    ),
    Code.MEDIA_TYPE_UNSUPPORTED: CodeInfo(
        415, EXIT_USAGE, "The body is of a kind this operation cannot read", "Send JSON, TOML or plain text in UTF-8."
    ),
    Code.MEMORY_INVALID: CodeInfo(
        422, EXIT_USAGE, "That cannot be remembered as it is", "The message says what is wrong with it."
    ),
    Code.MEMORY_UNAVAILABLE: CodeInfo(
        503, EXIT_FAILED, "The memory's backend cannot be reached", "Check it; what is remembered meanwhile is queued."
    ),
    Code.MEMORY_NOT_FOUND: CodeInfo(404, EXIT_FAILED, "No memory has that id", "See `caxton memory list`."),
    Code.MESSAGE_NOT_FOUND: CodeInfo(404, EXIT_FAILED, "No message has that id", "See `caxton message list`."),
    Code.MESSAGE_NOT_UNDERSTOOD: CodeInfo(
        422,
        EXIT_USAGE,
        "The message is not one that can be acted on",
        "The message says what is wrong with it; see tutorial/messaging.md.",
    ),
    Code.METHOD_NOT_ALLOWED: CodeInfo(
        405, EXIT_USAGE, "That path does not take this method", "The `Allow` header names those it takes."
    ),
    Code.MODEL_INCAPABLE: CodeInfo(
        422,
        EXIT_FAILED,
        "The model cannot do what was asked of it",
        "See what models can do: `caxton provider models NAME`; choose another, or leave out what it cannot.",
    ),
    Code.NOT_FOUND: CodeInfo(404, EXIT_FAILED, "Nothing lives at that path", "See /docs for every path."),
    Code.NOT_SUPPORTED: CodeInfo(
        422, EXIT_FAILED, "This one cannot do that", "The message says what; others of its sort may be able to."
    ),
    Code.ORIGIN_REFUSED: CodeInfo(
        403,
        EXIT_FAILED,
        "Web pages of other sites may not use this server",
        "Have the page's own server send the request, or serve both from one address behind a proxy.",
    ),
    Code.PARAMETER_INVALID: CodeInfo(
        400, EXIT_USAGE, "A parameter of the request is wrong", "The message names the parameter and what was expected."
    ),
    Code.PARTICIPANT_NOT_FOUND: CodeInfo(
        404,
        EXIT_FAILED,
        "Nobody of that name takes part in the conversation",
        "`caxton conversation show ID` has those who do; `caxton conversation join ID NAME` adds another.",
    ),
    Code.PORT_IN_USE: CodeInfo(
        503,
        EXIT_FAILED,
        "Another process listens on that port",
        "Stop it, or choose another: `--port`, `CAXTON_PORT` or `port` in `[server]`.",
    ),
    Code.PROVIDER_AUTHENTICATION: CodeInfo(
        502,
        EXIT_FAILED,
        "The provider refused the key",
        "Set the environment variable named by `api_key_env` to a valid key and restart the server.",
    ),
    Code.PROVIDER_MALFORMED: CodeInfo(
        502,
        EXIT_FAILED,
        "The provider's answer could not be read",
        "Check that `base_url` leads to an OpenAI-compatible API.",
    ),
    Code.PROVIDER_PAUSED: CodeInfo(
        503,
        EXIT_FAILED,
        "The provider failed too often and is left alone for a while",
        "Wait, or see what is wrong: `caxton provider check NAME`.",
    ),
    Code.PROVIDER_QUOTA: CodeInfo(
        502,
        EXIT_FAILED,
        "The provider account has no quota left",
        "Check plan and billing with the provider, or switch the agent's `llm_provider`.",
    ),
    Code.PROVIDER_RATE_LIMITED: CodeInfo(
        503,
        EXIT_FAILED,
        "The provider limits the request rate",
        "Wait and send again; `Retry-After` is passed on where the provider gave it.",
    ),
    Code.PROVIDER_REFUSED: CodeInfo(
        422,
        EXIT_FAILED,
        "The provider refused the content",
        "Rephrase the message; the provider's words are in the detail.",
    ),
    Code.PROVIDER_REJECTED: CodeInfo(
        502,
        EXIT_FAILED,
        "The provider rejected the request",
        "The provider's words are in the detail; check model name and `[llm]` options.",
    ),
    Code.PROVIDER_TIMEOUT: CodeInfo(
        504, EXIT_FAILED, "The provider did not answer in time", "Try again, or raise `timeout` of the provider."
    ),
    Code.PROVIDER_UNAVAILABLE: CodeInfo(
        503,
        EXIT_FAILED,
        "The provider cannot be reached",
        "Check `base_url` and the network; for the embedded model see the server's log.",
    ),
    Code.PROVIDER_UNKNOWN: CodeInfo(
        422,
        EXIT_FAILED,
        "No provider of that name is configured",
        "Add `[providers.NAME]` to caxton.toml or use one that exists.",
    ),
    Code.REPLY_TIMEOUT: CodeInfo(
        504,
        EXIT_FAILED,
        "No reply came in time",
        "The message may still be answered; look at it later, or give it longer.",
    ),
    Code.SERVER_RUNNING: CodeInfo(
        409, EXIT_FAILED, "A server runs already", "Use it, or stop it first: `caxton server stop`."
    ),
    Code.SERVER_STOPPING: CodeInfo(
        503, EXIT_FAILED, "The server is stopping", "Send again when it is back; what was accepted before is kept."
    ),
    Code.SERVER_UNREACHABLE: CodeInfo(
        503,
        EXIT_UNREACHABLE,
        "No Caxton server answers",
        "Start one: `caxton server start`, or name another with `--url`.",
    ),
    Code.STORAGE_FAILED: CodeInfo(
        503,
        EXIT_FAILED,
        "The database could not be read or written",
        "Check free space and permissions of the data directory.",
    ),
    Code.TEMPLATE_NOT_FOUND: CodeInfo(404, EXIT_FAILED, "No template has that name", "See `caxton template list`."),
    Code.TOOL_CHANGED: CodeInfo(
        409,
        EXIT_FAILED,
        "The tool is no longer what was approved",
        "Its server changed name, description or schema since; read them (`caxton tool show`) and approve them anew.",
    ),
    Code.TOOL_DENIED: CodeInfo(
        403,
        EXIT_FAILED,
        "The call is not allowed",
        "`caxton tool explain AGENT TOOL` names the rule; allow it in the agent's `tools` or in `[tools]`.",
    ),
    Code.TOOL_FAILED: CodeInfo(
        502,
        EXIT_FAILED,
        "The tool's server answered with an error",
        "Its words are in the message; `caxton tool show` has the arguments that it takes.",
    ),
    Code.TOOL_LIMIT_EXCEEDED: CodeInfo(
        502,
        EXIT_FAILED,
        "The tool used more than it may",
        "The message names the limit; raise it in `[mcp_servers.NAME]` or ask the tool for less.",
    ),
    Code.TOOL_MALFORMED: CodeInfo(
        502,
        EXIT_FAILED,
        "The tool's answer breaks the protocol",
        "See `caxton tool logs SERVER`; report it to its maker.",
    ),
    Code.TOOL_NOT_APPROVED: CodeInfo(
        403, EXIT_FAILED, "Nobody approved the call", "See the calls that wait for a yes, and answer them in time."
    ),
    Code.TOOL_NOT_FOUND: CodeInfo(
        404, EXIT_FAILED, "No tool has that name", "See `caxton tool list` for those that there are."
    ),
    Code.TOOL_RESULT_TOO_LARGE: CodeInfo(
        502,
        EXIT_FAILED,
        "The tool's answer is larger than allowed",
        "Ask the tool for less, or raise `max_result_bytes` in `[mcp_servers.NAME]`.",
    ),
    Code.TOOL_SERVER_EXISTS: CodeInfo(
        409, EXIT_FAILED, "A tool server of that name exists", "Choose another name, or take it out of the server file."
    ),
    Code.TOOL_SERVER_UNAVAILABLE: CodeInfo(
        503,
        EXIT_FAILED,
        "The tool's server does not run",
        "The reason is in the message, more in `caxton tool logs SERVER`; it is started again by itself.",
    ),
    Code.TOOL_SERVER_UNKNOWN: CodeInfo(
        404, EXIT_FAILED, "No tool server of that name is configured", "Add `[mcp_servers.NAME]` to caxton.toml."
    ),
    Code.TOOL_TIMEOUT: CodeInfo(
        504,
        EXIT_FAILED,
        "The tool did not answer in time",
        "Ask it for less, or raise `timeout` in `[mcp_servers.NAME]`.",
    ),
    Code.TOO_MANY_READERS: CodeInfo(
        503, EXIT_FAILED, "Too many already follow the events", "Try again when others have left, or share one of them."
    ),
    Code.TURN_CANCELLED: CodeInfo(
        409,
        EXIT_FAILED,
        "The work was cancelled",
        "Somebody sent a cancel for this message; send it again if it is wanted after all.",
    ),
    Code.TURN_CRASHED: CodeInfo(
        500, EXIT_FAILED, "The agent crashed on this message", "It restarts by itself; the log has the details."
    ),
    Code.TURN_TIMEOUT: CodeInfo(
        504,
        EXIT_FAILED,
        "The agent ran out of time",
        "Raise `max_execution_time` in the agent's `[resources]`, or ask for less.",
    ),
    Code.USAGE_INVALID: CodeInfo(
        400, EXIT_USAGE, "The command is not written as it has to be", "`--help` after the command shows how."
    ),
}
