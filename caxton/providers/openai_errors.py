"""What went wrong on the OpenAI wire, in the product's words.

Imported only where the `openai` package has been: the module costs what that costs.
"""

import math
from collections.abc import Mapping

import httpx2
import msgspec
import openai

from caxton.domain.errors import Code, ProviderError

TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}
REFUSED = {"content_filter", "content_policy_violation"}
TOO_LONG_WORDS = ("context length", "context window", "context size")
"""What servers without such a code say, in a 400."""
LONGEST_DETAIL = 500
"""Characters of a provider's own words that are passed on; some answer with whole web pages."""


def provider_error(name: str, error: Exception, key: str) -> ProviderError:
    """The ProviderError that an exception on the wire means; malformed where it is none we know.

    Providers quote the key they are sent. Nothing of `key` gets into the error, and so into logs and replies.
    """
    meant = _meaning(name, error)
    meant.why = _without_key(meant.why, key)[:LONGEST_DETAIL]
    return meant


def _meaning(name: str, error: Exception) -> ProviderError:
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, openai.APITimeoutError):
        return ProviderError(Code.PROVIDER_TIMEOUT, f"Provider {name!r} did not answer in time.")
    if isinstance(error, openai.APIConnectionError):
        return ProviderError(
            Code.PROVIDER_UNAVAILABLE,
            f"The connection to provider {name!r} failed.",
            why=_words(error.__cause__ or error),
        )
    if isinstance(error, openai.APIStatusError):
        return _by_status(name, error)
    if isinstance(error, openai.APIError):
        # An error object in the middle of a stream.
        code = _code_of(error) or Code.PROVIDER_UNAVAILABLE
        return ProviderError(code, f"Provider {name!r} broke off its answer.", why=_words(error))
    if isinstance(error, httpx2.InvalidURL):
        return ProviderError(
            Code.PROVIDER_UNAVAILABLE,
            f"Provider {name!r} has a `base_url` that is no URL.",
            why=_words(error),
            hint=f"Correct `base_url` in [providers.{name}] and restart the server.",
        )
    return ProviderError(
        Code.PROVIDER_MALFORMED,
        f"Provider {name!r} sent what cannot be read.",
        why=_words(error) if isinstance(error, ValueError | msgspec.ValidationError) else repr(error),
    )


def _by_status(name: str, error: openai.APIStatusError) -> ProviderError:
    status, why, after = error.status_code, _words(error), _retry_after(error.response.headers)
    if code := _code_of(error):
        return ProviderError(code, f"Provider {name!r} did not take the request.", why=why, retry_after=after)
    if status in (401, 403):
        return ProviderError(Code.PROVIDER_AUTHENTICATION, f"Provider {name!r} refused the key.", why=why)
    if status == 402:
        return ProviderError(Code.PROVIDER_QUOTA, f"Provider {name!r} wants to be paid first.", why=why)
    if status == 429:
        return ProviderError(
            Code.PROVIDER_RATE_LIMITED, f"Provider {name!r} limits the request rate.", why=why, retry_after=after
        )
    if status in (408, 504):
        return ProviderError(Code.PROVIDER_TIMEOUT, f"Provider {name!r} ran out of time ({status}).", why=why)
    if status >= 500:
        return ProviderError(
            Code.PROVIDER_UNAVAILABLE, f"Provider {name!r} failed with status {status}.", why=why, retry_after=after
        )
    if status == 400 and any(words in why.lower() for words in TOO_LONG_WORDS):
        return ProviderError(Code.CONTEXT_TOO_LONG, f"Provider {name!r} did not take the request.", why=why)
    return ProviderError(Code.PROVIDER_REJECTED, f"Provider {name!r} rejected the request ({status}).", why=why)


def _code_of(error: openai.APIError) -> Code | None:
    """The code that the error's own code or type stands for, None where the status has to tell."""
    said = {word for word in (error.code, error.type) if isinstance(word, str)}
    if said & TOO_LONG:
        return Code.CONTEXT_TOO_LONG
    if said & REFUSED:
        return Code.PROVIDER_REFUSED
    if "insufficient_quota" in said:
        return Code.PROVIDER_QUOTA
    if "rate_limit_exceeded" in said:
        return Code.PROVIDER_RATE_LIMITED
    return None


def _words(error: BaseException) -> str:
    """The provider's own words where it sent any, else the exception's."""
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, Mapping) else body
    return str(message if isinstance(message, str) and message else error) or type(error).__name__


def _without_key(words: str, key: str) -> str:
    """The words with the key replaced, and with what looks like parts of one: some providers abbreviate it."""
    shown = words.replace(key, "[key]") if key else words
    return " ".join(
        "[key]" if word.strip("'\".:,").startswith(("sk-", "Bearer")) else word for word in shown.split(" ")
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date, the other form the header may take, is not passed on."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None
