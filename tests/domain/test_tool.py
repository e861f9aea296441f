"""Names and results of tools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.tool import ImagePart, ResourcePart, TextPart, ToolCall, ToolName, ToolResult


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True), st.text(min_size=1, max_size=20))
def test_a_name_survives_being_written(server, tool):
    name = ToolName(server, tool)
    assert ToolName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["", "files", "files.", ".read", "Files.read", "a b.c"])
def test_what_is_no_name_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(CaxtonError) as caught:
        ToolName.parse(text)
    assert caught.value.code is Code.TOOL_NOT_FOUND
    assert "server.tool" in caught.value.hint


@given(st.text(min_size=1, max_size=200))
def test_models_get_names_that_they_can_take(tool):
    function = ToolName("files", tool).function
    assert 0 < len(function) <= 64
    assert all(c.isascii() and (c.isalnum() or c in "_-") for c in function)


CALL = ToolCall(id="1", tool=ToolName("files", "read"))


def test_a_result_reads_as_its_texts_and_names_what_is_none():
    link, enclosed = ResourcePart(uri="x:y", title="Y"), ResourcePart(uri="z", text="b")
    parts = (TextPart("a"), ImagePart("AAAA", "image/png"), link, enclosed)
    result = ToolResult(call="1", tool=CALL.tool, content=parts)
    assert result.text() == "a\n[image/png, 3 bytes]\n[Y: x:y]\nb"


def test_a_result_without_texts_reads_as_its_structure():
    assert ToolResult(call="1", tool=CALL.tool, structured={"n": 1}).text() == '{"n":1}'


def test_a_refused_call_reads_as_what_to_do_now():
    result = ToolResult.refused(CALL, CaxtonError(Code.TOOL_TIMEOUT, "Too slow.", why="stuck", hint="Ask for less."))
    assert result.failed
    assert result.text() == "Too slow. stuck Ask for less."
