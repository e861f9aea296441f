"""A real server whose scripted agents use real tools."""

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.server import DEADLINE, Cli

REFERENCE = Path(__file__).parent / "tool_server.py"
SECRET = "the-launch-code-is-0451"
SETTINGS = """
[server]
default_provider = "scripted"

[providers.scripted]
kind = "scripted"
script = "script.toml"

[tools]
approve = ["files.delete"]
approval_timeout = "{timeout}"

[[tools.rules]]
tool = "files.*"
argument = "path"
path_prefixes = ["."]
agents = ["strict"]

[mcp_servers.files]
standard = "files"
args = ["notes"]

[mcp_servers.http]
standard = "http"
args = ["--allow-host", "127.0.0.1", "--allow-private"]

[mcp_servers.calculator]
standard = "calculator"

[mcp_servers.reference]
command = {python}
args = ["-P", {reference}]
env = {{ TOKEN = "{secret}" }}

[mcp_servers.far]
url = "http://127.0.0.1:9/mcp"
headers = {{ Authorization = "Bearer {secret}" }}
"""
SCRIPT = r"""
[[rules]]
match = '(?s)^read (.*)$'
call = "files__read_file"
arguments = { path = "{1}" }

[[rules]]
match = '^get (\S+)$'
call = "http__get"
arguments = { url = "{1}" }

[[rules]]
match = '^wait (\S+)$'
call = "reference__wait"
arguments = { seconds = 30 }

[[rules]]
match = '^delete (\S+)$'
call = "files__delete"
arguments = { path = "{1}" }

[[rules]]
match = '^note (.+)$'
call = "memory__remember"
arguments = { text = "{1}" }

[[rules]]
match = '^(\w+__\w+) (\S+)$'
call = "{1}"
arguments = { path = "{2}", content = "overwritten", text = "{2}" }

[[rules]]
reply = "It says: {last}"
"""
AGENT = """
name = "{name}"
system_prompt = "You use tools."
tools = {tools}
"""


def furnish(cli: Cli, *, timeout: str = "60s", more: str = "") -> Cli:
    """Write server file, script and notes; what lies beside the notes is not for tools."""
    notes = cli.directory / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("The meeting is on Friday.")
    (notes / "sub").mkdir()
    (cli.directory / "secret.txt").write_text(SECRET)
    (cli.directory / "script.toml").write_text(SCRIPT)
    python, reference = json.dumps(sys.executable), json.dumps(str(REFERENCE))
    (cli.directory / "caxton.toml").write_text(
        SETTINGS.format(timeout=timeout, python=python, reference=reference, secret=SECRET) + more
    )
    cli("server", "start")
    return cli


def employ(cli: Cli, name: str, *tools: str, more: str = "") -> None:
    """Create an agent that may use these tools; one that is there may use no others from now on. `more` is TOML."""
    text = AGENT.format(name=name, tools=json.dumps(tools)) + more
    if (cli.agents / f"{name}.toml").exists():
        (cli.agents / f"{name}.toml").write_text(text)
        return
    (cli.directory / f"{name}.toml").write_text(text)
    cli("create", "--config", f"{name}.toml")


def saying(cli: Cli, agent: str, text: str) -> "Future[dict[str, Any]]":
    """A message whose reply is waited for elsewhere."""
    future: Future[dict[str, Any]] = Future()

    def work() -> None:
        try:
            future.set_result(cli.say(agent, text))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def events(cli: Cli, agent: str, text: str) -> Iterator[tuple[str, Any]]:
    """The events of a streamed reply as they come."""
    place = urlsplit(cli.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=DEADLINE)
    try:
        connection.request(
            "POST", f"/agents/{agent}/message", json.dumps({"text": text}), {"Accept": "text/event-stream"}
        )
        kind = ""
        for raw in connection.getresponse():
            line = raw.decode().rstrip("\r\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))
    finally:
        connection.close()
