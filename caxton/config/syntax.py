"""What is meant by a text that is no TOML: where the mistake is, which is not always where it shows, and its remedy."""

import ast
import re

import tomli

from caxton.config.codes import Problem
from caxton.config.excerpt import SECRET, point
from caxton.config.places import Places
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic

TWICE = ("Cannot declare", "Cannot overwrite", "Cannot redefine", "Cannot mutate", "Duplicate")
OPEN = ("Unterminated string", 'Expected "\'"', "Expected \"'''\"")
"""What the parser says at the end of the text of a string that was not closed; see `syntax_error`."""
UNCLOSED = (*OPEN, "Illegal character '\\n'", "Found invalid character '\\n'")
UNQUOTED = re.compile(r"[\w.:+-]+")
NUMBER = re.compile(r"(?=.*[0-9])[+-]?[0-9_]*\.?[0-9_]*")


def syntax_error(source: Source, error: tomli.TOMLDecodeError) -> Diagnostic:
    """The parser's complaint as a diagnostic. It is looked for where the mistake began, not where it was noticed."""
    text, length = error.doc, 1
    offset = min(error.pos, len(text))  # where the text ends with a backslash, the parser is beyond it
    if not text[offset:].strip(" \t\n") and not _line(text, offset).strip(" \t"):
        # Something was still to come at the end of the file: after what stands there last.
        offset = len(text.rstrip(" \t\n"))
    line = _line(text, offset)
    words, hint = error.msg, _hint(line, error.msg)
    if words.startswith(TWICE):
        # The parser knows of it only at the end of the statement.
        offset, length, before = Places(text).repeated(offset)
        place = f"in line {before}" if before else "before"
        words, hint = _tables(words), f"It stands there {place} already; keep one of the two."
    elif words.startswith(OPEN):
        offset, length = _opening(text, offset)
        words = "Unterminated string"
    return point(
        source.path,
        text,
        offset,
        code=Problem.TOML_SYNTAX,
        message=f"this is not TOML: {words}",
        length=length,
        hint="" if SECRET.search(line[:1000]) else hint,
    )


def _line(text: str, offset: int) -> str:
    return text[text.rfind("\n", 0, offset) + 1 :].partition("\n")[0]


def _opening(text: str, end: int) -> tuple[int, int]:
    """Where the string that is open at the end of the text begins, and how long its quotes are; `end` if in doubt."""
    for quotes in ('"""', "'''", '"', "'"):
        begin = text.rfind(quotes)
        while begin > 0 and quotes[0] == '"' and text[begin - 1] == "\\":
            begin = text.rfind(quotes, 0, begin)
        if begin >= 0 and _ends_well(text[:begin] + quotes[0] * 2):
            return begin, len(quotes)
    return end, 1


def _ends_well(text: str) -> bool:
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        return error.msg.startswith("Unclosed")
    return True


def _tables(words: str) -> str:
    """The parser's words with its Python tuples as table headers."""
    return re.sub(r"\(.*\)", lambda match: f"[{'.'.join(ast.literal_eval(match[0]))[:60]}]", words, flags=re.DOTALL)


def _hint(line: str, problem: str) -> str:
    """What most often is meant by a line that does not parse."""
    key, equals, value = (part.strip() for part in line.partition("="))
    value = value.partition("#")[0].strip()[:60]
    after = problem.startswith("Expected newline")
    if line.startswith("\ufeff"):
        return "The text begins with a byte order mark; save it as UTF-8 without one."
    if problem.startswith(UNCLOSED):
        return 'A quote is not closed; text over several lines stands in """ … """.'
    if problem.startswith("Unclosed") or value[-1:] in ("[", "{"):
        return "A comma, or the bracket that closes it, is missing at this place or before."
    if problem.startswith(("Unescaped", "Invalid hex")):
        return "For a backslash write two of them, or put the text into single quotes."
    if not equals and (":" in line or problem.startswith("Expected '='")):
        return "TOML writes `key = value`, with an equals sign."
    if problem.startswith("Expected '='"):
        return f"{key[:60]!r} is no key: a key has no spaces in it, and an equals sign after it."
    if not key and equals:
        return "A key is missing before the equals sign."
    if equals and not value:
        return f"Give {key[:60]!r} a value, or remove the line."
    if value[:1] in ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "«", "»"):
        return "Text stands in straight quotes: \" or '."
    if value.lower() in ("true", "false"):
        return f"TOML writes {value.lower()}, in small letters."
    if value.count(".") < 2 and NUMBER.fullmatch(value):
        return "A number has no zeros in front, and digits on both sides of its point and of each underscore."
    if (after and UNQUOTED.fullmatch(value)) or (problem == "Invalid value" and value[:1].isalpha()):
        return f'Text stands in quotes: {key} = "{value}"'
    if after and value[:1] == '"':
        return 'One `key = value` stands in a line; a quote within text is written \\".'
    return "One `key = value`, or one [table], stands in a line." if after else ""
