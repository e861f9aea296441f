"""The JSON schemas of all types that the operations use, made once."""

from functools import cache
from typing import Any

import msgspec

from caxton.server.openai_api import OpenAiError
from caxton.server.openai_requests import ChatRequest
from caxton.server.problems import Problem
from caxton.service.api.agents import DefinitionText
from caxton.service.api.table import OPERATIONS

REFERENCE = "#/components/schemas/{name}"


@cache
def schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Each type's schema, a reference for the named ones, and the named ones by name."""
    types = {t for o in OPERATIONS for t in (o.response, o.body, *o.events.values()) if t not in (None, DefinitionText)}
    ordered = sorted({*types, Problem, ChatRequest, OpenAiError}, key=lambda one: one.__name__)
    made, components = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
    return dict(zip(ordered, made, strict=True)), components
