"""The provider that a contract is held against: every kind of them in turn."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from support.stages import ALL, STAGES, Stage

from caxton.domain.ports.provider import Closes, Provider


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ALL)
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with STAGES[request.param](tmp_path_factory.mktemp(request.param)) as stage, AsyncExitStack() as stack:
        stage.provider = stage.another()
        if isinstance(stage.provider, Closes):
            stack.push_async_callback(stage.provider.aclose)
        yield stage


@pytest.fixture
def provider(stage: Stage) -> Provider:
    return stage.provider
