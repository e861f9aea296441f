"""WebAssembly servers for tests, compiled when first needed and kept in pytest's cache until their source changes."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "wasm"
ODD = ROOT / "tests" / "tools" / "wasm_odd.c"


def builder() -> ModuleType:
    """`examples/wasm/build.py`."""
    spec = importlib.util.spec_from_file_location("examples_wasm_build", EXAMPLES / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(config: pytest.Config, source: Path, build: Callable[[Path, Path], None]) -> Path:
    """The module of a source file."""
    parts = (source, EXAMPLES / "c" / "mcp.h", EXAMPLES / "build.py")
    print_ = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:16]
    module = config.cache.mkdir("wasm") / f"{source.stem}-{print_}.wasm"
    if not module.exists():
        part = module.with_suffix(".part")
        build(source, part)
        part.replace(module)
    return module
