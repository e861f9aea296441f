"""A WebAssembly tool server, sent to a running server, used, and there again after a kill."""

import os
import signal
import sys

import pytest
from support.wasm import EXAMPLES, builder, built


@pytest.fixture(scope="module")
def module(request):
    return built(request.config, EXAMPLES / "c" / "text.c", builder().build_c)


def test_a_server_is_deployed_called_kept_over_a_kill_and_removed(scripted, module):
    deployed = scripted.json("tool", "deploy", "text", str(module), "--seconds", "5", "--memory", "16MB")
    assert "text.count" in deployed["tools"]
    assert "3 words" in scripted("tool", "call", "text.count", "text=one two three")
    os.kill(scripted.pid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    scripted("server", "start")
    assert "3 words" in scripted("tool", "call", "text.count", "text=one two three")
    scripted("tool", "undeploy", "text")
    assert "no tool server" in scripted("tool", "call", "text.count", "text=x", fails=1)
    assert not [tool for tool in scripted.json("tool", "list")["tools"] if tool["name"].startswith("text.")]


def test_what_is_no_module_is_refused_and_nothing_is_left_of_it(scripted):
    wrong = scripted.directory / "wrong.wasm"
    wrong.write_bytes(b"no module at all")
    assert "cannot be used" in scripted("tool", "deploy", "text", str(wrong), fails=1)
    assert [server["name"] for server in scripted.json("tool", "servers")["servers"]] == ["memory", "messaging"]
