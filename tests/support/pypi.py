"""Programs from PyPI in an environment of their own, for tests that need servers nobody here wrote."""

import subprocess
import sys
import venv
from pathlib import Path

from support.npm import cannot


def installed(place: Path, *packages: str) -> Path:
    """The directory of the programs of these packages (`name==version`), installed at `place` unless they are there.

    Skips the test where that cannot be done, and says why; fails it where CI says that services are required.
    """
    programs = place / ("Scripts" if sys.platform == "win32" else "bin")
    done = place / "installed.txt"
    if done.exists() and done.read_text() == "\n".join(packages):
        return programs
    venv.create(place, with_pip=True, clear=True)
    command = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--no-input", *packages]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    if ran.returncode:
        cannot(f"pip could not install {' '.join(packages)}: {ran.stderr.strip().splitlines()[-1:]}")
    done.write_text("\n".join(packages))
    return programs
