"""Programs from npm, for tests that need servers or clients nobody here wrote."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def installed(place: Path, *packages: str) -> Path:
    """The `node_modules` with these packages (`name@version`), installed at `place` unless they are there already.

    Skips the test where that cannot be done, and says why; fails it where CI says that services are required.
    """
    modules = place / "node_modules"
    done = place / "installed.txt"
    if done.exists() and done.read_text() == "\n".join(packages):
        return modules
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        cannot("node and npm are not installed")
    command = [npm, "install", "--prefix", str(place), "--no-audit", "--no-fund", *packages]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    if ran.returncode:
        cannot(f"npm could not install {' '.join(packages)}: {ran.stderr.strip().splitlines()[-1:]}")
    done.write_text("\n".join(packages))
    return modules


def cannot(why: str) -> NoReturn:
    """End the test: skipped, or failed where services are required."""
    if os.environ.get("CAXTON_TEST_SERVICES") == "required":
        pytest.fail(why)
    pytest.skip(why)


def place_for(request: pytest.FixtureRequest, factory: pytest.TempPathFactory, name: str) -> Path:
    """A directory that lasts from one run of the tests to the next, where pytest keeps one."""
    cache = getattr(request.config, "cache", None)
    return Path(cache.mkdir(name)) if cache else factory.mktemp(name)
