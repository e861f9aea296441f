"""What went wrong on the OpenAI wire, in the product's words.

Imported only where the `openai` package has been: the module costs what that costs.
"""

from collections.abc import Mapping

import openai

from caxton.domain.errors import Code, ProviderError

TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}
REFUSED = {"content_filter", "content_policy_violation"}
LONGEST_DETAIL = 500
"""Characters of a provider's own words that are passed on; some answer with whole web pages."""


def provider_error(name: str, error: Exception) -> ProviderError:
    """The ProviderError that an exception of the client means; malformed where it is none of the client's."""
    # What our own transport found wrong comes wrapped by the client.
    if isinstance(error.__cause__, ProviderError):
        return error.__cause__
    if isinstance(error, openai.APITimeoutError):
        return ProviderError(Code.PROVIDER_TIMEOUT, f"Provider {name!r} did not answer in time.")
    if isinstance(error, openai.APIConnectionError):
        return ProviderError(
            Code.PROVIDER_UNAVAILABLE, f"Provider {name!r} cannot be reached.", why=_words(error.__cause__ or error)
        )
    if isinstance(error, openai.APIStatusError):
        return _by_status(name, error)
    if isinstance(error, openai.APIError):
        # An error object in the middle of a stream.
        code = _code_of(error) or Code.PROVIDER_UNAVAILABLE
        return ProviderError(code, f"Provider {name!r} broke off its answer.", why=_words(error))
    return ProviderError(
        Code.PROVIDER_MALFORMED,
        f"Provider {name!r} sent what cannot be read.",
        why=f"{type(error).__name__}: {_words(error)}",
    )


def _by_status(name: str, error: openai.APIStatusError) -> ProviderError:
    status, why = error.status_code, _words(error)
    if code := _code_of(error):
        return ProviderError(code, f"Provider {name!r} did not take the request.", why=why)
    if status in (401, 403):
        return ProviderError(Code.PROVIDER_AUTHENTICATION, f"Provider {name!r} refused the key.", why=_without_key(why))
    if status == 429:
        after = _retry_after(error.response.headers)
        return ProviderError(
            Code.PROVIDER_RATE_LIMITED, f"Provider {name!r} limits the request rate.", why=why, retry_after=after
        )
    if status >= 500:
        return ProviderError(
            Code.PROVIDER_UNAVAILABLE,
            f"Provider {name!r} failed with status {status}.",
            why=why,
            retry_after=_retry_after(error.response.headers),
        )
    return ProviderError(Code.PROVIDER_REJECTED, f"Provider {name!r} rejected the request ({status}).", why=why)


def _code_of(error: openai.APIError) -> Code | None:
    """The code that the error's own code or type stands for, None where the status has to tell."""
    said = {error.code, error.type}
    if said & TOO_LONG:
        return Code.CONTEXT_TOO_LONG
    if said & REFUSED:
        return Code.PROVIDER_REFUSED
    if "insufficient_quota" in said:
        return Code.PROVIDER_QUOTA
    return None


def _words(error: BaseException) -> str:
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, Mapping) else None
    return str(message or error or type(error).__name__)[:LONGEST_DETAIL]


def _without_key(words: str) -> str:
    """Providers quote parts of the key they refuse; nothing of it may reach a log or a reply."""
    return " ".join("[key]" if word.strip("'\".:,").startswith(("sk-", "Bearer")) else word for word in words.split())


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date, the other form the header may take, is not passed on."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
