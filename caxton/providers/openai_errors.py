"""What went wrong on the OpenAI wire, in the product's words.

Imported only where the `openai` package has been: the module costs what that costs.
"""

from collections.abc import Mapping

import httpx2
import msgspec
import openai

from caxton.domain.errors import Code, ProviderError
from caxton.providers.http_errors import by_status, no_url, retry_after, without_keys

TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}
REFUSED = {"content_filter", "content_policy_violation"}


def provider_error(name: str, error: Exception, *keys: str) -> ProviderError:
    """The ProviderError that an exception on the wire means; malformed where it is none we know.

    Providers quote the key they are sent. Nothing of `keys` gets into the error, and so into logs and replies.
    """
    meant = _meaning(name, error)
    meant.why = without_keys(meant.why, *keys)
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
        return no_url(name, _words(error))
    return ProviderError(
        Code.PROVIDER_MALFORMED,
        f"Provider {name!r} sent what cannot be read.",
        why=_words(error) if isinstance(error, ValueError | msgspec.ValidationError) else repr(error),
    )


def _by_status(name: str, error: openai.APIStatusError) -> ProviderError:
    why, headers = _words(error), error.response.headers
    if code := _code_of(error):
        after = retry_after(headers)
        return ProviderError(code, f"Provider {name!r} did not take the request.", why=why, retry_after=after)
    return by_status(name, error.status_code, why, headers)


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
