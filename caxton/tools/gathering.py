"""Several servers asked at once."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from caxton.domain.errors import CaxtonError

T = TypeVar("T")


async def gathered(asked: Mapping[str, Coroutine[Any, Any, T]]) -> dict[str, T | CaxtonError]:
    """What each answered, or the CaxtonError it raised; any other error cancels the rest and is raised."""

    async def one(question: Coroutine[Any, Any, T]) -> T | CaxtonError:
        try:
            return await question
        except CaxtonError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(one(question)) for name, question in asked.items()}
    return {name: task.result() for name, task in tasks.items()}
