"""Agent files that are none, each with what is to be said of it: code, line, column. No position: the file as a whole.

The agent that they would define is `victim`.
"""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HEAD = 'name = "victim"\nsystem_prompt = "You help."\n'


class Bad(NamedTuple):
    """The content of a file, and the first thing that is wrong with it."""

    data: bytes
    code: str
    line: int = 0
    column: int = 0


def _bad(text: str, code: str, line: int, column: int) -> Bad:
    return Bad(text.encode(), code, line, column)


BAD_FILES = {
    # No TOML.
    "no-value": _bad(HEAD + "version =\n", "toml_syntax", 3, 10),
    "no-key": _bad(HEAD + '= "1.0.0"\n', "toml_syntax", 3, 1),
    "no-quotes": _bad(HEAD + "description = words without quotes\n", "toml_syntax", 3, 15),
    "open-quote": _bad(HEAD + 'description = "never closed\n', "toml_syntax", 3, 28),
    "open-text": _bad(HEAD + 'description = """never closed\n\n', "toml_syntax", 3, 15),
    "open-list": _bad(HEAD + 'tags = ["a", "b"\n', "toml_syntax", 3, 17),
    "open-table": _bad(HEAD + "[llm\ntemperature = 1\n", "toml_syntax", 3, 5),
    "yaml": _bad(HEAD + "description: yaml\n", "toml_syntax", 3, 12),
    "json": _bad('{"name": "victim", "system_prompt": "You help."}\n', "toml_syntax", 1, 1),
    "xml": _bad("<agent name='victim'/>\n", "toml_syntax", 1, 1),
    "python": _bad("import os\nos.remove('everything')\n", "toml_syntax", 1, 8),
    "backslash": _bad(HEAD + 'description = "C:\\Users"\n', "toml_syntax", 3, 20),
    "control-character": _bad(HEAD + 'description = "a\x07b"\n', "toml_syntax", 3, 17),
    "key-twice": _bad(HEAD + 'name = "other"\n', "toml_syntax", 3, 1),
    "table-twice": _bad(HEAD + "[llm]\nseed = 1\n[llm]\nseed = 2\n", "toml_syntax", 5, 2),
    "value-and-table": _bad(HEAD + "llm = 1\n[llm]\nseed = 1\n", "toml_syntax", 4, 2),
    "merge-conflict": _bad("<<<<<<< HEAD\n" + HEAD + "=======\n>>>>>>> theirs\n", "toml_syntax", 1, 1),
    "half-written": _bad('name = "vic', "toml_syntax", 1, 8),
    "date-that-is-none": _bad(HEAD + "version = 2026-13-45\n", "toml_syntax", 3, 15),
    "deep": Bad(b"x = " + b"[" * 5000 + b"]" * 5000, "toml_syntax"),
    # TOML, but no agent.
    "no-name": _bad('system_prompt = "You help."\n', "missing_key", 1, 1),
    "no-prompt": _bad('name = "victim"\n', "missing_key", 1, 1),
    "empty-prompt": _bad('name = "victim"\nsystem_prompt = "  "\n', "invalid_value", 2, 17),
    "name-a-number": _bad('name = 7\nsystem_prompt = "You help."\n', "wrong_type", 1, 8),
    "name-a-list": _bad('name = ["victim"]\nsystem_prompt = "You help."\n', "wrong_type", 1, 8),
    "name-too-short": _bad('name = "v"\nsystem_prompt = "You help."\n', "invalid_value", 1, 8),
    "name-too-long": _bad(f'name = "{"v" * 65}"\nsystem_prompt = "You help."\n', "invalid_value", 1, 8),
    "name-in-capitals": _bad('name = "The Victim"\nsystem_prompt = "You help."\n', "invalid_value", 1, 8),
    "name-leads-out": _bad('name = "../../victim"\nsystem_prompt = "You help."\n', "invalid_value", 1, 8),
    "prompt-a-table": _bad('name = "victim"\n[system_prompt]\ntext = "You help."\n', "wrong_type", 2, 2),
    "unknown-key": _bad(HEAD + 'descripton = "a typing error"\n', "unknown_key", 3, 1),
    "key-in-wrong-table": _bad(HEAD + "temperature = 0.5\n", "unknown_key", 3, 1),
    "unknown-table": _bad(HEAD + "[lllm]\nseed = 1\n", "unknown_key", 3, 2),
    "version-that-is-none": _bad(HEAD + 'version = "one"\n', "invalid_value", 3, 11),
    "temperature-in-words": _bad(HEAD + '[llm]\ntemperature = "hot"\n', "wrong_type", 4, 15),
    "temperature-too-high": _bad(HEAD + "[llm]\ntemperature = 3.5\n", "invalid_value", 4, 15),
    "temperature-not-a-number": _bad(HEAD + "[llm]\ntemperature = nan\n", "invalid_value", 4, 15),
    "no-tokens": _bad(HEAD + "[llm]\nmax_tokens = 0\n", "invalid_value", 4, 14),
    "unknown-strategy": _bad(HEAD + '[conversation]\nstrategy = "slide"\n', "invalid_value", 4, 12),
    "too-many-turns": _bad(HEAD + "[conversation]\nmax_turns = 100000\n", "invalid_value", 4, 13),
    "no-duration": _bad(HEAD + '[resources]\nmax_execution_time = "soon"\n', "invalid_value", 4, 22),
    "beyond-64-bits": _bad(HEAD + "[llm]\nseed = 99999999999999999999\n", "invalid_value", 4, 8),
    "unknown-provider": _bad(HEAD + 'llm_provider = "scriptd"\n', "unknown_provider", 3, 16),
    "unknown-placeholder": _bad(HEAD + 'user_prompt_template = "{{request}}{{x}}"\n', "unknown_placeholder", 3, 36),
    "secret": _bad(HEAD + '[llm]\napi_key = "sk-secret"\n', "secret_in_file", 4, 1),
    "wrong-in-many-ways": _bad('name = "V"\nsystem_prompt = ""\nverson = 1\n', "invalid_value", 1, 8),
    "many-problems": _bad(HEAD + "".join(f"x{n} = {{}}\n" for n in range(2000)), "unknown_key", 3, 1),
    # No text.
    "empty": Bad(b"", "empty_file"),
    "white-space": Bad(b" \n\t\n", "empty_file"),
    "latin-1": Bad(HEAD.encode() + b'description = "caf\xe9"\n', "encoding", 3, 19),
    "utf-16": Bad(HEAD.encode("utf-16"), "encoding"),
    "utf-32": Bad(HEAD.encode("utf-32"), "encoding"),
    "utf-16-without-mark": Bad(HEAD.encode("utf-16-le"), "encoding", 1, 2),
    "zero-byte": Bad(HEAD.encode() + b'description = "a\0b"\n', "encoding", 3, 17),
    "binary": Bad(bytes(range(256)) * 16, "encoding", 1, 1),
    "huge": Bad(HEAD.encode() + b"#" * (2 << 20), "too_large"),
}


def _directory(path: Path) -> None:
    path.mkdir()
    (path / "inner.toml").write_text(HEAD)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _loop_of_two(path: Path) -> None:
    path.symlink_to(path.with_suffix(".other"))
    path.with_suffix(".other").symlink_to(path)


def _link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_suffix(".missing"))


def _link_to_directory(path: Path) -> None:
    path.symlink_to(path.parent)


def _forbidden(path: Path) -> None:
    path.write_text(HEAD)
    path.chmod(0)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _unreadable(path: Path) -> None:
    # A regular file of which not even the superuser can read the beginning.
    path.symlink_to("/proc/self/mem")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    # Bound by a relative name: the path of a socket may have about a hundred characters.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


def odd_things() -> dict[str, Callable[[Path], None]]:
    """What else may be called `something.toml` on this system, by how it is made."""
    things: dict[str, Callable[[Path], None]] = {"directory": _directory}
    if sys.platform != "win32":
        things |= {
            "loop": _loop,
            "loop-of-two": _loop_of_two,
            "link-to-nowhere": _link_to_nowhere,
            "link-to-directory": _link_to_directory,
            "endless": _endless,
            "pipe": _pipe,
            "socket": _socket,
        }
        if os.geteuid() != 0:
            things["forbidden"] = _forbidden
    if sys.platform == "linux":
        things["unreadable"] = _unreadable
    return things


def odd_names() -> list[str]:
    """Names that a file may have here, odd as they are."""
    names = [
        "with space",
        "ümläut",
        "日本語",
        "emoji \N{PILE OF POO}",
        "[red]markup",
        "[bold",
        "%s%n",
        "{name}",
        "'",
    ]
    names += ["-", "--help", "dots..", "comma,semicolon;", "$HOME", "`id`", "&amp;", "a" * 200]
    if sys.platform != "win32":
        names += [
            "two\nlines",
            "tab\tbed",
            "bell\x07",
            "\x1b[31mred",
            "quote\"'",
            "back\\slash",
            "star*?",
            "<script>",
            "a:b|c",
        ]
    return names
