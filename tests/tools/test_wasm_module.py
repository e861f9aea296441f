"""WebAssembly modules are looked at before they are taken."""

import base64

import pytest
import wasmtime
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from caxton.domain.errors import CaxtonError, Code
from caxton.tools.wasm_module import MAGIC, check_module, check_signature, take_module

WASI = "wasi_snapshot_preview1"
GOOD = bytes(
    wasmtime.wat2wasm(
        f"""(module
        (import "{WASI}" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
        (import "{WASI}" "proc_exit" (func (param i32)))
        (memory (export "memory") 2)
        (func (export "_start")))"""
    )
)


def wat(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def refusal(data: bytes, **options: object) -> str:
    with pytest.raises(CaxtonError) as caught:
        check_module(data, **{"max_bytes": 100_000, **options})
    assert caught.value.code is Code.TOOL_SERVER_UNAVAILABLE
    assert caught.value.hint
    return caught.value.why


def test_a_wasi_command_is_taken_for_what_it_is():
    facts = check_module(GOOD, max_bytes=len(GOOD))
    assert facts.size == len(GOOD)
    assert facts.imports == ("fd_read", "proc_exit")
    assert facts.memory == 131_072
    assert check_module(GOOD, max_bytes=1000, sha256=facts.sha256.upper()) == facts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('(module (memory (export "memory") 1))', "_start"),
        ('(module (func (export "_start")))', "memory"),
        ('(module (memory (export "_start") 1) (func (export "memory")))', "_start"),
        ('(module (import "env" "system" (func)) (memory (export "memory") 1) (func (export "_start")))', "system"),
        (f'(module (import "{WASI}" "fd_reader" (func)) (memory (export "memory") 1))', "fd_reader"),
        ('(module (import "wasi_unstable" "fd_read" (func)))', "wasi_unstable"),
        ('(module (import "env" "memory" (memory 1)) (func (export "_start")))', "memory"),
        ('(module (memory (export "memory") 1 2 shared) (func (export "_start")))', "shared"),
        ('(module (memory (export "memory") i64 1) (func (export "_start")))', "64-bit"),
    ],
)
def test_what_is_no_wasi_command_is_refused(text, why):
    assert why in refusal(wat(text))


def test_a_component_is_refused_with_what_to_do_instead():
    assert "component" in refusal(wat("(component)"))


def test_another_file_another_size_and_another_hash_are_refused():
    assert "begins with" in refusal(b"#!/bin/sh")
    assert "begins with" in refusal(b"")
    assert "more than the 10" in refusal(GOOD, max_bytes=10)
    assert "SHA-256" in refusal(GOOD, sha256="0" * 64)


@given(cut=st.integers(0, GOOD.rindex(b"_start") + 6))
def test_a_module_that_ends_before_its_exports_do_is_refused(cut):
    assert refusal(GOOD[:cut])


@example(b"\x02\xff\xff\xff\xff\xff\x01")
@given(st.binary(max_size=200))
def test_whatever_the_bytes_there_is_an_answer(rest):
    assert refusal(MAGIC + rest)


@given(st.integers(8, len(GOOD) - 1), st.integers(0, 255))
def test_a_byte_changed_makes_another_module_or_none(place, byte):
    changed = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    try:
        facts = check_module(changed, max_bytes=len(GOOD))
    except CaxtonError:
        return
    assert (facts.sha256 == check_module(GOOD, max_bytes=len(GOOD)).sha256) == (changed == GOOD)


def test_a_signature_is_held_against_the_key():
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    signature = key.sign(GOOD)
    check_signature(GOOD, signature, public)
    for data, signed, by in ((GOOD + b"\0", signature, public), (GOOD, signature[::-1], public), (GOOD, b"", public)):
        with pytest.raises(CaxtonError, match="cannot be used") as caught:
            check_signature(data, signed, by)
        assert "signature" in caught.value.why
    for wrong in ("no base64", "AAAA"):
        with pytest.raises(CaxtonError) as caught:
            check_signature(GOOD, signature, wrong)
        assert repr(wrong) in caught.value.why


def test_a_module_that_is_taken_is_kept_under_its_hash(tmp_path):
    path, facts = take_module(GOOD, tmp_path / "modules", max_bytes=1000)
    assert path == tmp_path / "modules" / f"{facts.sha256}.wasm"
    assert path.read_bytes() == GOOD
    assert take_module(GOOD, tmp_path / "modules", max_bytes=1000)[0] == path
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    with pytest.raises(CaxtonError):
        take_module(GOOD, tmp_path / "signed", max_bytes=1000, public_key=public)
    assert not (tmp_path / "signed").exists()
    take_module(GOOD, tmp_path / "signed", max_bytes=1000, public_key=public, signature=key.sign(GOOD))
