"""The PID file: it speaks of a server that runs, or of none."""

import json
import os
import subprocess
import sys

import msgspec
import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.server import until

from caxton.domain.errors import CaxtonError, Code
from caxton.process import pidfile
from caxton.process.pidfile import Instance, birth_of, hold, read

CONTENDER = """
import sys
from pathlib import Path
from caxton.domain.errors import CaxtonError
from caxton.process.pidfile import Instance, hold
import os
path = Path(sys.argv[1])
me = Instance(pid=os.getpid(), url="http://x", version="1", started_at=0.0, data_dir="data")
print("up", flush=True)
while sys.stdin.readline():
    try:
        with hold(path, me):
            print("held", flush=True)
            sys.stdin.readline()
    except CaxtonError as error:
        print(error.code, flush=True)
        sys.stdin.readline()
    print("done", flush=True)
"""


def an_instance(pid: int, **fields: object) -> Instance:
    instance = Instance(pid=pid, url="http://127.0.0.1:8080", version="0.1.0", started_at=1.8e9, data_dir="/data")
    return msgspec.structs.replace(instance, **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "server.pid"


@pytest.fixture(params=["proc", "psutil"])
def way(request, monkeypatch, tmp_path):
    """Both ways to learn when a process began: Linux's files, and psutil as on other systems."""
    if request.param == "proc" and not pidfile.PROC.is_dir():
        pytest.skip("this system has no /proc")
    if request.param == "psutil":
        monkeypatch.setattr(pidfile, "PROC", tmp_path / "no-proc")


def test_the_file_speaks_of_its_server_for_the_block_and_is_gone_after_it(path, way):
    me = an_instance(os.getpid())
    with hold(path, me):
        found = read(path)
        assert found == msgspec.structs.replace(me, birth=birth_of(os.getpid()))
        assert [file.name for file in path.parent.iterdir()] == ["server.pid"]
    assert list(path.parent.iterdir()) == []


def test_the_file_is_gone_after_a_block_that_failed(path):
    with pytest.raises(ZeroDivisionError), hold(path, an_instance(os.getpid())):
        1 / 0  # noqa: B018
    assert not path.exists()


@given(garbage=st.binary(max_size=60))
@example(b"")
@example(b"12345\n")
@example(b"\xff\xfe")
@example(b"{}")
def test_whatever_else_the_file_holds_is_no_server(tmp_path_factory, garbage):
    file = tmp_path_factory.mktemp("data") / "server.pid"
    file.write_bytes(garbage)
    assert read(file) is None


@pytest.mark.parametrize("pid", [0, -1, "7", None, 2**70])
def test_a_pid_that_is_none_is_no_server(path, pid):
    told = msgspec.to_builtins(an_instance(os.getpid(), birth=birth_of(os.getpid()))) | {"pid": pid}
    path.write_text(json.dumps(told))
    assert read(path) is None


def test_no_file_or_a_folder_in_its_place_is_no_server(path):
    assert read(path) is None
    path.mkdir()
    assert read(path) is None


def test_a_server_that_ended_left_a_stale_file_that_the_next_replaces(path, idle, way):
    process = idle()
    gone = an_instance(process.pid, birth=birth_of(process.pid))
    path.write_bytes(msgspec.json.encode(gone))
    assert read(path) == gone
    process.kill()
    process.wait()
    assert read(path) is None
    with hold(path, an_instance(os.getpid())):
        assert read(path).pid == os.getpid()


def test_a_file_without_the_beginning_of_its_process_is_no_server(path, idle):
    process = idle()
    process.kill()
    process.wait()
    for pid in (process.pid, os.getpid()):
        path.write_bytes(msgspec.json.encode(an_instance(pid)))
        assert read(path) is None


def test_a_process_that_has_the_pid_of_a_server_gone_is_no_server(path):
    path.write_bytes(msgspec.json.encode(an_instance(os.getpid(), birth="another beginning")))
    assert read(path) is None
    with hold(path, an_instance(os.getpid())):
        assert read(path).birth == birth_of(os.getpid())


@pytest.mark.skipif(os.name != "posix", reason="zombies are POSIX's")
def test_a_process_that_ended_and_was_not_waited_for_is_dead(way):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "the end of the process")
        assert birth_of(process.pid) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's way to rename a process")
@pytest.mark.parametrize("name", [rb"a) Z 1 (b", rb"\xff\xfe", rb" )\n) "])
def test_a_processs_name_says_nothing_of_its_beginning(idle, name):
    process = idle(f"import ctypes; ctypes.CDLL(None).prctl(15, b'{name.decode()}', 0, 0, 0)")
    ticks = birth_of(process.pid).partition("@")[0]
    began = psutil.boot_time() + int(ticks) / os.sysconf("SC_CLK_TCK")
    assert began == pytest.approx(psutil.Process(process.pid).create_time(), abs=2)


def test_who_wants_to_be_a_second_server_is_told_of_the_first(path, idle):
    process = idle()
    path.write_bytes(msgspec.json.encode(an_instance(process.pid, birth=birth_of(process.pid))))
    before = path.read_bytes()
    with pytest.raises(CaxtonError) as caught, hold(path, an_instance(os.getpid())):
        pytest.fail("there were two")
    assert caught.value.code is Code.SERVER_RUNNING
    for part in (str(process.pid), "http://127.0.0.1:8080", "/data"):
        assert part in caught.value.message
    assert path.read_bytes() == before


def test_a_file_that_speaks_of_another_by_then_is_left_there(path, idle):
    process = idle()
    other = msgspec.json.encode(an_instance(process.pid, birth=birth_of(process.pid)))
    with hold(path, an_instance(os.getpid())):
        path.write_bytes(other)
    assert path.read_bytes() == other


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path):
    path = tmp_path / "missing" / "server.pid"
    with pytest.raises(CaxtonError) as caught, hold(path, an_instance(os.getpid())):
        pytest.fail("there is no such folder")
    assert caught.value.code is Code.STORAGE_FAILED
    assert repr(str(path.parent)) in caught.value.message
    assert "CAXTON_DATA_DIR" in caught.value.hint


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing_behind(path):
    path.mkdir()
    with pytest.raises(CaxtonError), hold(path, an_instance(os.getpid())):
        pytest.fail("a folder is in the way")
    assert list(path.parent.iterdir()) == [path]


def test_of_many_that_start_at_once_one_is_the_server(path):
    command = [sys.executable, "-c", CONTENDER, str(path)]
    contenders = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(5)
    ]
    try:
        assert {c.stdout.readline() for c in contenders} == {"up\n"}
        for _ in range(30):
            for c in contenders:
                c.stdin.write("go\n")
            outcomes = sorted(c.stdout.readline().strip() for c in contenders)
            assert outcomes == ["held", *[Code.SERVER_RUNNING] * 4]
            for c in contenders:
                c.stdin.write("end\n")
            assert {c.stdout.readline() for c in contenders} == {"done\n"}
    finally:
        for c in contenders:
            with c:
                c.kill()
