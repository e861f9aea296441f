"""Every block of the tutorial is run, in order, as a reader would: files are written, commands executed.

A block's info string says what is done with it: ```sh runs (and `fails` expects it to), ```toml FILE writes, ```python
runs in this environment; `norun` leaves out what needs an account or changes only the reader's shell.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import free_port, until

TUTORIAL = Path(__file__).parent.parent / "tutorial" / "first-agent.md"
BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_works_as_written(tmp_path):
    port = free_port()
    # The reader's home and port 8080 stand for themselves; here they lie elsewhere, so that tests may run side by side.
    env = {key: value for key, value in os.environ.items() if not key.startswith(("CAXTON_", "OPENAI_"))}
    env |= {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "CAXTON_PORT": str(port)}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"

    def run(command: list[str], *, fails: bool = False) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, encoding="utf-8", timeout=90, check=False
        )
        assert (done.returncode != 0) is fails, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    assert len(blocks) > 15
    outputs = []
    try:
        for language, info, text in blocks:
            here = text.replace(":8080", f":{port}")
            match language, info:
                case _, "norun":
                    continue
                case "sh", "" | "fails":
                    outputs += [run(["bash", "-c", line], fails=info == "fails") for line in here.splitlines()]
                case "python", "":
                    outputs.append(run([sys.executable, "-c", here]))
                case "toml", name if name:
                    file = tmp_path / name.replace("~", str(tmp_path))
                    file.write_text(here, encoding="utf-8")
                    if file.parent != tmp_path:
                        shows = ["caxton", "agent", "show", "my-agent", "--output", "json"]
                        word = "pirate" if "Arrr" in here else "temprature"
                        until(lambda shows=shows, word=word: word in run(shows), "the reload")
                case _:
                    pytest.fail(f"a block of the tutorial says neither what it is nor that it is not run: {info!r}")
    finally:
        subprocess.run(
            [sys.executable, "-m", "caxton", "server", "stop", "--force"],
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
    said = "\n".join(outputs)
    assert "my-agent" in said
    assert "event: reply" in said
    assert "Did you mean 'temperature'?" in said
    assert not (tmp_path / ".caxton" / "server.pid").exists()
