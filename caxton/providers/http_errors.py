"""What an HTTP status from a provider means in the product's words, whatever protocol it came by."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from caxton.domain.errors import Code, ProviderError
from caxton.providers.capable import refused

TOO_LONG_WORDS = ("context length", "context window", "context size")
"""What servers without a code for it say, in a 400."""
LONGEST_DETAIL = 500
"""Characters of a provider's own words that are passed on; some answer with whole web pages."""


def by_status(name: str, status: int, why: str, headers: Mapping[str, str]) -> ProviderError:
    """The error that provider `name` means by a status of 400 or more. `headers` are asked in lower case."""
    after = retry_after(headers)
    if status in (400, 500) and (incapable := refused(name, "", why)):
        return incapable
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


def no_url(name: str, why: str) -> ProviderError:
    return ProviderError(
        Code.PROVIDER_UNAVAILABLE,
        f"Provider {name!r} has a `base_url` that is no URL.",
        why=why,
        hint=f"Correct `base_url` in [providers.{name}] and restart the server.",
    )


def without_keys(words: str, *keys: str) -> str:
    """The words as they may be passed on: no longer than allowed, and without the keys.

    What looks like a part of a key goes too: some providers abbreviate it.
    """
    for key in filter(None, keys):
        words = words.replace(key, "[key]")
    shown = ("[key]" if word.strip("'\".:,").startswith(("sk-", "Bearer")) else word for word in words.split(" "))
    return " ".join(shown)[:LONGEST_DETAIL]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; the header's other form, a date (RFC 9110 §10.2.3), counts from the answer's own `Date`."""
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = max(0.0, seconds)
    return seconds if seconds >= 0 and math.isfinite(seconds) else None
