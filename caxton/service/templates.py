"""The operations on agent templates."""

import asyncio

from caxton.config.templates import find_template, list_templates
from caxton.service.api.templates import Template, TemplateList


class TemplateService:
    """One method an operation of `service.api.templates`."""

    async def list(self) -> TemplateList:
        return TemplateList(templates=await asyncio.to_thread(list_templates))

    async def show(self, *, name: str) -> Template:
        return await asyncio.to_thread(find_template, name)
