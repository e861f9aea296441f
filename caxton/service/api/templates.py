"""Agent templates, seen from outside."""

import msgspec

from caxton.domain.errors import Code
from caxton.domain.template import AgentTemplate
from caxton.service.api.operation import Operation


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    templates: list[AgentTemplate]


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
    response=AgentTemplate,
    errors=(Code.TEMPLATE_NOT_FOUND,),
)

OPERATIONS = (LIST, SHOW)
