"""WebAssembly servers that are sent over HTTP."""

import stat
import sys

import pytest
from support.wasm import EXAMPLES, builder, built

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.tool_settings import WasmLimits
from caxton.tools.deployments import Deployments


@pytest.fixture
def deployments(tmp_path) -> Deployments:
    return Deployments(tmp_path / "wasm", cache=tmp_path / "cache")


@pytest.fixture(scope="module")
def module(request) -> bytes:
    return built(request.config, EXAMPLES / "c" / "text.c", builder().build_c).read_bytes()


def test_there_is_none_at_first(deployments):
    assert deployments.servers() == {}


def test_one_that_was_added_is_there_again_with_its_limits_and_hash(deployments, module, tmp_path):
    settings, facts = deployments.add("text", module, limits=WasmLimits(max_seconds=2.5))
    again = Deployments(tmp_path / "wasm", cache=tmp_path / "cache").servers()
    assert again == {"text": settings}
    assert settings.kind == "wasm"
    assert settings.options["max_seconds"] == 2.5
    assert settings.options["sha256"] == facts.sha256
    assert facts.size == len(module)


def test_it_is_granted_nothing_of_this_machine(deployments, module):
    settings, _ = deployments.add("text", module, limits=WasmLimits())
    assert not {"read", "write"} & settings.options.keys()
    assert (settings.args, settings.env, settings.inherit) == ((), {}, ())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_nobody_else_may_read_what_was_sent(deployments, module, tmp_path):
    deployments.add("text", module, limits=WasmLimits())
    assert stat.S_IMODE((tmp_path / "wasm").stat().st_mode) == 0o700


def test_a_second_one_of_the_name_takes_the_place_of_the_first(deployments, module):
    deployments.add("text", module, limits=WasmLimits(instances=1))
    deployments.add("text", module, limits=WasmLimits(instances=2))
    assert deployments.servers()["text"].options["instances"] == 2


def test_a_module_goes_with_its_last_server(deployments, module, tmp_path):
    deployments.add("one", module, limits=WasmLimits())
    deployments.add("two", module, limits=WasmLimits())
    assert deployments.remove("one")
    assert len([*(tmp_path / "wasm").glob("*.wasm")]) == 1
    assert deployments.remove("two")
    assert [*(tmp_path / "wasm").iterdir()] == []
    assert not deployments.remove("two")


@pytest.mark.parametrize("name", ["", "../up", "Upper", "a.b", "a/b", "x" * 65])
def test_a_name_that_is_none_is_refused(deployments, module, name, tmp_path):
    with pytest.raises(CaxtonError) as caught:
        deployments.add(name, module, limits=WasmLimits())
    assert caught.value.code is Code.BODY_INVALID
    assert not deployments.remove(name)


@pytest.mark.parametrize("wrong", [b"", b"no module", b"\0asm\1\0\0\0"])
def test_what_is_no_wasi_command_is_refused_and_leaves_nothing(deployments, wrong, tmp_path):
    with pytest.raises(CaxtonError) as caught:
        deployments.add("text", wrong, limits=WasmLimits())
    assert caught.value.code is Code.TOOL_SERVER_UNAVAILABLE
    assert deployments.servers() == {}


def test_another_module_than_the_pinned_one_is_refused(deployments, module):
    with pytest.raises(CaxtonError):
        deployments.add("text", module, sha256="0" * 64, limits=WasmLimits())


def test_where_a_key_is_set_an_unsigned_module_is_refused_and_a_signed_one_taken(tmp_path, module):
    from base64 import b64encode

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    signed = Deployments(tmp_path / "wasm", cache=tmp_path / "cache", public_key=public)
    with pytest.raises(CaxtonError):
        signed.add("text", module, limits=WasmLimits())
    with pytest.raises(CaxtonError):
        signed.add("text", module, signature=b"0" * 64, limits=WasmLimits())
    signed.add("text", module, signature=key.sign(module), limits=WasmLimits())
    assert "text" in signed.servers()


def test_a_file_that_cannot_be_read_is_named(deployments, module, tmp_path):
    deployments.add("text", module, limits=WasmLimits())
    (tmp_path / "wasm" / "text.json").write_text("{")
    with pytest.raises(CaxtonError) as caught:
        deployments.servers()
    assert "text.json" in caught.value.message
