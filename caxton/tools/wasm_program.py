"""A WebAssembly module ready to run, compiled once and kept on disk. Only for the worker process: imports wasmtime."""

import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import wasmtime

STACK = 1_048_576
"""Bytes of stack that a module's calls may use; its threads have room for that and for ours."""
WASI = "wasi_snapshot_preview1"
BRIDGED = ("fd_read", "fd_write")

_CONFIGURATION = 1
"""Counted up when `_configuration` changes: what was compiled for another does not load."""


Code = Path | bytearray
"""Compiled code: a file that all instances map, or, where nothing is kept, in memory."""


class Program:
    """Makes engines with the module in them: one for each instance, so that each has an epoch of its own to end it by.

    With the code in a file that takes a third of a millisecond.
    """

    def __init__(self, code: Code, bridge: Code, metered: bool) -> None:
        self._code = code
        self._bridge = bridge
        self._metered = metered

    def engine(self) -> wasmtime.Engine:
        return wasmtime.Engine(_configuration(self._metered))

    def module(self, engine: wasmtime.Engine) -> wasmtime.Module:
        return _loaded(engine, self._code)

    def bridge(self, engine: wasmtime.Engine) -> wasmtime.Module:
        """See `_BRIDGE`."""
        return _loaded(engine, self._bridge)


def load_program(module: Path, sha256: str, cache: Path | None, metered: bool) -> tuple[Program, bool]:
    """A module's program, and whether it was in the cache. Without a cache nothing is written anywhere.

    ValueError where the file is not the module with that hash; WasmtimeError where it is not valid.
    """
    wasm = module.read_bytes()
    found = hashlib.sha256(wasm).hexdigest()
    if found != sha256:
        raise ValueError(f"{str(module)!r} changed while it was loaded: its SHA-256 is {found}, expected {sha256}")
    code, hit = _compiled(wasm, sha256, cache, metered)
    bridge, _ = _compiled(_BRIDGE, hashlib.sha256(_BRIDGE).hexdigest(), cache, metered)
    return Program(code, bridge, metered), hit


def _loaded(engine: wasmtime.Engine, code: Code) -> wasmtime.Module:
    if isinstance(code, Path):
        return wasmtime.Module.deserialize_file(engine, str(code))
    return wasmtime.Module.deserialize(engine, code)


def _compiled(wasm: bytes, sha256: str, folder: Path | None, metered: bool) -> tuple[Code, bool]:
    """The compiled code of a module, and whether it was there."""
    engine = wasmtime.Engine(_configuration(metered))
    if folder is None:
        return wasmtime.Module(engine, wasm).serialize(), False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    build = "-".join(
        (version("wasmtime"), platform.system(), platform.machine(), str(_CONFIGURATION), "fuel" if metered else "free")
    ).lower()
    file = folder / f"{sha256}-{build}.cwasm"
    if _is_ours(file):
        # Another processor, or half a file: then it is compiled anew.
        with suppress(wasmtime.WasmtimeError):
            _loaded(engine, file)
            return file, True
    code = wasmtime.Module(engine, wasm).serialize()
    number, name = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(number, "wb") as part:
        part.write(code)
    Path(name).replace(file)
    return file, False


def _is_ours(file: Path) -> bool:
    """Whether the file is there and nobody else could have written it: compiled code runs outside any sandbox."""
    try:
        status = file.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _configuration(metered: bool) -> wasmtime.Config:
    config = wasmtime.Config()
    config.consume_fuel = metered
    config.epoch_interruption = True
    config.max_wasm_stack = STACK
    # One linear memory of 32-bit addresses is what the limit counts; nothing else may hold much.
    config.wasm_multi_memory = False
    config.wasm_memory64 = False
    config.wasm_threads = False
    config.gc_support = False
    return config


def _forward(names: Sequence[str]) -> bytes:
    signature = "(param i32 i32 i32 i32) (result i32)"
    imports = "\n".join(f'(import "{WASI}" "{name}" (func ${name} {signature}))' for name in names)
    passed = "(local.get 0) (local.get 1) (local.get 2) (local.get 3)"
    functions = "\n".join(f'(func (export "{name}") {signature} (call ${name} {passed}))' for name in names)
    text = f'(module\n(import "module" "memory" (memory 0))\n{imports}\n(export "memory" (memory 0))\n{functions})'
    return bytes(wasmtime.wat2wasm(text))


_BRIDGE = _forward(BRIDGED)
"""Leads from our own `fd_read` and `fd_write` on to wasmtime's, for files. Those work on the memory of the module that
calls them, which we are not; this module has the other one's memory for its own."""
