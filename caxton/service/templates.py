"""The operations on agent templates."""

import asyncio

from caxton.config.templates import find_template, list_templates
from caxton.domain.template import AgentTemplate
from caxton.service.api.templates import TemplateList


class TemplateService:
    """One method an operation of `service.api.templates`."""

    async def list(self) -> TemplateList:
        return TemplateList(templates=await asyncio.to_thread(list_templates))

    async def show(self, *, name: str) -> AgentTemplate:
        return await asyncio.to_thread(find_template, name)
