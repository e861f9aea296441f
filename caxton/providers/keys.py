"""Where keys are read: from the environment variable or the file that a provider's settings name, and nowhere else."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from caxton.domain.errors import Code, ProviderError
from caxton.domain.settings import ProviderSettings

LARGEST_KEY = 16_384
"""Bytes of a file that may hold a key; what is larger is something else."""


def key_of(settings: ProviderSettings, environ: Mapping[str, str], *, usual: str | None = None) -> str | None:
    """The provider's key, without the line break that keys in files come with; None where the settings name none.

    A variable that is set goes before the file. `usual` is the variable of providers that name neither. ProviderError
    `provider_authentication` where what they name holds no key.
    """
    file, variable = settings.api_key_file, settings.api_key_env
    if variable is None and file is None:
        variable = usual
    if variable is not None and (file is None or environ.get(variable, "").strip()):
        return _from_variable(settings.name, variable, environ)
    return _from_file(settings.name, file) if file else None


def _from_variable(provider: str, variable: str, environ: Mapping[str, str]) -> str:
    key = environ.get(variable, "").strip()
    if _could_be_one(key):
        return key
    fault = "has characters that no key has" if key else "is not set"
    raise ProviderError(
        Code.PROVIDER_AUTHENTICATION,
        f"Provider {provider!r} needs a key, and the environment variable {variable} {fault}.",
        hint=f"Set it where the server starts: `export {variable}=…`, then `caxton server restart`.",
    )


def _from_file(provider: str, file: Path) -> str:
    try:
        held = file.stat()
        # Asked before it is opened: opening a pipe waits for whoever writes to it.
        if not stat.S_ISREG(held.st_mode):
            raise _no_key(provider, file, "is not a regular file", f"Put the key into a file: {file}.")
        if os.name == "posix" and held.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            fault = f"can be read by others than its owner (mode {stat.S_IMODE(held.st_mode):o})"
            raise _no_key(provider, file, fault, f"Close it: `chmod 600 {file}`.")
        with file.open("rb") as opened:
            content = opened.read(LARGEST_KEY + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _no_key(provider, file, f"cannot be read: {reason}", "Correct `api_key_file`.") from error
    key = content.decode("latin-1").strip()
    if len(content) <= LARGEST_KEY and _could_be_one(key):
        return key
    fault = "is larger than any key" if len(content) > LARGEST_KEY else "has no key in it, or more than one"
    raise _no_key(provider, file, fault, "It has to hold the key and nothing else.")


def _could_be_one(key: str) -> bool:
    """Whether this can stand in an HTTP header."""
    return bool(key) and key.isascii() and key.isprintable()


def _no_key(provider: str, file: Path, fault: str, hint: str) -> ProviderError:
    return ProviderError(
        Code.PROVIDER_AUTHENTICATION,
        f"Provider {provider!r} needs a key, and its `api_key_file` {str(file)!r} {fault}.",
        hint=hint,
    )
