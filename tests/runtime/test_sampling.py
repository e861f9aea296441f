"""Tool servers that ask for a language model."""

from types import SimpleNamespace

import pytest

from caxton.domain.agent import AgentDefinition, LlmOptions
from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from caxton.domain.limits import ModelLimits
from caxton.runtime.models import ModelCall
from caxton.runtime.sampling import MOST_TOKENS, ModelSampler

HELPER = AgentDefinition(
    name="helper",
    system_prompt="You help.",
    llm_providers=("clever", "other"),
    llm=LlmOptions(model="m-1"),
    limits=ModelLimits(concurrent=3),
)


class Models:
    def __init__(self) -> None:
        self.asked: list[ModelCall] = []

    async def ask(self, call: ModelCall) -> Completion:
        self.asked.append(call)
        return Completion(text="yes", model="m")


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def sampler(models) -> ModelSampler:
    agents = {"helper": HELPER}
    return ModelSampler(models=models, providers=SimpleNamespace(default="local"), definition_of=agents.get)


def request(**fields) -> CompletionRequest:
    return CompletionRequest(messages=(ChatMessage(Role.USER, "Is it so?"),), **fields)


async def test_a_server_of_one_agent_has_that_agents_model_and_limits(sampler, models):
    assert (await sampler.sample("files", "helper", request(max_tokens=9))).text == "yes"
    [call] = models.asked
    assert (call.provider, call.request.model, call.request.max_tokens) == ("clever", "m-1", 9)
    assert (call.agent, call.conversation_id, call.limits) == ("helper", "tool:files", HELPER.limits)
    assert call.prompt_tokens > 0


@pytest.mark.parametrize("agent", [None, "gone"])
async def test_a_server_of_all_has_the_default_and_an_account_of_its_own(sampler, models, agent):
    await sampler.sample("files", agent, request())
    [call] = models.asked
    assert (call.provider, call.request.model, call.agent) == ("local", None, "tool:files")
    assert call.limits == ModelLimits()


@pytest.mark.parametrize("wanted", [None, 10**9])
async def test_no_answer_is_longer_than_we_lend(sampler, models, wanted):
    await sampler.sample("files", None, request(max_tokens=wanted))
    assert models.asked[0].request.max_tokens == MOST_TOKENS
