"""The files of the agents directory on the disk."""

import os
from pathlib import Path
from uuid import uuid4

from caxton.config.watcher import is_definition
from caxton.domain.errors import CaxtonError, Code


def make_directory(directory: Path) -> None:
    """Make the agents directory if need be; CaxtonError `storage_failed` where it cannot be used."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The agents directory {str(directory)!r} cannot be used.",
            why=str(error),
            hint="Choose another with `--agents-dir`, CAXTON_AGENTS_DIR or `agents_dir` in `[server]`.",
        ) from error


def agent_files(directory: Path) -> list[Path]:
    """What is meant as an agent file there, whatever it is, in the order of the names."""
    return sorted(filter(is_definition, directory.glob("*.toml")))


def is_gone(path: Path) -> bool:
    """Whether there is nothing of that name. What is there and cannot be read, or leads nowhere, is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def save(path: Path, toml: str, *, replace: bool) -> None:
    """Write an agent file, whole or not at all; who may read it stays as it was.

    CaxtonError `agent_exists` where one is there and it is not to be replaced, `storage_failed` where the disk refuses.
    """
    if not replace and not is_gone(path):
        raise CaxtonError(Code.AGENT_EXISTS, f"The file {path} exists already.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}-{uuid4().hex}.tmp")
        try:
            with temporary.open("x", encoding="utf-8", newline="") as file:
                file.write(toml)
                file.flush()
                os.fsync(file.fileno())
            if path.is_file():
                temporary.chmod(path.stat().st_mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CaxtonError(Code.STORAGE_FAILED, f"The file {path} cannot be written.", why=str(error)) from error


def delete(path: Path) -> None:
    """Delete an agent file; nothing where there is none. CaxtonError `storage_failed` where the disk refuses."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CaxtonError(Code.STORAGE_FAILED, f"The file {path} cannot be deleted.", why=str(error)) from error
