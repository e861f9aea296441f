"""What went wrong between us and Ollama, in the product's words.

Imported only where the `ollama` package has been: the module costs what that costs.
"""

import json
from collections.abc import Mapping

import httpx
import ollama

from caxton.domain.errors import Code, ProviderError
from caxton.providers.capable import refused
from caxton.providers.http_errors import TOO_LONG_WORDS, by_status, no_url, without_keys

MISSING_WORDS = ("file does not exist", "not found")
"""What it says of models that it does not have, or that its library has not."""


def ollama_error(name: str, error: Exception, *keys: str) -> ProviderError:
    """The ProviderError that an exception means; malformed where it is none we know. Keys stay out of it."""
    meant = _meaning(name, error)
    meant.why = without_keys(meant.why, *keys)
    return meant


def status_error(name: str, model: str, status: int, text: str, headers: Mapping[str, str]) -> ProviderError:
    """The error that an answer with a status of 400 or more means; `text` is its body, `model` what was asked for."""
    why = _words(text)
    if status == 404 and model and MISSING_WORDS[1] in why:
        return ProviderError(
            Code.PROVIDER_REJECTED,
            f"Provider {name!r} has no model {model!r}.",
            why=why,
            hint=f"Fetch it: `caxton provider pull {name} {model}`; `caxton provider models {name}` has the others.",
        )
    if status == 400 and (incapable := refused(name, model, why)):
        return incapable
    return by_status(name, status, why, headers)


def pull_error(name: str, model: str, why: str) -> ProviderError:
    """What Ollama means by an error among the reports of a pull."""
    missing = any(words in why for words in MISSING_WORDS)
    return ProviderError(
        Code.PROVIDER_REJECTED if missing else Code.PROVIDER_UNAVAILABLE,
        f"Provider {name!r} could not fetch the model {model!r}.",
        why=why,
        hint="See https://ollama.com/library for the models there are." if missing else "",
    )


def _meaning(name: str, error: Exception) -> ProviderError:
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, ollama.ResponseError):
        # An error object in the middle of a stream: a status of its own has been told already.
        long = any(words in error.error.lower() for words in TOO_LONG_WORDS)
        code = Code.CONTEXT_TOO_LONG if long else Code.PROVIDER_UNAVAILABLE
        return ProviderError(code, f"Provider {name!r} broke off its answer.", why=error.error)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return no_url(name, str(error))
    if isinstance(error, httpx.TimeoutException):
        return ProviderError(Code.PROVIDER_TIMEOUT, f"Provider {name!r} did not answer in time.")
    if isinstance(error, httpx.ConnectError | ConnectionError):
        # The client replaces the reason by an advice of its own, and keeps it as the context.
        return ProviderError(
            Code.PROVIDER_UNAVAILABLE,
            f"The connection to provider {name!r} failed.",
            why=str(error.__context__ if isinstance(error, ConnectionError) else error),
            hint=f"Start Ollama where it is installed: `ollama serve`; or correct `base_url` in [providers.{name}].",
        )
    if isinstance(error, httpx.TransportError):
        why = str(error) or type(error).__name__
        return ProviderError(Code.PROVIDER_UNAVAILABLE, f"The connection to provider {name!r} failed.", why=why)
    return ProviderError(
        Code.PROVIDER_MALFORMED,
        f"Provider {name!r} sent what cannot be read.",
        why=str(error) if isinstance(error, ValueError) else repr(error),
        hint="Check that `base_url` leads to Ollama; its OpenAI-compatible side is for kind `openai`.",
    )


def _words(text: str) -> str:
    """The words of an error's body: JSON with them as `error`, or whatever else was sent."""
    try:
        said = json.loads(text)
    except ValueError:
        return text
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else text
