"""Builds the example servers: `python examples/wasm/build.py [FOLDER]` (or `make wasm`), into `dist/wasm` by default.

C is compiled by Zig's compiler, which comes as a Python package (`ziglang`); at first it builds its C library too,
and takes a minute. Rust is built where there is a `rustc` with the standard library for WASI: with rustup
`rustup target add wasm32-wasip1`, on Debian and Ubuntu `apt-get install rustc libstd-rust-dev-wasm32 lld`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUST_TARGETS = ("wasm32-wasip1", "wasm32-wasi")
"""The newer and the older name of the same thing."""


def build_c(source: Path, module: Path) -> None:
    """Compile one C file, with a stack of 64 KiB instead of 16 MiB: most of a small instance would be stack."""
    options = ["-target", "wasm32-wasi", "-Oz", "-s", "-Wall", "-Wextra", "-Wno-unused-function", f"-I{HERE / 'c'}"]
    compiler = [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*compiler, *options, "-Wl,-z,stack-size=65536", "-o", str(module), str(source)], check=True)


def find_rust() -> tuple[str, str] | None:
    """A compiler and a target for which it has the standard library; None where there is none."""
    for compiler in dict.fromkeys(filter(None, (shutil.which("rustc"), shutil.which("rustc", path="/usr/bin")))):
        for target in RUST_TARGETS:
            asked = [compiler, "--print", "target-libdir", "--target", target]
            told = subprocess.run(asked, capture_output=True, text=True, check=False)
            if told.returncode == 0 and any(Path(told.stdout.strip()).glob("libstd-*")):
                return compiler, target
    return None


def build_rust(source: Path, module: Path, compiler: str, target: str) -> None:
    """Compile one Rust file that needs nothing but the standard library."""
    options = ["--edition", "2021", "--target", target, "-O", "-C", "strip=symbols", "-C", "panic=abort"]
    if compiler == "/usr/bin/rustc" and (linker := shutil.which("wasm-ld")):
        # Debian's compiler comes without the linker that rustup's brings along.
        options += ["-C", f"linker={linker}"]
    subprocess.run([compiler, *options, "-o", str(module), str(source)], check=True)


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    build_c(HERE / "c" / "text.c", folder / "text.wasm")
    print(folder / "text.wasm")
    if rust := find_rust():
        build_rust(HERE / "rust" / "units.rs", folder / "units.wasm", *rust)
        print(folder / "units.wasm")
    else:
        print("There is no rustc with WASI here: units.wasm is left out. See the top of examples/wasm/build.py.")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist/wasm")))
