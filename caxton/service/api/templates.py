"""Agent templates, seen from outside."""

import msgspec

from caxton.domain.errors import Code
from caxton.service.api.operation import Operation


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template: an agent file that works as it is. `toml` is its whole text."""

    name: str
    description: str
    tags: tuple[str, ...]
    toml: str


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    templates: list[Template]


LIST = Operation(
    name="templates.list",
    method="GET",
    path="/templates",
    summary="List the agent templates",
    permission="templates:read",
    response=TemplateList,
)
SHOW = Operation(
    name="templates.show",
    method="GET",
    path="/templates/{name}",
    summary="Show an agent template",
    permission="templates:read",
    response=Template,
    errors=(Code.TEMPLATE_NOT_FOUND,),
)

OPERATIONS = (LIST, SHOW)
