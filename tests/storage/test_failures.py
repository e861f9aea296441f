from pathlib import Path

import apsw
import pytest

from caxton.domain.errors import CODES, CaxtonError, Code
from caxton.storage.failures import EXPLAINED, explained, storage_closed, storage_error

PATH = Path("data") / "caxton.db"


@pytest.mark.parametrize(("kind", "why", "hint"), EXPLAINED, ids=[kind.__name__ for kind, _, _ in EXPLAINED])
def test_every_known_failure_says_why_and_what_to_do(kind, why, hint):
    with pytest.raises(CaxtonError) as caught, explained(PATH):
        raise kind("said SQLite")
    error = caught.value
    assert (error.code, error.why, error.hint) == (Code.STORAGE_FAILED, why, hint)
    assert "caxton.db" in error.message
    assert "said SQLite" in error.message
    assert isinstance(error.__cause__, kind)


def test_one_that_is_not_known_names_itself():
    error = storage_error(PATH, apsw.MismatchError("said SQLite"))
    assert "MismatchError" in error.why
    assert error.hint == CODES[Code.STORAGE_FAILED].remedy


def test_a_closed_database_is_told_as_such():
    with pytest.raises(CaxtonError) as caught, explained(PATH):
        raise apsw.ConnectionClosedError("said SQLite")
    assert caught.value.message == storage_closed(PATH).message
    assert "stopping" in caught.value.why


def test_what_is_no_failure_of_storage_passes_as_it_is():
    with pytest.raises(ZeroDivisionError), explained(PATH):
        raise ZeroDivisionError
