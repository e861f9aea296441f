"""What a client owes a server: its roots, a language model if one is lent, answers to its questions, its log lines."""

import asyncio
import logging
from collections.abc import Mapping
from typing import cast

import mcp_types as mcp
from mcp.client.session import ClientRequestContext
from pydantic import FileUrl

from caxton.domain.completion import ChatMessage, CompletionRequest, FinishReason, Role
from caxton.domain.errors import CaxtonError
from caxton.domain.ports.tools import HostContext, Sampler
from caxton.domain.tool import ElicitAction, Elicitation
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.server_log import ServerLog

STOP_REASONS: Mapping[FinishReason, str] = {FinishReason.STOP: "endTurn", FinishReason.LENGTH: "maxTokens"}
LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}
"""A server's levels in ours; all that is not here is an error."""
LONGEST_LINE = 4_000


class Duties:
    """The callbacks of one connection. What is not offered is not announced: see `sampling` and `roots`."""

    def __init__(self, settings: McpServerSettings, context: HostContext, log: ServerLog) -> None:
        self._settings = settings
        self._context = context
        self._log = log

    @property
    def offers_sampling(self) -> bool:
        return self._settings.sampling and self._context.sampler is not None

    @property
    def offers_roots(self) -> bool:
        return bool(self._settings.roots)

    async def roots(self, context: ClientRequestContext) -> mcp.ListRootsResult:
        paths = [await asyncio.to_thread(root.resolve) for root in self._settings.roots]
        return mcp.ListRootsResult(roots=[mcp.Root(uri=FileUrl(path.as_uri()), name=path.name) for path in paths])

    async def sample(
        self, context: ClientRequestContext, params: mcp.CreateMessageRequestParams
    ) -> mcp.CreateMessageResult | mcp.ErrorData:
        sampler = cast(Sampler, self._context.sampler)
        messages = [] if params.system_prompt is None else [ChatMessage(Role.SYSTEM, params.system_prompt)]
        for message in params.messages:
            blocks = message.content if isinstance(message.content, list) else [message.content]
            texts = [block.text for block in blocks if isinstance(block, mcp.TextContent)]
            if len(texts) < len(blocks):
                return mcp.ErrorData(code=mcp.INVALID_PARAMS, message="Only text is taken for sampling.")
            messages.append(ChatMessage(Role(message.role), "\n".join(texts)))
        request = CompletionRequest(
            messages=tuple(messages),
            temperature=params.temperature,
            max_tokens=params.max_tokens,
            stop=tuple(params.stop_sequences or ()),
        )
        try:
            answer = await sampler.sample(self._settings.name, self._context.agent, request)
        except CaxtonError as error:
            self._log.note(f"Its request for sampling failed: {error.message}")
            return mcp.ErrorData(code=mcp.INTERNAL_ERROR, message=error.message)
        return mcp.CreateMessageResult(
            role="assistant",
            content=mcp.TextContent(text=answer.text),
            model=answer.model,
            stop_reason=STOP_REASONS.get(answer.finish_reason),
        )

    async def elicit(
        self, context: ClientRequestContext, params: mcp.ElicitRequestParams
    ) -> mcp.ElicitResult | mcp.ErrorData:
        elicitor = self._context.elicitor
        if elicitor is None:
            self._log.note("It asked the user something, and nobody was there to answer.", logging.INFO)
            return mcp.ElicitResult(action="decline")
        form = isinstance(params, mcp.ElicitRequestFormParams)
        question = Elicitation(
            server=self._settings.name,
            message=params.message,
            schema=params.requested_schema if isinstance(params, mcp.ElicitRequestFormParams) else None,
            url="" if form else str(getattr(params, "url", "")),
        )
        answer = await elicitor.elicit(question)
        content = answer.content if answer.action is ElicitAction.ACCEPT and form else None
        return mcp.ElicitResult.model_validate({"action": answer.action.value, "content": content})

    async def logged(self, params: mcp.LoggingMessageNotificationParams) -> None:
        text = params.data if isinstance(params.data, str) else repr(params.data)
        self._log.note(text[:LONGEST_LINE], LEVELS.get(params.level, logging.ERROR))
