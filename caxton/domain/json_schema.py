"""Whether a value fits a JSON schema."""

from itertools import islice
from typing import Any

MOST = 3
"""Problems that are told; looking for more costs time, and the value comes from anybody."""
LONGEST = 200
"""Characters of one problem, which quotes what it found."""


class JsonSchema:
    """A JSON schema (draft 2020-12 unless it names another), made ready once. It never fetches anything."""

    def __init__(self, schema: dict[str, Any]) -> None:
        # Imported when there is a schema at all.
        from jsonschema import Draft202012Validator
        from jsonschema.validators import validator_for
        from referencing import Registry

        self._validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())

    def problems(self, value: Any) -> list[str]:
        """What does not fit and where, the first few; empty where everything does."""
        from referencing.exceptions import Unresolvable

        try:
            found = list(islice(self._validator.iter_errors(value), MOST))
        except Unresolvable as error:
            return [f"the schema speaks of {error.ref!r}, which is not in it"]
        except RecursionError:
            return ["it is nested too deeply to be checked"]
        return [f"{error.json_path}: {_cut(error.message)}" for error in found]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
