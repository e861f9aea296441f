"""Compiled modules are kept, and taken from the disk only where nobody else could have put them."""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

import pytest
import wasmtime

from caxton.tools.wasm_program import load_program

WASM = bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "_start")))'))
SHA256 = hashlib.sha256(WASM).hexdigest()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "it.wasm"
    path.write_bytes(WASM)
    return path


def was_cached(module: Path, cache: Path | None, metered: bool = True) -> bool:
    program, cached = load_program(module, SHA256, cache, metered)
    assert program.module(program.engine()).exports[0].name == "memory"
    assert [one.name for one in program.bridge(program.engine()).exports] == ["memory", "fd_read", "fd_write"]
    return cached


def kept(cache: Path) -> Path:
    (file,) = cache.glob(f"{SHA256}-*")
    return file


def test_what_was_compiled_once_is_not_compiled_again(module, tmp_path):
    cache = tmp_path / "cache"
    assert [was_cached(module, cache) for _ in range(3)] == [False, True, True]
    assert version("wasmtime") in kept(cache).name
    assert not list(cache.glob("*.part"))


def test_with_fuel_and_without_are_two_programs(module, tmp_path):
    cache = tmp_path / "cache"
    assert [was_cached(module, cache, metered) for metered in (True, False, True, False)] == [False, False, True, True]


def test_without_a_cache_nothing_is_written(module, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert [was_cached(module, None) for _ in range(2)] == [False, False]
    assert list(tmp_path.iterdir()) == [module]


def test_half_a_file_is_compiled_anew(module, tmp_path):
    cache = tmp_path / "cache"
    was_cached(module, cache)
    kept(cache).write_bytes(kept(cache).read_bytes()[:1000])
    assert [was_cached(module, cache) for _ in range(2)] == [False, True]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_file_that_others_could_have_written_is_not_trusted(module, tmp_path):
    cache = tmp_path / "cache"
    was_cached(module, cache)
    assert cache.stat().st_mode & 0o077 == 0
    kept(cache).chmod(0o666)
    assert not was_cached(module, cache)
    elsewhere = tmp_path / "elsewhere"
    file = kept(cache)
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert not was_cached(module, cache)


def test_another_module_than_the_one_that_was_checked_is_not_run(module, tmp_path):
    module.write_bytes(WASM + b"\0")
    with pytest.raises(ValueError, match="changed while"):
        was_cached(module, tmp_path / "cache")
