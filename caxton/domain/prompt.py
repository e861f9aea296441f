"""User prompt templates: `{{name}}` placeholders and nothing else."""

import re
from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
BUILT_IN = frozenset({"request", "context", "timestamp"})
"""The placeholders that every template may use; the others come from `[parameters]`."""


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders replaced, in one pass: braces inside a value stay as they are.

    KeyError where a placeholder has no value; validation makes that impossible for a loaded definition.
    """
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)
