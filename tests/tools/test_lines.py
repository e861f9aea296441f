"""Lines of a stream, however it is cut into pieces."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from caxton.tools import lines as lines_module
from caxton.tools.lines import EDGE, Line, read_lines


async def read(pieces: list[bytes], longest: int) -> list[Line]:
    reader = asyncio.StreamReader()
    found = []

    async def take() -> None:
        async for line in read_lines(reader, longest):
            found.append(line)  # noqa: PERF401 - a comprehension would lose what came before an error

    taking = asyncio.create_task(take())
    for piece in pieces:
        reader.feed_data(piece)
        await asyncio.sleep(0)
    reader.feed_eof()
    await taking
    return found


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_come_whole_however_they_are_cut(pieces, data):
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert [line.head for line in asyncio.run(read(pieces, 1_000))] == expected


async def test_of_a_line_that_is_too_long_the_ends_are_kept(monkeypatch):
    monkeypatch.setattr(lines_module, "CHUNK", 1_000)
    long = b"<" + b"x" * 100_000 + b">"
    short, cut, last = await read([b"a\n", *[long[i : i + 700] for i in range(0, len(long), 700)], b"\nb\n"], 5_000)
    assert (short.head, last.head) == (b"a", b"b")
    assert not cut.whole
    assert cut.head == long[:EDGE]
    assert cut.tail == long[-EDGE:]
    assert cut.dropped == len(long) - 2 * EDGE


async def test_a_line_of_just_the_allowed_length_is_whole():
    assert [line.whole for line in await read([b"x" * 2_000 + b"\n" + b"x" * 2_001 + b"\n"], 2_000)] == [True, False]
