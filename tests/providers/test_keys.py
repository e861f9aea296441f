"""Keys come from where the settings say, clean, and from nowhere else."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.errors import Code, ProviderError
from caxton.domain.settings import ProviderSettings
from caxton.providers.keys import LARGEST_KEY, key_of

KEY = "sk-Planted0Key1That2Nobody3May4See"
POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of this kind are those of POSIX")


def settings(**fields) -> ProviderSettings:
    return ProviderSettings(name="remote", kind="openai", **fields)


def refused(file: Path | None = None, environ: dict[str, str] | None = None, **fields) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        key_of(settings(api_key_file=file, **fields), environ or {})
    error = raised.value
    assert error.code is Code.PROVIDER_AUTHENTICATION
    assert KEY not in f"{error.message} {error.why} {error.hint}"
    return error


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return file


def test_without_a_place_there_is_no_key():
    assert key_of(settings(), {"OPENAI_API_KEY": KEY}) is None


def test_the_usual_variable_holds_where_none_is_named():
    assert key_of(settings(), {"USUAL": KEY, "OTHER": "no"}, usual="USUAL") == KEY
    assert key_of(settings(api_key_env="OTHER"), {"USUAL": "no", "OTHER": KEY}, usual="USUAL") == KEY


def test_a_named_file_is_read_instead_of_the_usual_variable(file):
    assert key_of(settings(api_key_file=file), {"USUAL": "another"}, usual="USUAL") == KEY


@pytest.mark.parametrize("written", [KEY, f"{KEY}\n", f"  {KEY}\r\n\r\n"])
def test_line_breaks_around_a_key_are_not_part_of_it(file, written):
    file.write_bytes(written.encode())
    assert key_of(settings(api_key_file=file), {}) == KEY
    assert key_of(settings(api_key_env="KEY"), {"KEY": written}) == KEY


def test_a_variable_that_is_set_goes_before_the_file(file):
    both = settings(api_key_env="KEY", api_key_file=file)
    assert key_of(both, {"KEY": "from-the-environment"}) == "from-the-environment"
    assert key_of(both, {"KEY": " "}) == KEY
    assert key_of(both, {}) == KEY


def test_a_variable_that_is_not_set_is_named():
    error = refused(api_key_env="MY_KEY")
    assert "MY_KEY is not set" in error.message
    assert "export MY_KEY" in error.hint


@pytest.mark.parametrize("odd", [f"{KEY} {KEY[:3]}\x00", f"{KEY}\n{KEY}", "clé", "\x7f"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(file, odd):
    assert "characters that no key has" in refused(environ={"KEY": odd}, api_key_env="KEY").message
    file.write_bytes(odd.encode())
    assert "no key in it, or more than one" in refused(file).message


@given(st.text())
def test_a_key_fits_into_a_header_or_is_none(text):
    try:
        key = key_of(settings(api_key_env="KEY"), {"KEY": text})
    except ProviderError:
        return
    assert key
    assert key.isascii()
    assert key.isprintable()
    assert key == text.strip()


def test_an_empty_file_has_no_key(file):
    file.write_text("\n")
    assert "no key in it" in refused(file).message


def test_a_large_file_is_not_read_to_its_end(file):
    file.write_bytes(b"k" * (LARGEST_KEY + 1))
    assert "larger than any key" in refused(file).message


def test_a_file_that_is_not_there_is_named(tmp_path):
    error = refused(tmp_path / "nowhere")
    assert "nowhere" in error.message
    assert "cannot be read" in error.message


def test_a_directory_is_no_key(tmp_path):
    assert "not a regular file" in refused(tmp_path).message


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644])
def test_a_file_that_others_may_touch_is_refused_with_the_command_that_mends_it(file, mode):
    file.chmod(mode)
    error = refused(file)
    assert f"{mode:o}" in error.message
    assert f"chmod 600 {file}" in error.hint


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_the_owner_alone_is_read(file, mode):
    file.chmod(mode)
    assert key_of(settings(api_key_file=file), {}) == KEY


@POSIX
def test_a_link_is_followed_to_the_file_that_counts(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    assert key_of(settings(api_key_file=link), {}) == KEY
    file.chmod(0o644)
    assert "can be read by others" in refused(link).message


@POSIX
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert "not a regular file" in refused(pipe).message
