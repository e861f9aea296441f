"""What is asked of a model is held against what it can do, before anything is sent."""

from caxton.domain.completion import Capability, CompletionRequest, ModelInfo
from caxton.domain.errors import Code, ProviderError

ASKED = {
    Capability.TOOLS: "call tools",
    Capability.VISION: "look at images",
    Capability.JSON_SCHEMA: "answer by a JSON schema",
}

REFUSING = {
    "does not support tools": Capability.TOOLS,
    "does not support images": Capability.VISION,
    "does not support image input": Capability.VISION,
    "image input is not supported": Capability.VISION,
}
"""What servers say of it that nobody told what their models can do: Ollama, llama.cpp's."""


def check_capable(provider: str, model: ModelInfo, request: CompletionRequest) -> None:
    """ProviderError `model_incapable` for the first thing asked that the model is known not to do."""
    for capability in _asked(request):
        if model.has(capability) is False:
            raise incapable(provider, model.name, capability)


def refused(provider: str, model: str, why: str) -> ProviderError | None:
    """The error that a server's words mean, where they say that the model cannot do what was asked."""
    for words, capability in REFUSING.items():
        if words in why.lower():
            return incapable(provider, model, capability, why)
    return None


def incapable(provider: str, model: str, capability: Capability, why: str = "") -> ProviderError:
    named = f"The model {model!r}" if model else "The model"
    return ProviderError(
        Code.MODEL_INCAPABLE,
        f"{named} of provider {provider!r} cannot {ASKED[capability]}.",
        why=why,
        hint=f"See what its models can do: `caxton provider models {provider}`; choose another or leave that out.",
    )


def _asked(request: CompletionRequest) -> list[Capability]:
    asked = []
    if request.tools:
        asked.append(Capability.TOOLS)
    if any(message.images for message in request.messages):
        asked.append(Capability.VISION)
    if request.response_schema:
        asked.append(Capability.JSON_SCHEMA)
    return asked
