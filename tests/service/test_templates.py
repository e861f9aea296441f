import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.service.templates import TemplateService


async def test_every_template_of_the_list_can_be_shown():
    service = TemplateService()
    listed = (await service.list()).templates
    assert "assistant" in [template.name for template in listed]
    for template in listed:
        assert await service.show(name=template.name) == template


async def test_one_that_is_not_there_is_answered_with_the_nearest():
    service = TemplateService()
    with pytest.raises(CaxtonError) as caught:
        await service.show(name="asistant")
    assert caught.value.code is Code.TEMPLATE_NOT_FOUND
    assert "'assistant'" in caught.value.hint
