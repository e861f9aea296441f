"""What is wrong in an agent file that no single value of it can tell."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from caxton.config.capability_tables import DETAILS, detail_rules
from caxton.config.check import shown
from caxton.config.codes import Problem
from caxton.config.places import KeyPath
from caxton.config.toml import Finding
from caxton.domain.completion import Capability, ModelInfo
from caxton.domain.diagnostics import Severity
from caxton.domain.prompt import BUILT_IN, PLACEHOLDER
from caxton.domain.suggestion import did_you_mean

BRACES = re.compile(r"\{\{[^{}\n]{0,60}\}\}")
"""What looks like a placeholder, whether or not it is one."""


Describe = Callable[[str | None, str | None], ModelInfo | None]
"""What is known of a provider's model; None for either is the default one. None where nothing is known."""


def unknown(provider: str | None, model: str | None) -> ModelInfo | None:
    """A `Describe` where there are no providers to ask."""
    return None


def rules(data: dict[str, Any], providers: Collection[str], describe: Describe) -> Iterator[Finding]:
    """What no single value can tell. Looks at raw data, so that it speaks even where other things are wrong."""
    chosen = data.get("llm_provider")
    for place, provider in enumerate(chosen) if isinstance(chosen, list) else [(None, chosen)]:
        if isinstance(provider, str) and provider not in providers:
            yield Finding(
                ("llm_provider",) if place is None else ("llm_provider", place),
                Problem.UNKNOWN_PROVIDER,
                f"there is no provider {shown(provider)}; configured are: {', '.join(sorted(providers))}",
                did_you_mean(provider, providers) or "Add it to caxton.toml below [providers], or choose one of these.",
            )
    yield from _capability_rules(data, chosen, describe)
    yield from detail_rules(data)
    yield from _template_rules(data)
    yield from _without_effect(data)


def _capability_rules(data: dict[str, Any], chosen: object, describe: Describe) -> Iterator[Finding]:
    """What the first provider's model is known not to do; the others of a list stand in for when it fails."""
    llm = data.get("llm")
    options = llm if isinstance(llm, dict) else {}
    provider = chosen[0] if isinstance(chosen, list) and chosen else chosen
    if not isinstance(provider, str | None) or not isinstance(named := options.get("model"), str | None):
        return
    model = describe(provider, named)
    if model is None:
        return
    wanted: list[tuple[KeyPath, Capability, bool]] = [
        (("tools",), Capability.TOOLS, bool(data.get("tools"))),
        (("llm", "response_schema"), Capability.JSON_SCHEMA, "response_schema" in options),
        *((path, Capability.JSON_SCHEMA, True) for path in _output_schemas(data)),
    ]
    for path, capability, asked in wanted:
        if asked and model.has(capability) is False:
            message = f"model {shown(model.name)} cannot do what {'.'.join(map(str, path))!r} needs"
            hint = "Choose another model or provider."
            yield Finding(path, Problem.MODEL_INCAPABLE, message, hint, at_key=True)


def _output_schemas(data: dict[str, Any]) -> Iterator[KeyPath]:
    details = data.get(DETAILS)
    for name, table in details.items() if isinstance(details, dict) else ():
        if isinstance(table, dict) and "output" in table:
            yield DETAILS, name, "output"


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
    for written in dict.fromkeys(BRACES.findall(template)):
        if not PLACEHOLDER.fullmatch(written):
            message = f"{shown(written)} is no placeholder and stays as it is"
            hint = "The name of a placeholder is letters, digits and underscores."
            yield Finding(path, Problem.INVALID_VALUE, message, hint, within=written, severity=Severity.WARNING)
    if "request" not in used:
        message = "the template has no {{request}}: the model is never shown what the agent is asked"
        hint = "A placeholder has two braces on each side." if "{request}" in template else ""
        yield Finding(path, Problem.INVALID_VALUE, message, hint, at_key=True, severity=Severity.WARNING)


def _without_effect(data: dict[str, Any]) -> Iterator[Finding]:
    """Keys that this version understands and does not act on."""

    def table(name: str) -> dict[str, Any]:
        value = data.get(name, {})
        return value if isinstance(value, dict) else {}

    idle = [
        (("resources", "memory"), "memory" in table("resources")),
    ]
    for path, used in idle:
        if used:
            message = f"{'.'.join(path)!r} has no effect in this version"
            yield Finding(path, Problem.NO_EFFECT_YET, message, at_key=True, severity=Severity.WARNING)
