"""Which kinds of provider there are: a table of places, widened by entry points, imported when chosen."""

from collections.abc import Collection
from importlib import import_module
from importlib.metadata import entry_points

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.provider import ProviderKind

KINDS = {
    "litellm": "caxton.providers.litellm:LiteLLMProvider",
    "local": "caxton.providers.local:LocalProvider",
    "ollama": "caxton.providers.ollama:OllamaProvider",
    "openai": "caxton.providers.openai:OpenAIProvider",
    "scripted": "caxton.testing.scripted:ScriptedProvider",
}
ENTRY_POINTS = "caxton.providers"
"""The entry-point group by which an installed package adds kinds."""


def provider_kinds() -> Collection[str]:
    """The names of all kinds, without importing any."""
    return list(dict.fromkeys([*KINDS, *(entry.name for entry in entry_points(group=ENTRY_POINTS))]))


def provider_kind(name: str) -> ProviderKind:
    """The constructor of a kind. One of ours goes before an installed one of the same name.

    CaxtonError `provider_unknown` where there is no such kind, `provider_unavailable` where it cannot be imported.
    """
    if place := KINDS.get(name):
        module, _, attribute = place.partition(":")
        kind: ProviderKind = getattr(import_module(module), attribute)
        return kind
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            found: ProviderKind = entry.load()
        except (ImportError, AttributeError) as error:
            package = entry.dist.name if entry.dist else entry.module
            raise CaxtonError(
                Code.PROVIDER_UNAVAILABLE,
                f"The provider kind {name!r} cannot be imported from {entry.value!r}.",
                why=str(error),
                hint=f"Install the package {package!r} again, with what it needs.",
            ) from error
        return found
    known = ", ".join(provider_kinds())
    raise CaxtonError(Code.PROVIDER_UNKNOWN, f"There is no provider kind {name!r}; there are: {known}.")
