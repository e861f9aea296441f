"""What Caxton and the process that runs a WebAssembly server say to each other: values, in frames of bytes.

A frame is its length in four bytes, the most significant first, and a value in MessagePack.
"""

from enum import StrEnum

import msgspec

HEADER = 4
LONGEST = 268_435_456
"""Bytes of a frame; a process that announces more is not one of ours any more."""


class Budget(msgspec.Struct, frozen=True, array_like=True):
    """What one exchange may cost: units of fuel (0: not counted), seconds by the clock, bytes written."""

    fuel: int
    seconds: float
    output: int


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What an exchange did cost: fuel (0 where not counted), seconds, bytes written; and the instance's memory, in
    bytes, which never shrinks. Of one that was interrupted, the fuel is what it had used at its last call."""

    fuel: int = 0
    seconds: float = 0.0
    output: int = 0
    memory: int = 0


class Directory(msgspec.Struct, frozen=True, array_like=True):
    """A directory that the module may use, under the name by which it sees it."""

    host: str
    guest: str
    writable: bool


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag="setup", array_like=True):
    """The first frame: which module, and what its instances may see. `memory` is in bytes, for each of them.

    `sha256` is the module's; another one is refused. `cache` is a directory for compiled modules, empty for none.
    """

    module: str
    sha256: str
    cache: str
    metered: bool
    memory: int
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    directories: tuple[Directory, ...] = ()


class Open(msgspec.Struct, frozen=True, tag="open", array_like=True):
    """Start an instance. It runs on the budget until it asks for input for the first time: then it is `Settled`."""

    instance: int
    budget: Budget


class Feed(msgspec.Struct, frozen=True, tag="feed", array_like=True):
    """Give an instance input. It runs on the budget until it asks for more than that: then it is `Settled`."""

    instance: int
    data: bytes
    budget: Budget


class Close(msgspec.Struct, frozen=True, tag="close", array_like=True):
    """End an instance, wherever it is. `Ended` follows."""

    instance: int


class Ready(msgspec.Struct, frozen=True, tag="ready", array_like=True):
    """The module can be run; it took so many seconds, from the cache or not."""

    seconds: float
    cached: bool


class Refused(msgspec.Struct, frozen=True, tag="refused", array_like=True):
    """The module cannot be run; the process ends."""

    why: str


class Said(msgspec.Struct, frozen=True, tag="said", array_like=True):
    """A line that an instance wrote to standard output, without its end."""

    instance: int
    line: bytes


class Muttered(msgspec.Struct, frozen=True, tag="muttered", array_like=True):
    """A line that an instance wrote to standard error."""

    instance: int
    line: bytes


class Settled(msgspec.Struct, frozen=True, tag="settled", array_like=True):
    """An instance waits for input."""

    instance: int
    usage: Usage


class End(StrEnum):
    """Why an instance ended. `fault` is one of ours."""

    EXIT = "exit"
    TRAP = "trap"
    FUEL = "fuel"
    TIME = "time"
    OUTPUT = "output"
    STACK = "stack"
    CLOSED = "closed"
    FAULT = "fault"


class Ended(msgspec.Struct, frozen=True, tag="ended", array_like=True):
    """An instance is gone. `detail` has the exit status or the trap's words; nothing more of it follows."""

    instance: int
    end: End
    detail: str
    usage: Usage


Order = Setup | Open | Feed | Close
News = Ready | Refused | Said | Muttered | Settled | Ended

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_news: msgspec.msgpack.Decoder[News] = msgspec.msgpack.Decoder(News)


def frame(value: Order | News) -> bytes:
    data = _encoder.encode(value)
    return len(data).to_bytes(HEADER, "big") + data


def order(data: bytes) -> Order:
    return _orders.decode(data)


def news(data: bytes) -> News:
    """msgspec.DecodeError where it is none."""
    return _news.decode(data)
