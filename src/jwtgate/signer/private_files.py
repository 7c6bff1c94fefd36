"""Directories and files that are ours alone.

The rules:

- The directory is ours (0700), each file too (0600), from the moment of its creation. What others could have
  read or replaced is not used: that is a StartError, never a repair in silence.
- Links are not followed, and nothing but an ordinary file is opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from jwtgate.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_SHARED = 0o077  # any permission of the group or of others
_MAX_BYTES = 65536


@contextlib.contextmanager
def locked_directory(path: Path) -> Iterator[None]:
    """A directory that is ours alone, made when it is missing; who else opens it waits meanwhile.

    Raises StartError.
    """
    try:
        path.mkdir(mode=_DIRECTORY_MODE, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise StartError(f"key directory {path}: {error.strerror or error}") from error
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError as error:
        raise StartError(f"key directory {path}: this is not a directory. Choose another key_dir") from error
    except OSError as error:
        raise StartError(f"key directory {path}: {error.strerror or error}") from error
    try:
        _check_ours(f"key directory {path}", os.fstat(directory), _DIRECTORY_MODE, path)
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def make_private(path: Path, what: str) -> None:
    """An ordinary file at `path` that is ours alone: made empty when it is missing, checked when it is there.

    Raises StartError.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE))
    except FileExistsError:
        with _opened(path, what):
            pass
    except OSError as error:
        raise StartError(f"{what} {path}: {error.strerror or error}") from error


def read_private(path: Path, what: str) -> bytes:
    """The content of a file that is ours alone. Raises StartError."""
    with _opened(path, what) as descriptor:
        if os.fstat(descriptor).st_size > _MAX_BYTES:
            raise StartError(f"{what} {path}: larger than {_MAX_BYTES} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(_MAX_BYTES)


@contextlib.contextmanager
def _opened(path: Path, what: str) -> Iterator[int]:
    # A link could lead to a file that others can write, and opening a pipe would wait for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise StartError(f"{what} {path}: cannot be opened: {error.strerror or error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StartError(f"{what} {path}: not an ordinary file. Move it away")
        _check_ours(f"{what} {path}", status, _FILE_MODE, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_ours(what: str, status: os.stat_result, mode: int, path: Path) -> None:
    """Refuse what another user owns, or what the group or others may touch."""
    if status.st_uid != os.geteuid():
        raise StartError(
            f"{what}: belongs to user {status.st_uid}, and the signer runs as user {os.geteuid()}. "
            "Run the signer as its owner, or choose another"
        )
    if status.st_mode & _SHARED:
        raise StartError(
            f"{what}: other users have access (mode {stat.S_IMODE(status.st_mode):04o}). "
            f"It needs {mode:04o}: chmod {mode:o} {path}. If somebody may have read a private key, "
            "replace all keys as well: jwtgate signer rotate --emergency"
        )
