import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.acts import messages

from caxton.domain.codec import from_json, from_msgpack, to_json, to_msgpack
from caxton.domain.errors import CaxtonError, Code


@given(messages())
def test_a_message_comes_back_from_json_as_it_was(message):
    assert from_json(to_json(message)) == message


@given(messages())
def test_a_message_comes_back_from_messagepack_as_it_was(message):
    assert from_msgpack(to_msgpack(message)) == message


@given(messages())
def test_either_codec_reads_what_the_other_one_wrote_in_between(message):
    assert from_json(to_json(from_msgpack(to_msgpack(message)))) == message


@pytest.mark.parametrize("decode", [from_json, from_msgpack])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"id": 5}',
        b'"\\ud800x"',
        b"[" * 100_000,
        b"\x91" * 100_000 + b"\x01",
        b"\x81\xa1\xff\x01",
        b"\x81\xa2id\xa1\xff",
    ],
)
def test_bytes_that_are_no_message_are_told_apart(decode, data):
    with pytest.raises(CaxtonError) as caught:
        decode(data)
    assert caught.value.code is Code.MESSAGE_NOT_UNDERSTOOD
    assert caught.value.why


@given(st.binary(max_size=200))
def test_no_bytes_break_a_decoder(data):
    for decode in from_json, from_msgpack:
        with pytest.raises(CaxtonError):
            decode(data)
