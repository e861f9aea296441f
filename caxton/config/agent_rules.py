"""What is wrong in an agent file that no single value of it can tell."""

from collections.abc import Collection, Iterator
from typing import Any

from caxton.config.check import did_you_mean, shown
from caxton.config.codes import Problem
from caxton.config.toml import Finding
from caxton.domain.diagnostics import Severity
from caxton.domain.prompt import BUILT_IN, PLACEHOLDER


def rules(data: dict[str, Any], providers: Collection[str]) -> Iterator[Finding]:
    """What no single value can tell. Looks at raw data, so that it speaks even where other things are wrong."""
    provider = data.get("llm_provider")
    if isinstance(provider, str) and provider not in providers:
        yield Finding(
            ("llm_provider",),
            Problem.UNKNOWN_PROVIDER,
            f"there is no provider {shown(provider)}; configured are: {', '.join(sorted(providers))}",
            did_you_mean(provider, providers) or "Add it to caxton.toml below [providers], or choose one of these.",
        )
    yield from _template_rules(data)
    yield from _without_effect(data)


def _template_rules(data: dict[str, Any]) -> Iterator[Finding]:
    path = ("user_prompt_template",)
    template, parameters = data.get(path[0]), data.get("parameters", {})
    if not isinstance(parameters, dict):
        return
    for name in parameters:
        if name in BUILT_IN:
            message = f"{name!r} is filled by the server itself"
        elif not (name.isascii() and name.isidentifier()):
            message = f"{shown(name)} cannot be a placeholder: letters, digits and underscores, no digit at the front"
        else:
            continue
        yield Finding(("parameters", name), Problem.INVALID_VALUE, message, "Choose another name.", at_key=True)
    if not isinstance(template, str):
        return
    # The first use of each.
    used = {match[1]: match[0] for match in reversed([*PLACEHOLDER.finditer(template)])}
    known = BUILT_IN | parameters.keys()
    for name, written in reversed(used.items()):
        if name not in known:
            message = f"nothing fills the placeholder {shown(written)}"
            hint = did_you_mean(name, known) or "Add it to [parameters]."
            yield Finding(path, Problem.UNKNOWN_PLACEHOLDER, message, hint, within=written)
    if "request" not in used:
        message = "the template has no {{request}}: the model is never shown what the agent is asked"
        yield Finding(path, Problem.INVALID_VALUE, message, at_key=True, severity=Severity.WARNING)
    if context := used.get("context"):
        message = f"{context!r} is left empty by this version"
        yield Finding(path, Problem.NO_EFFECT_YET, message, within=context, severity=Severity.WARNING)


def _without_effect(data: dict[str, Any]) -> Iterator[Finding]:
    """Keys that this version understands and does not act on."""

    def table(name: str) -> dict[str, Any]:
        value = data.get(name, {})
        return value if isinstance(value, dict) else {}

    idle = [
        (("tools",), bool(data.get("tools"))),
        (("requires",), bool(data.get("requires"))),
        (("memory", "enabled"), table("memory").get("enabled") is True),
        (("conversation", "strategy"), table("conversation").get("strategy") in ("summarize", "persist")),
        (("resources", "memory"), "memory" in table("resources")),
        (("resources", "concurrent_tools"), "concurrent_tools" in table("resources")),
    ]
    for path, used in idle:
        if used:
            message = f"{'.'.join(path)!r} has no effect in this version"
            yield Finding(path, Problem.NO_EFFECT_YET, message, at_key=True, severity=Severity.WARNING)
