"""Which kinds of embedder there are, each imported when chosen."""

from collections.abc import Mapping

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.memory import Embedder
from caxton.domain.settings import EmbedderSettings

KINDS = ("onnx", "sentence-transformers", "openai")
SENTENCE_MODEL = "all-MiniLM-L6-v2"
OPENAI_MODEL = "text-embedding-3-small"
OPENAI_URL = "https://api.openai.com/v1"


def embedder(settings: EmbedderSettings, environ: Mapping[str, str]) -> Embedder:
    """An embedder that has loaded nothing yet; CaxtonError `configuration_invalid` where there is no such kind."""
    match settings.kind:
        case "onnx":
            from caxton.memory.onnx import MODEL, OnnxEmbedder

            return OnnxEmbedder(name=settings.model or MODEL, weights=settings.weights, tokenizer=settings.tokenizer)
        case "sentence-transformers":
            from caxton.memory.sentence import SentenceTransformersEmbedder

            return SentenceTransformersEmbedder(model=settings.model or SENTENCE_MODEL, device=settings.device)
        case "openai":
            from caxton.memory.openai import OpenAIEmbedder

            return OpenAIEmbedder(
                model=settings.model or OPENAI_MODEL,
                base_url=settings.base_url or OPENAI_URL,
                key=environ.get(settings.api_key_env or "", "").strip(),
                dimension=settings.dimension,
            )
    raise CaxtonError(
        Code.CONFIGURATION_INVALID, f"There is no embedder of kind {settings.kind!r}; there are: {', '.join(KINDS)}."
    )
