"""Whether a value fits a JSON schema.

Values come from anybody, and are checked where messages are routed: so nothing is fetched, patterns take linear time or
are given up, and a megabyte of numbers takes some milliseconds.
"""

from typing import Any, NamedTuple

LONGEST = 200
"""Characters of one problem, which quotes what it found."""
DEEPEST = 200
"""Objects and lists within each other that are looked into."""
HOLDERS = (dict, list, tuple)


class Misfit(NamedTuple):
    """What does not fit, and the keys and indices that lead there."""

    path: tuple[str | int, ...]
    what: str

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return f"${place}: {self.what}"


class JsonSchema:
    """A JSON schema (draft 2020-12 unless it names another), made ready once.

    `flaw` is what keeps it from being one that can be used, None where nothing does: it has to be of its draft's form,
    its patterns have to be readable, and what it refers to has to be in it. Nothing fits a flawed one.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        # Imported when there is a schema at all.
        from jsonschema_rs import ValidationError, validator_for

        self.flaw: Misfit | None = None
        if _is_deeper(schema, DEEPEST):
            self.flaw = Misfit((), "it is nested too deeply")
            return
        try:
            self._validator = validator_for(schema, retriever=_fetch_nothing)
        except ValidationError as error:
            self.flaw = Misfit(tuple(error.instance_path), _cut(error.message))
        except ValueError as error:
            self.flaw = Misfit((), _cut(str(error)))

    def misfit(self, value: object) -> Misfit | None:
        """The first that does not fit, and where; None where everything does."""
        from jsonschema_rs import ValidationError

        if self.flaw:
            return Misfit((), f"the schema cannot be used: {self.flaw.what}")
        if _is_deeper(value, DEEPEST):
            return Misfit((), "it is nested too deeply to be checked")
        try:
            self._validator.validate(value)
        except ValidationError as error:
            return Misfit(tuple(error.instance_path), _cut(error.message))
        except ValueError as error:
            return Misfit((), f"it is no JSON: {_cut(str(error))}")
        return None


def _fetch_nothing(uri: str) -> Any:
    raise ValueError("nothing is fetched")


def _is_deeper(value: object, most: int) -> bool:
    """Whether there are more than that many objects and lists within each other."""
    level = [value] if isinstance(value, HOLDERS) else []
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, HOLDERS)
        ]
        if not level:
            return False
    return bool(level)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
