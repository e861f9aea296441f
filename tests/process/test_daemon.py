"""Starting a server in the background and stopping it, with real processes."""

import os
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from support.server import until

from caxton.domain.errors import CODES, CaxtonError, Code
from caxton.process import daemon
from caxton.process.pidfile import Instance, birth_of, read

# What is started goes on by itself: nobody waits for it, and Python notes that.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

SERVER = """
import os, signal, sys, threading
from pathlib import Path
from caxton.domain.errors import CaxtonError
from caxton.process.pidfile import Instance, hold
def end(*_):
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else end)
me = Instance(pid=os.getpid(), url="http://127.0.0.1:1", version="1", started_at=0.0, data_dir="data")
try:
    with hold(Path(sys.argv[1]), me):
        print("listening", flush=True)
        while True:
            threading.Event().wait(60)
except CaxtonError as error:
    sys.exit(f"error[{error.code}]: {error.message}")
"""
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"


@pytest.fixture
def data(tmp_path):
    """The data directory; whatever server it has at the end is killed."""
    folder = tmp_path / "data"
    yield folder
    if instance := read(folder / "server.pid"):
        psutil.Process(instance.pid).kill()


@pytest.fixture
def start(data):
    """Starts a program as a server; `ready` as soon as it has its PID file unless a test says otherwise."""

    def started(program=SERVER, *words, ready=lambda instance: True, timeout=30.0) -> Instance:
        pid_file = data / "server.pid"
        return daemon.start(
            [sys.executable, "-c", program, *([str(pid_file)] if program is SERVER else []), *words],
            log_file=data / "server.log",
            pid_file=pid_file,
            ready=ready,
            timeout=timeout,
        )

    return started


def test_a_server_is_started_apart_from_this_process_and_stopped(start, data):
    instance = start()
    assert instance == read(data / "server.pid")
    if os.name == "posix":
        # Not of our session: neither Ctrl-C nor the end of the terminal reaches it.
        assert os.getsid(instance.pid) == instance.pid != os.getsid(0)
        assert data.stat().st_mode & 0o077 == 0
    assert (data / "server.log").read_text().strip() == "listening"
    assert daemon.stop(instance, timeout=30)
    assert birth_of(instance.pid) == ""


def test_it_is_started_only_when_it_is_ready(start):
    asked = []
    instance = start(ready=lambda instance: asked.append(instance) or len(asked) == 3)
    assert asked == [instance] * 3


def test_a_server_behind_a_launcher_is_known_as_the_one_that_was_started(start, data):
    instance = start(LAUNCHER, SERVER, str(data / "server.pid"))
    assert psutil.Process(instance.pid).cmdline()[-1] == str(data / "server.pid")
    assert daemon.stop(instance, timeout=30)


@pytest.mark.parametrize("code", [Code.PORT_IN_USE, Code.STORAGE_FAILED, Code.SERVER_RUNNING])
def test_one_that_dies_while_starting_fails_with_its_own_code_and_words(start, data, code):
    program = (
        "import sys\nprint('INFO: error[internal]: not the last')\n"
        f"sys.exit('error[{code}]: It cannot be.\\n  [Errno 1] the system said no\\n  hint: Choose another.')"
    )
    with pytest.raises(CaxtonError) as caught:
        start(program)
    error = caught.value
    assert error.code is code
    assert error.info.exit == CODES[code].exit
    assert "ended with status 1" in error.message
    assert "the system said no" in error.why
    assert "hint: Choose another." in error.why
    assert str(data / "server.log") in error.hint


def test_one_that_dies_of_a_wrong_file_fails_as_a_wrong_configuration(start):
    with pytest.raises(CaxtonError) as caught:
        start("import sys; sys.exit('caxton.toml:2:1: error[unknown_key]: [server] has no key')")
    assert caught.value.code is Code.CONFIGURATION_INVALID
    assert "caxton.toml:2:1" in caught.value.why


def test_one_that_dies_without_a_word_is_not_reachable(start, data):
    with pytest.raises(CaxtonError) as caught:
        start("import sys; sys.exit(7)")
    error = caught.value
    assert (error.code, error.why) == (Code.SERVER_UNREACHABLE, "")
    assert "status 7" in error.message
    assert str(data / "server.log") in error.hint


def test_words_of_an_earlier_server_are_kept_in_the_log_and_not_told_again(start, data):
    data.mkdir()
    (data / "server.log").write_text("error[port_in_use]: long ago\n")
    with pytest.raises(CaxtonError) as caught:
        start("import sys; sys.exit('error[storage_failed]: today')")
    assert caught.value.code is Code.STORAGE_FAILED
    assert "long ago" not in caught.value.why
    assert (data / "server.log").read_text().split("\n")[0] == "error[port_in_use]: long ago"


def test_words_without_end_are_told_by_their_end(start):
    with pytest.raises(CaxtonError) as caught:
        start("import sys; print('x' * 100_000); sys.exit('error[storage_failed]: at last')")
    assert caught.value.code is Code.STORAGE_FAILED
    assert len(caught.value.why) <= 2000


def test_one_that_is_not_ready_in_time_is_killed(start, data, monkeypatch):
    # The time runs out once the server is there: no matter how long this machine takes to start it.
    seen = []
    clock = SimpleNamespace(monotonic=lambda: 1e9 if seen else 0.0, sleep=time.sleep)
    monkeypatch.setattr(daemon, "time", clock)
    with pytest.raises(CaxtonError) as caught:
        start(ready=seen.append, timeout=60)
    error = caught.value
    assert error.code is Code.SERVER_UNREACHABLE
    assert "not ready within 60 s" in error.message
    assert error.why == "listening"
    assert str(data / "server.log") in error.hint
    assert birth_of(seen[0].pid) == ""
    assert read(data / "server.pid") is None


def test_an_interrupted_start_leaves_no_process_behind(start):
    seen = []

    def interrupt(instance: Instance) -> bool:
        seen.append(instance)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(ready=interrupt)
    assert birth_of(seen[0].pid) == ""


def test_another_server_of_that_folder_is_not_taken_for_the_one_that_was_started(start, data):
    first = start()
    with pytest.raises(CaxtonError) as caught:
        start()
    assert caught.value.code is Code.SERVER_RUNNING
    assert f"process {first.pid}" in caught.value.why
    assert read(data / "server.pid") == first


def test_a_log_that_cannot_be_written_is_named_with_the_way_out(start, data):
    data.write_text("a file is in the way")
    with pytest.raises(CaxtonError) as caught:
        start()
    assert caught.value.code is Code.STORAGE_FAILED
    assert repr(str(data / "server.log")) in caught.value.message
    assert "--data-dir" in caught.value.hint
    data.unlink()


@pytest.mark.skipif(os.name != "posix", reason="no process is deaf to its end on Windows")
def test_one_that_does_not_listen_is_left_alone_or_killed_as_asked(start):
    instance = start(SERVER, "deaf")
    assert not daemon.stop(instance, timeout=0.1)
    assert birth_of(instance.pid) == instance.birth
    assert daemon.stop(instance, timeout=0.1, force=True)
    assert birth_of(instance.pid) == ""


def test_one_that_has_ended_is_stopped_already(start):
    instance = start()
    psutil.Process(instance.pid).kill()
    until(lambda: birth_of(instance.pid) == "", "its end")
    assert daemon.stop(instance, timeout=0)


def test_who_has_the_pid_of_a_server_gone_is_not_stopped_in_its_place(idle):
    process = idle()
    gone = Instance(
        pid=process.pid, url="", version="", started_at=0.0, data_dir="", birth=f"not {birth_of(process.pid)}"
    )
    assert daemon.stop(gone, timeout=0, force=True)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(30) == 0


def test_a_server_that_may_not_be_stopped_is_told(start, monkeypatch):
    instance = start()

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        with pytest.raises(CaxtonError) as caught:
            daemon.stop(instance, timeout=1)
    assert caught.value.code is Code.SERVER_RUNNING
    assert str(instance.pid) in caught.value.message
    assert "Operation not permitted" in caught.value.why
    assert daemon.stop(instance, timeout=30)
