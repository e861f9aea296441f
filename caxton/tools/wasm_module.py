"""WebAssembly modules, looked at before they are taken. Nothing of a module is run here.

Read by WebAssembly 1.0, chapter 5 (binary format): the sections for types, imports, memories and exports, as far as
they tell what a module wants. Whether its code is valid is found out when it is compiled, in its own process.
"""

import base64
import hashlib
import re
from pathlib import Path

import msgspec

from caxton.domain.errors import CaxtonError, Code

MAGIC = b"\0asm\x01\0\0\0"
COMPONENT = b"\0asm\x0d\0\x01\0"
WASI = "wasi_snapshot_preview1"
FUNCTIONS = re.compile(
    "(args|environ)_(get|sizes_get)|clock_(res|time)_get|poll_oneoff|proc_(exit|raise)|random_get|sched_yield"
    "|fd_(advise|allocate|close|datasync|p?read|p?write|readdir|renumber|seek|sync|tell|prestat_(get|dir_name))"
    "|fd_(fdstat_(get|set_flags|set_rights)|filestat_(get|set_size|set_times))"
    "|path_(create_directory|filestat_(get|set_times)|link|open|readlink|remove_directory|rename|symlink|unlink_file)"
    "|sock_(accept|recv|send|shutdown)"
)
"""What WASI preview 1 has."""

_IMPORT, _MEMORY, _EXPORT = 2, 5, 7
_FUNCTION_KIND, _MEMORY_KIND = 0, 2
_KINDS = {0: "function", 1: "table", 2: "memory", 3: "global", 4: "tag"}
_MOST_ITEMS = 10_000


class ModuleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a module is: bytes, SHA-256 in hexadecimal, the WASI functions it uses, its memory at the start in bytes."""

    size: int
    sha256: str
    imports: tuple[str, ...]
    memory: int


def check_module(data: bytes, *, max_bytes: int, sha256: str = "") -> ModuleFacts:
    """The facts of a module that may be taken: a WASI command of an allowed size, and the pinned one if there is a pin.

    CaxtonError `tool_server_unavailable` where it is not.
    """
    if len(data) > max_bytes:
        raise _refusal(f"it has {len(data)} bytes, more than the {max_bytes} allowed", "Raise `max_module_bytes`.")
    if data.startswith(COMPONENT):
        raise _refusal("it is a component", "Build a core module for WASI preview 1 (wasm32-wasi, wasm32-wasip1).")
    if not data.startswith(MAGIC):
        raise _refusal(f"it begins with {data[:8]!r}, not with {MAGIC!r}", "Give a binary .wasm file.")
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256.lower():
        raise _refusal(f"its SHA-256 is {found}, expected {sha256}", "If the change is wanted, change `sha256`.")
    try:
        imports, memory = _wants(data)
    except (IndexError, UnicodeDecodeError) as error:
        raise _refusal("its sections cannot be read", "Build it anew; the file is damaged.") from error
    return ModuleFacts(size=len(data), sha256=found, imports=imports, memory=memory)


def check_signature(data: bytes, signature: bytes, public_key: str) -> None:
    """CaxtonError `tool_server_unavailable` where `signature` is not by the owner of the key (Ed25519, RFC 8032)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True)).verify(signature, data)
    except ValueError as error:
        raise _refusal(f"the public key {public_key!r} is none", "Give the key's 32 bytes in base64.") from error
    except InvalidSignature as error:
        raise _refusal("its signature does not fit", "Sign the module that is there, or do not use it.") from error


def take_module(
    data: bytes, folder: Path, *, max_bytes: int, sha256: str = "", public_key: str = "", signature: bytes = b""
) -> tuple[Path, ModuleFacts]:
    """Check a module that somebody sent, and keep it under its hash in `folder`; its path and facts."""
    facts = check_module(data, max_bytes=max_bytes, sha256=sha256)
    if public_key:
        check_signature(data, signature, public_key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{facts.sha256}.wasm"
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)
    return path, facts


def _refusal(why: str, hint: str) -> CaxtonError:
    return CaxtonError(
        Code.TOOL_SERVER_UNAVAILABLE, "The WebAssembly module cannot be used.", why=why, hint=f"{hint} See the guide."
    )


def _wants(data: bytes) -> tuple[tuple[str, ...], int]:
    """The names of the imported functions, and the memory at the start in bytes."""
    reader = _Reader(data, len(MAGIC))
    names: list[str] = []
    exported: dict[str, int] = {}
    memory = 0
    while reader.at < len(data):
        section, size = reader.byte(), reader.number()
        end = reader.at + size
        if end > len(data):
            raise IndexError(end)
        if section == _IMPORT:
            names = [_imported(reader) for _ in range(reader.count())]
        elif section == _MEMORY and reader.count():
            memory = _memory(reader)
        elif section == _EXPORT:
            for _ in range(reader.count()):
                name, kind = reader.name(), reader.byte()
                reader.number()
                exported[name] = kind
        reader.at = end
    for name, kind in (("_start", _FUNCTION_KIND), ("memory", _MEMORY_KIND)):
        if exported.get(name) != kind:
            raise _refusal(f"it exports no {_KINDS[kind]} {name!r}", "Build a WASI command, with a `main`.")
    return tuple(names), memory


def _imported(reader: "_Reader") -> str:
    module, name, kind = reader.name(), reader.name(), reader.byte()
    if kind != _FUNCTION_KIND or module != WASI or not FUNCTIONS.fullmatch(name):
        what = _KINDS.get(kind, "thing")
        raise _refusal(
            f"it imports the {what} {module[:100]!r}.{name[:100]!r}", f"Only functions of {WASI!r} are there for it."
        )
    reader.number()
    return name


def _memory(reader: "_Reader") -> int:
    flags = reader.byte()
    if flags not in (0, 1):
        raise _refusal("its memory is shared or has 64-bit addresses", "Build it for wasm32 without threads.")
    return reader.number() * 65_536


class _Reader:
    """Goes through a module. IndexError at its end."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def byte(self) -> int:
        value = self._data[self.at]
        self.at += 1
        return value

    def number(self) -> int:
        """An unsigned integer in LEB128, of 32 bits."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise IndexError(self.at)

    def count(self) -> int:
        count = self.number()
        if count > _MOST_ITEMS:
            raise IndexError(count)
        return count

    def name(self) -> str:
        size = self.number()
        if self.at + size > len(self._data):
            raise IndexError(self.at)
        start, self.at = self.at, self.at + size
        return self._data[start : self.at].decode()
