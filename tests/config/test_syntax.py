"""Files that are no TOML: the mistake is shown where it was made, with its remedy."""

import pytest
from support.marked import assert_told, read_marked

from caxton.config.agent_file import diagnose
from caxton.domain.agent import Source

HEAD = 'name = "helper"\nsystem_prompt = "You help."\n'
BROKEN = {
    "quote not closed": 'name = "helper\n              ^ toml_syntax: A quote is not closed\nsystem_prompt = "x"\n',
    "single quote not closed": HEAD
    + "author = 'me\n            ^ toml_syntax: A quote is not closed\nlicense = 'MIT'\n",
    "the last single quote not closed": HEAD
    + "author = 'me\n         ^ toml_syntax: A quote is not closed\ntags = []\n",
    "quote not closed in the last line": HEAD
    + 'author = "me\n            ^ toml_syntax: A quote is not closed\ntags = []',
    "quote not closed at the end of the file": HEAD + 'author = "me\n         ^ toml_syntax: A quote is not closed',
    "triple quote not closed": HEAD
    + 'description = """one\n              ^^^ toml_syntax: A quote is not closed\ntwo\n\n[llm]\nmodel = "x"\n',
    "triple quote not closed after one that is": HEAD
    + "description = '''one'''\nauthor = '''two\n         ^^^ toml_syntax: not closed\nthree\n",
    "triple quote closed by an escaped one": HEAD
    + 'description = """one\n              ^^^ toml_syntax: A quote is not closed\n\\"""\n',
    "triple quote not closed in a list": HEAD
    + 'tags = ["a", """b]\n             ^^^ toml_syntax: A quote is not closed\n[llm]\n',
    "no equals sign": 'name "helper"\n     ^ toml_syntax: with an equals sign\n',
    "YAML": 'name: "helper"\n    ^ toml_syntax: TOML writes `key = value`\n',
    "JSON": '{"name": "helper"}\n^ toml_syntax: TOML writes `key = value`\n',
    "a document's first line": "---\n   ^ toml_syntax: with an equals sign\nname: helper\n",
    "prose": "You are a helpful agent.\n    ^ toml_syntax: with an equals sign\n",
    "no value": "name = \n       ^ toml_syntax: Give 'name' a value\n",
    "no value but a comment": "name = # later\n       ^ toml_syntax: Give 'name' a value\nsystem_prompt = \"x\"\n",
    "no key": HEAD + "= 3\n^ toml_syntax: A key is missing\n",
    "a key of two words": HEAD + 'full name = "x"\n     ^ toml_syntax: a key has no spaces\n',
    "text without quotes": 'name = helper\n       ^ toml_syntax: name = "helper"\n',
    "text of several words without quotes": HEAD
    + 'description = Helps you\n              ^ toml_syntax: = "Helps you"\n',
    "smart quotes": HEAD + "author = \u201cme\u201d\n         ^ toml_syntax: straight quotes\n",
    "a version without quotes": HEAD + 'version = 1.0.0\n             ^ toml_syntax: version = "1.0.0"\n',
    "a duration without quotes": HEAD
    + '[resources]\nmax_execution_time = 60s\n                       ^ toml_syntax: = "60s"\n',
    "a date that does not exist": HEAD + "author = 2026-02-30\n         ^ toml_syntax: Invalid date\n",
    "Python's True": HEAD + "[memory]\nenabled = True\n          ^ toml_syntax: TOML writes true\n",
    "a number that begins with its point": HEAD
    + "[llm]\ntemperature = .5\n              ^ toml_syntax: digits on both\n",
    "a number that ends with its point": HEAD + "[llm]\ntop_p = 1.\n         ^ toml_syntax: digits on both sides\n",
    "a number with zeros in front": HEAD + "[llm]\nmax_tokens = 007\n              ^ toml_syntax: no zeros in front\n",
    "a number with two underscores": HEAD + "[llm]\nseed = 1__0\n        ^ toml_syntax: of each underscore\n",
    "a backslash": HEAD + 'description = "C:\\data"\n                   ^ toml_syntax: write two of them\n',
    "half an escape": HEAD + 'description = "\\u12"\n                 ^ toml_syntax: write two of them\n',
    "a table header not closed": HEAD + "[llm\n    ^ toml_syntax: Expected ']'\nseed = 1\n",
    "a list of tables not closed": HEAD + "[[llm]\n     ^ toml_syntax: Expected ']]'\n",
    "a header closed twice": HEAD + "[llm]]\n     ^ toml_syntax: one [table]\n",
    "a header without a name": HEAD + "[]\n ^ toml_syntax: Invalid initial character\n",
    "a header and a key in one line": HEAD + '[llm] model = "x"\n      ^ toml_syntax: stands in a line\n',
    "two keys in one line": HEAD + 'author = "x" license = "y"\n             ^ toml_syntax: stands in a line\n',
    "quotes within quotes": HEAD
    + 'author = "He said "hi""\n                   ^ toml_syntax: a quote within text is written \\"\n',
    "a list not closed": HEAD + 'tags = ["a", "b"\nauthor = "me"\n^ toml_syntax: the bracket that closes it\n',
    "a list not closed at the end": HEAD + "tags = [\n        ^ toml_syntax: the bracket that closes it\n\n\n",
    "a list without a comma": HEAD + 'tags = ["a" "b"]\n            ^ toml_syntax: A comma\n',
    "a list with two commas": HEAD + 'tags = ["a",, "b"]\n            ^ toml_syntax: Invalid value\n',
    "an inline table not closed": HEAD + 'llm = {model = "x"\n                  ^ toml_syntax: Unclosed inline table\n',
    "a byte order mark in the text": "\ufeffname = 1\n^ toml_syntax: byte order mark\n",
    "a key twice": HEAD + 'name = "other"\n^^^^ toml_syntax: in line 1 already\nauthor = "me"\n',
    "a key twice over several lines": HEAD
    + 'system_prompt = """\n^^^^^^^^^^^^^ toml_syntax: in line 2 already\none\ntwo\n"""\ntags = []\n',
    "a key twice in a table": HEAD + '[llm]\nmodel = "a"\n model = "b"\n ^^^^^ toml_syntax: in line 4 already\n',
    "a key twice in an inline table": HEAD
    + 'llm = {model = "a", model = "b"}\n                    ^^^^^ toml_syntax: Duplicate\n',
    "a key that is quoted the second time": HEAD + '"name" = "other"\n^^^^^^ toml_syntax: in line 1 already\n',
    "a table twice": HEAD + "[llm]\nseed = 1\n[memory]\n[llm]\n ^^^ toml_syntax: in line 3 already\nseed = 2\n",
    "a table that is a value": HEAD + 'llm = {model = "x"}\n[llm]\n ^^^ toml_syntax: Cannot declare [llm] twice\n',
    "a list of tables that is a value": HEAD + "tags = []\n[[tags]]\n  ^^^^ toml_syntax: in line 3 already\n",
    "a value that is a table": HEAD + "llm.seed = 1\nllm = 2\n^^^ toml_syntax: in line 3 already\n",
    "a key twice and more that is wrong": HEAD
    + 'name = "a"\n^^^^ toml_syntax: in line 1 already\n[[\n"\\q" = \'\nx = [[[\n',
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("marked", BROKEN.values(), ids=BROKEN.keys())
def test_a_syntax_error_is_shown_where_it_was_made(marked, newline):
    text, marks = read_marked(marked)
    assert len(marks) == 1
    assert_told(diagnose(Source(path="a.toml", text=text.replace("\n", newline)), providers=["local"]), marks)


def test_a_tab_before_the_mistake_stays_a_tab_below_it():
    (problem,) = diagnose(Source(path="a.toml", text="\tname = helper\n"), providers=[])
    assert problem.render().splitlines()[1:3] == [" 1 | \tname = helper", "   | \t       ^"]


@pytest.mark.parametrize("control", ["\x1b", "\x7f", "\x00", "\x0c"])
def test_a_control_character_is_shown_as_one_that_no_terminal_obeys(control):
    (problem,) = diagnose(Source(path="a.toml", text=f'{HEAD}author = "a{control}[2J"\n'), providers=[])
    assert (problem.code, problem.line, problem.column) == ("toml_syntax", 3, 12)
    assert problem.source == 'author = "a\N{REPLACEMENT CHARACTER}[2J"'
    assert repr(control) in problem.message
    assert control not in problem.render()


def test_tables_that_nest_too_deeply_are_told_of_without_a_place():
    (problem,) = diagnose(Source(path="a.toml", text="x = " + "[" * 5000), providers=[])
    assert (problem.code, problem.line, problem.message) == ("toml_syntax", 0, "tables or lists nest too deeply")


@pytest.mark.parametrize(
    "line", ["api_key = sk-1234", 'API-KEY = "sk-1234', "'api_key' = x y", 'password = "hunter2', "access_token = abc"]
)
def test_a_line_with_a_secret_is_not_shown_though_it_is_wrong(line):
    (problem,) = diagnose(Source(path="a.toml", text=HEAD + line + "\n"), providers=[])
    assert (problem.code, problem.line, problem.source, problem.hint) == ("toml_syntax", 3, "", "")
    assert not any(secret in problem.render() for secret in ("sk-1234", "hunter2", "abc", "x y"))
