"""A language model that says what a test tells it to."""

import asyncio
import json
import re
import tomllib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from caxton.domain.completion import (
    ChatMessage,
    Completion,
    CompletionRequest,
    Delta,
    FinishReason,
    ModelInfo,
    Role,
    ToolCall,
    Usage,
)
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.domain.settings import ProviderSettings

Answer = str | BaseException | Callable[[CompletionRequest], str]
MODEL = "scripted"
PLACEHOLDER = re.compile(r"\{(last|system|count|[1-9])\}")
FRAME = re.compile(r"<tool_result>\n(.*)\n</tool_result>", re.DOTALL)
"""What a turn puts around a tool's result."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with a request whose last message matches `match`, a regular expression searched for.

    `reply` is the answer, where `{last}`, `{system}` and `{count}` stand for the last message, the system prompt and
    how many messages were sent, and `{1}` … `{9}` for the groups of `match`. `error` fails with that code instead,
    `crash` breaks the agent, `delay` is in seconds.

    `call` has a tool called, by the name that models are given for it (`files__read_file`), with `arguments`, in whose
    texts the placeholders stand for the same. Such a rule is for what users say; a tool's result is answered with
    `reply`, where `{last}` is the result.
    """

    match: str = ""
    reply: str = "echo: {last}"
    error: Code | None = None
    crash: bool = False
    delay: float = 0.0
    call: str = ""
    arguments: dict[str, Any] = {}


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a script file, tried in order."""

    rules: tuple[Rule, ...] = ()


class ScriptedProvider:
    """Implements Provider, Streams, CountsTokens and DescribesModels; a token is a word.

    Configured as a provider of kind "scripted" it follows the rules of the TOML file `script`, or echoes. Made by
    `ScriptedProvider.saying` it gives the answers of a test in turn. `requests` holds what it was asked.
    """

    def __init__(
        self,
        settings: ProviderSettings | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.requests: list[CompletionRequest] = []
        self._answers: list[Answer] = []
        self._context_length = settings.context_length if settings else None
        self._rules = _read(settings.script) if settings and settings.script else ()

    @classmethod
    def saying(cls, *answers: Answer, context_length: int | None = None) -> "ScriptedProvider":
        """A provider that gives these answers in turn, the last one for ever: texts, errors to raise, functions."""
        provider = cls()
        provider._answers = list(answers)
        provider._context_length = context_length
        return provider

    async def complete(self, request: CompletionRequest) -> Completion:
        self.requests.append(request)
        text, calls = await self._within(request)
        usage = Usage(prompt_tokens=_words(request.messages), completion_tokens=len(text.split()))
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        model = request.model or MODEL
        return Completion(text=text, model=model, usage=usage, tool_calls=calls, finish_reason=reason)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        completion = await self.complete(request)
        for piece in re.findall(r"\s*\S+|\s+$", completion.text):
            yield Delta(piece)
        yield completion

    async def count_tokens(self, messages: tuple[ChatMessage, ...], model: str | None) -> int:
        return _words(messages)

    def describe(self, model: str | None) -> ModelInfo:
        return ModelInfo(name=model or MODEL, context_length=self._context_length)

    async def _within(self, request: CompletionRequest) -> tuple[str, tuple[ToolCall, ...]]:
        try:
            async with asyncio.timeout(request.timeout) as deadline:
                return await self._answer(request)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ProviderError(
                Code.PROVIDER_TIMEOUT, f"The script did not finish within {request.timeout} s."
            ) from None

    async def _answer(self, request: CompletionRequest) -> tuple[str, tuple[ToolCall, ...]]:
        if self._answers:
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if isinstance(answer, BaseException):
                raise answer
            return answer if isinstance(answer, str) else answer(request), ()
        last, said = request.messages[-1], request.messages[-1].content
        after_tool = last.role is Role.TOOL
        if after_tool and (framed := FRAME.fullmatch(said)):
            said = framed[1]
        fitting = (
            (rule, found)
            for rule in self._rules
            if not (rule.call and after_tool) and (found := re.search(rule.match, said))
        )
        rule, found = next(fitting, (Rule(), None))
        if rule.delay:
            await asyncio.sleep(rule.delay)
        if rule.crash:
            raise RuntimeError("the script says to crash")
        if rule.error:
            raise ProviderError(rule.error, "The script says to fail.")
        system = next((m.content for m in request.messages if m.role is Role.SYSTEM), "")
        values = {"last": said, "system": system, "count": str(len(request.messages))}
        values |= {str(number): text or "" for number, text in enumerate(found.groups() if found else (), 1)}
        if rule.call:
            arguments = json.dumps(_filled(rule.arguments, values))
            return "", (ToolCall(id=f"call_{len(self.requests)}", name=_fill(rule.call, values), arguments=arguments),)
        return _fill(rule.reply, values), ()


def _fill(text: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """A JSON value with the placeholders of its texts filled in."""
    match value:
        case str():
            return _fill(value, values)
        case list():
            return [_filled(one, values) for one in value]
        case dict():
            return {key: _filled(one, values) for key, one in value.items()}
        case _:
            return value


def _read(path: Path) -> tuple[Rule, ...]:
    """The rules of a script file; CaxtonError `configuration_invalid` where it is none."""
    try:
        rules = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Script).rules
        for rule in rules:
            re.compile(rule.match)
    except (OSError, ValueError, re.error) as error:
        raise CaxtonError(
            Code.CONFIGURATION_INVALID,
            f"The script {str(path)!r} cannot be read.",
            why=str(error),
            hint="A script is a TOML file of [[rules]] with `match`, `reply`, `error`, `crash`, `delay`, `call` and"
            " `arguments`.",
        ) from error
    return rules


def _words(messages: Sequence[ChatMessage]) -> int:
    return sum(len(message.content.split()) for message in messages)
