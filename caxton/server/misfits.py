"""Values that do not fit the type they are read as, in words."""

import re
from typing import Any

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.suggestion import did_you_mean

PLACE = re.compile(r" - at `\$\.?(.*)`$")
FIELD = re.compile(r"(?:missing required|contains unknown) field `(.*)`$")


class Misfit(CaxtonError):
    """Part of a request is wrong. `field` is the path to it (`history[0].role`), empty where it is the whole."""

    def __init__(self, code: Code, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.field = field


def misfit(code: Code, what: str, error: msgspec.ValidationError, kind: Any) -> Misfit:
    """The error that names what of `what` ("The body") does not fit the struct `kind`, and what would."""
    place = PLACE.search(str(error))
    field = place[1] if place else ""
    said = PLACE.sub("", str(error))
    where = f" at `{field}`" if field else ""
    hint = ""
    if named := FIELD.search(said):
        if not field and (known := getattr(kind, "__struct_fields__", ())):
            hint = nearest(named[1], known)
        field = f"{field}.{named[1]}" if field else named[1]
    return Misfit(code, f"{what} does not fit: {said[0].lower()}{said[1:]}{where}.", field=field, hint=hint)


def nearest(given: str, known: tuple[str, ...]) -> str:
    """Which of the known names may have been meant, or which there are."""
    hint = did_you_mean(given, known) if given not in known else ""
    return hint or f"Known: {', '.join(known) or 'none'}."
