"""TOML of whatever kind: nothing crashes, every problem lies within the file, and what is written is what is read."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caxton.config.agent_file import AgentFile, diagnose, load_definition
from caxton.config.settings import diagnose_settings
from caxton.config.source import read_source
from caxton.config.toml import parse
from caxton.domain.agent import AgentDefinition, LlmOptions, ResourceLimits, Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError

VALID = """\
# A typical file.
name = "data-analyst"
version = "1.2.0"
description = 'Zoë\\'s "analyst"'
system_prompt = \"\"\"
You analyse.
  * be exact
\"\"\"
capabilities = ["data-analysis", "charts:v2"]
user_prompt_template = "{{request}} in {{language}}"
tags = [
    "a", # one
    "b",
]

[llm]
model = "x"
temperature = 0.3
"quoted" = { a = [1, 2], "b c" = 1979-05-27 }

[parameters]
language = "日本語"

[[extra]]
x.y = true
[[extra]]
"""
PIECES = [
    *"\n\r\t =.,[]{}'\"#\\:-_0129azé日\x00\x7f\ud83d\u202e\ufeff",
    '"""',
    "'''",
    "\\u",
    "\\e",
    "{{x}}",
    "[[",
    "]]",
]
WORDS = [*PIECES, "name", "llm", "[llm]\n", "model = 1\n", "system_prompt", "true", "1e9", "2026-01-02", "api_key"]


def assert_within(source: Source, diagnostics: list[Diagnostic]) -> None:
    """Every problem is at a character of the text, or just behind a line, or of the whole."""
    lines = source.text.split("\n")
    for one in diagnostics:
        assert one.render()
        assert one.length >= 1
        if one.line == 0:
            assert one.column == 0
            continue
        line = lines[one.line - 1]
        assert 1 <= one.column <= len(line) + 1
        assert one.column + one.length - 1 <= max(len(line), one.column)
        assert one.source == "" or len(line[:1000].rstrip("\r")) <= len(one.source) <= len(line)
        one.render().encode()  # fit to be sent and logged


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("any") / "agent.toml"


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(WORDS)).map(lambda some: "".join(some).encode("utf-8", "replace"))
)
def test_no_bytes_make_reading_a_file_fail_otherwise_than_by_its_problems(file, data):
    file.write_bytes(data)
    try:
        source = read_source(file)
        problems = diagnose(source, providers=["local"])
    except ConfigurationError as error:
        source = Source(path=str(file), text=data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace"))
        problems = list(error.diagnostics)
    assert_within(source, problems)
    assert any(problem.is_error for problem in problems)


@settings(max_examples=300)
@given(st.text(st.characters()) | st.lists(st.sampled_from(WORDS), max_size=30).map("".join))
@example("x = " + "9" * 5000)
@example('[a]\n[a]\n[[\n"\\q" = \'\n')
@example('name = "a"\nname = "b"\n"\\q" = [')
@example("a = {b = 1, b = ")
def test_every_problem_of_any_text_lies_within_it(text):
    source = Source(path="a.toml", text=text)
    problems = diagnose(source, providers=["local"])
    assert any(problem.is_error for problem in problems) or load_definition(source, providers=["local"])
    assert_within(source, problems)
    assert_within(source, diagnose_settings(source, kinds=["local"]))


@settings(max_examples=300)
@given(st.data())
def test_every_problem_of_a_file_with_a_slip_in_it_lies_within_it(data):
    text = data.draw(st.sampled_from([VALID, VALID.replace("\n", "\r\n")]))
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 20)))
    slip = data.draw(st.lists(st.sampled_from(WORDS), max_size=3).map("".join))
    source = Source(path="a.toml", text=text[:begin] + slip + text[end:])
    assert_within(source, diagnose(source, providers=["local"]))


@settings(max_examples=200)
@given(st.data())
def test_a_line_that_is_repeated_is_found_again_or_not_noticed(data):
    lines = VALID.split("\n")
    again = data.draw(st.sampled_from(lines))
    lines.insert(data.draw(st.integers(0, len(lines))), again)
    source = Source(path="a.toml", text="\n".join(lines))
    assert_within(source, diagnose(source, providers=["local"]))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=50)
NAME = st.from_regex(r"[a-z0-9]{3,10}(-[a-z0-9]{1,10}){0,3}", fullmatch=True)
WORD = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*(:v[1-9][0-9]{0,8})?", fullmatch=True)
DEFINITIONS = st.builds(
    AgentDefinition,
    name=NAME,
    system_prompt=TEXT.filter(str.strip),
    version=st.from_regex(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.[1-9](-rc\.[1-9])?", fullmatch=True),
    description=TEXT,
    capabilities=st.lists(WORD, max_size=3).map(tuple),
    requires=st.lists(WORD, max_size=3).map(tuple),
    llm_providers=st.sampled_from([(), ("local",)]),
    llm=st.builds(
        LlmOptions,
        model=TEXT,
        temperature=st.floats(0, 2),
        top_p=st.floats(0.01, 1),
        max_tokens=st.integers(1, 2**63 - 1),
        stop=st.lists(TEXT, max_size=16).map(tuple),
        seed=st.integers(-(2**63), 2**63 - 1),
    ),
    user_prompt_template=TEXT.map(lambda text: text.replace("{{", "") + "{{request}}"),
    parameters=st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(
            lambda name: name not in ("request", "context", "timestamp")
        ),
        TEXT,
        max_size=3,
    ),
    resources=st.builds(ResourceLimits, max_execution_time=st.floats(0.001, 86400), memory=st.integers(1, 2**62)),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    author=TEXT,
)


def written(definition: AgentDefinition, multiline: bool) -> str:
    """The definition as a TOML file."""
    data = {**msgspec.to_builtins(definition), "llm_provider": list(definition.llm_providers) or None}
    known = {key: value for key, value in data.items() if key in AgentFile.model_fields}
    return tomli_w.dumps(without_none(known), multiline_strings=multiline)


def without_none(value: dict[str, Any]) -> dict[str, Any]:
    """TOML has no word for nothing: such keys are left out."""
    return {
        key: without_none(inner) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if inner is not None
    }


@settings(max_examples=50)
@given(DEFINITIONS, st.booleans())
def test_a_definition_written_as_toml_is_read_back_the_same(definition, multiline):
    text = written(definition, multiline)
    loaded = load_definition(Source(path="a.toml", text=text), providers=["local"])
    assert loaded.definition == definition
    assert loaded.source.text == text
    assert_within(loaded.source, list(loaded.warnings))


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "0x8000000000000000"])
@pytest.mark.parametrize("where", ["x = {}", "x = [1, {}]", "[a.b]\nc = {}", "[[a]]\n[[a]]\nx = {}"])
def test_a_whole_number_beyond_64_bits_is_shown_wherever_it_stands(number, where):
    text = where.format(number)
    with pytest.raises(ConfigurationError) as failure:
        parse(Source(path="a.toml", text=text))
    (problem,) = failure.value.diagnostics
    line = text.split("\n")[problem.line - 1]
    assert problem.code == "invalid_value"
    assert line[problem.column - 1 :][: problem.length] == number


def test_whole_numbers_of_64_bits_are_read():
    data = parse(Source(path="a.toml", text="a = 9223372036854775807\nb = -9223372036854775808\n"))
    assert data == {"a": 2**63 - 1, "b": -(2**63)}


def test_a_number_too_long_to_be_read_is_shown_too():
    with pytest.raises(ConfigurationError) as failure:
        parse(Source(path="a.toml", text=f"a = 1\nb = 1{'_0' * 5000}\n"))
    (problem,) = failure.value.diagnostics
    assert (problem.code, problem.line, problem.column) == ("invalid_value", 2, 5)


def test_half_a_character_is_refused_before_it_is_met_by_a_database():
    with pytest.raises(ConfigurationError) as failure:
        parse(Source(path="a.toml", text='a = 1\nb = "x\ud83d"\n'))
    (problem,) = failure.value.diagnostics
    assert (problem.code, problem.line, problem.column) == ("encoding", 2, 7)
    assert problem.source == 'b = "x\N{REPLACEMENT CHARACTER}"'


PLACEHOLDERS = "".join(f"{{{{p{number}}}}}" for number in range(10_000))
HOSTILE = {
    "unknown keys": "".join(f"k{number} = 1\n" for number in range(20_000)),
    "numbers of the wrong type": f"tags = [{'1,' * 50_000}]",
    "numbers too great": f"tags = [{'99999999999999999999,' * 10_000}]",
    "placeholders": f'user_prompt_template = "{PLACEHOLDERS}"',
    "a key of many parts": f"{'.'.join('a' * 100_000)} = 1",
    "a key of some hundred parts": f"{'.'.join('a' * 900)} = 1",
    "lists of tables": "[[k]]\n" * 30_000,
    "quotes": "x = '''" + "'' " * 50_000,
    "one line": "x = 1 " * 50_000,
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_takes_no_time_and_tells_no_more_than_anybody_reads(text):
    source = Source(path="a.toml", text=text)
    problems = diagnose(source, providers=["local"])
    assert 1 <= len(problems) <= 200
    assert sum(len(problem.render()) for problem in problems) < 500_000
    assert_within(source, problems)
