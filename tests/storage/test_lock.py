import errno
import subprocess
import sys

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.storage import lock
from caxton.storage.lock import locked

HOLDER = """
import sys
from pathlib import Path
from caxton.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock, until its standard input ends or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "caxton.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().strip() == b"locked"
        yield process
        process.kill()


def test_nobody_else_gets_it_meanwhile(tmp_path):
    path = tmp_path / "caxton.lock"
    with locked(path):
        with pytest.raises(CaxtonError) as caught, locked(path):
            pass
        assert caught.value.code is Code.STORAGE_FAILED
        assert str(tmp_path) in caught.value.message
        assert "caxton server stop" in caught.value.hint
    with locked(path):
        pass


def test_whoever_fails_within_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "caxton.lock"):
        raise ZeroDivisionError
    with locked(tmp_path / "caxton.lock"):
        pass


def test_another_process_keeps_us_out_until_it_ends(tmp_path, holder):
    with pytest.raises(CaxtonError), locked(tmp_path / "caxton.lock"):
        pass
    holder.stdin.close()
    holder.wait(10)
    with locked(tmp_path / "caxton.lock"):
        pass


def test_a_killed_process_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait(10)
    with locked(tmp_path / "caxton.lock"):
        pass


def test_a_lock_file_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "caxton.lock").mkdir()
    with pytest.raises(CaxtonError) as caught, locked(tmp_path / "caxton.lock"):
        pass
    assert caught.value.code is Code.STORAGE_FAILED
    assert "--data-dir" in caught.value.hint


def test_a_disk_without_locks_is_told_and_no_other_server_blamed(tmp_path, monkeypatch):
    def refuses(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuses)
    with pytest.raises(CaxtonError, match="cannot be locked") as caught, locked(tmp_path / "caxton.lock"):
        pass
    assert "No locks available" in caught.value.why
