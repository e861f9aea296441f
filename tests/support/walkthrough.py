"""A reader of the tutorial, who does what its blocks say.

A block's info string says what is done with it: ```sh runs (and `fails` expects it to), ```toml FILE and ```python FILE
write, ```python runs in this environment; `norun` leaves out what needs an account or changes only the reader's shell.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.server import free_port

TUTORIAL = Path(__file__).parent.parent.parent / "tutorial"
BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str) -> list[tuple[str, str, str]]:
    """Language, info and text of each block of a document in order."""
    return BLOCK.findall((TUTORIAL / document).read_text(encoding="utf-8"))


class Reader:
    """Has a home of their own. `elsewhere` maps addresses of the text to those that stand for them here.

    Port 8080 is Caxton's; here it is another, so that tests may run side by side.
    """

    def __init__(self, home: Path, elsewhere: Mapping[str, str] | None = None, **environ: str) -> None:
        port = free_port()
        self.home = home
        self.said: list[str] = []
        self._elsewhere = {"localhost:8080": f"localhost:{port}", **(elsewhere or {})}
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("CAXTON_", "OPENAI_"))}
        self.environ = {**clean, "HOME": str(home), "USERPROFILE": str(home), "CAXTON_PORT": str(port), **environ}
        self.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"

    def run(self, *command: str, fails: bool = False) -> str:
        """What a command printed."""
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=90,
            check=False,
        )
        assert (done.returncode != 0) is fails, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def walk(self, document: str, written: Callable[[Path, str], None] = lambda file, text: None) -> str:
        """Do what the document says; all that was printed. `written` is called with each file and its text."""
        for language, info, text in blocks(document):
            for here, there in self._elsewhere.items():
                text = text.replace(here, there)
            match language, info:
                case _, "norun":
                    continue
                case "sh", "" | "fails":
                    self.said += [self.run("bash", "-c", line, fails=info == "fails") for line in text.splitlines()]
                case "python", "":
                    self.said.append(self.run(sys.executable, "-c", text))
                case "toml" | "python", name if name:
                    file = self.home / name.replace("~", str(self.home))
                    file.write_text(text, encoding="utf-8")
                    written(file, text)
                case _:
                    pytest.fail(f"a block of {document} says neither what it is nor that it is not run: {info!r}")
        return "\n".join(self.said)

    def leave(self) -> None:
        """Stop the server, if one still runs."""
        subprocess.run(
            [sys.executable, "-m", "caxton", "server", "stop", "--force"],
            env=self.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
