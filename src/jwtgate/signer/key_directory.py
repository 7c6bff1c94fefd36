"""The directory that holds the signer's private keys, one PEM file per key: `<algorithm>-<kid>.pem`.

The rules:

- The directory is ours alone (0700), each file too (0600), from the moment of its creation. What others could
  have read or replaced is not used: that is a StartError, never a repair in silence.
- A key is kept over restarts, and published as long as its file is there. The newest key of the configured
  algorithm signs. If there is none, one is made; the keys of other algorithms stay published.
- A file is never overwritten, a damaged one least of all. A key is written under a temporary name, synced,
  and then renamed, so a file with the name of a key holds a whole key.
- Whoever opens the directory holds a lock on it meanwhile: two signers that start at once agree on one key.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from jwtgate.errors import KeyRefusedError, StartError
from jwtgate.keys import SigningKey, generate_signing_key, load_signing_key, serialise_signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = structlog.get_logger()

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_SHARED = 0o077  # any permission of the group or of others
_MAX_KEY_BYTES = 65536  # an RSA key of 16,384 bits takes 13 KB
_UNFINISHED = ".unfinished"

# The kid is an RFC 7638 thumbprint: a SHA-256 in base64url, 43 characters. Both parts may hold a hyphen.
_KEY_FILE = re.compile(r"(?P<algorithm>[A-Za-z0-9-]+)-(?P<kid>[A-Za-z0-9_-]{43})\.pem", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignerKeys:
    """The key that signs, and all keys whose public part is published, that one first."""

    signing: SigningKey
    published: tuple[SigningKey, ...]


@dataclass(frozen=True, slots=True)
class _KeyFile:
    key: SigningKey
    modified: int  # nanoseconds


def open_key_directory(path: Path, algorithm: str) -> SignerKeys:
    """The keys in `path`; a first one for `algorithm` is made when there is none.

    Raises StartError when the directory or a file in it cannot be used, is shared with others, or is damaged.
    """
    try:
        with _locked_directory(path) as directory:
            files = sorted(_read_keys(path, directory), key=lambda file: file.modified, reverse=True)
            known = [file.key for file in files]
            signing = next((key for key in known if key.algorithm == algorithm), None)
            if signing is None:
                signing = _make_key(path, directory, algorithm)
    except OSError as error:
        raise StartError(f"key directory {path}: {error.strerror or error}") from error
    return SignerKeys(signing, (signing, *(key for key in known if key is not signing)))


@contextlib.contextmanager
def _locked_directory(path: Path) -> Iterator[int]:
    """A descriptor of the directory, checked and locked; the directory is made when it is missing."""
    try:
        path.mkdir(mode=_DIRECTORY_MODE, parents=True)
    except FileExistsError:
        pass
    else:
        with contextlib.suppress(PermissionError):  # a parent that may be written, but not listed
            _sync(path.parent)
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError as error:
        raise StartError(f"key directory {path}: this is not a directory. Choose another key_dir") from error
    try:
        _check_ours(f"key directory {path}", os.fstat(directory), _DIRECTORY_MODE, path)
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield directory
    finally:
        os.close(directory)


def _read_keys(path: Path, directory: int) -> Iterator[_KeyFile]:
    for name in sorted(os.listdir(directory)):
        match = _KEY_FILE.fullmatch(name)
        if match is not None:
            yield _read_key(path / name, directory, algorithm=match["algorithm"], kid=match["kid"])
        elif name.endswith(".pem"):
            raise StartError(
                f"key file {path / name}: the signer did not write this. "
                "Its keys are named <algorithm>-<kid>.pem; move anything else out of the directory"
            )


def _read_key(file: Path, directory: int, *, algorithm: str, kid: str) -> _KeyFile:
    pem, modified = _read_private(file, directory)
    try:
        key = load_signing_key(pem, algorithm, None)
    except KeyRefusedError as error:
        raise StartError(f"key file {file}: {error}. {_RESTORE}") from error
    if key.kid != kid:
        raise StartError(f"key file {file}: holds another key than its name says (kid {key.kid}). {_RESTORE}")
    return _KeyFile(key, modified)


def _read_private(file: Path, directory: int) -> tuple[bytes, int]:
    """The content of a file that is ours alone, and when it was last modified."""
    # A link could lead to a file that others can write, and opening a pipe would wait for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file.name, flags, dir_fd=directory)
    except OSError as error:
        raise StartError(f"key file {file}: cannot be opened: {error.strerror or error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StartError(f"key file {file}: not an ordinary file. Move it away")
        _check_ours(f"key file {file}", status, _FILE_MODE, file)
        if status.st_size > _MAX_KEY_BYTES:
            raise StartError(f"key file {file}: larger than any key ({status.st_size} bytes). {_RESTORE}")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(_MAX_KEY_BYTES), status.st_mtime_ns
    finally:
        os.close(descriptor)


_RESTORE = (
    "Restore it from a backup, or move it away: tokens that it signed are refused from then on. "
    "It has been left as it is"
)


def _make_key(path: Path, directory: int, algorithm: str) -> SigningKey:
    key = generate_signing_key(algorithm)
    name = f"{algorithm}-{key.kid}.pem"
    _write_new(directory, name, serialise_signing_key(key, None))
    _log.info("signing key made", algorithm=algorithm, kid=key.kid, key_dir=str(path))
    return key


def _write_new(directory: int, name: str, content: bytes) -> None:
    """Write a file that is there whole or not at all. The lock on the directory is held."""
    # We hold the lock, so such a file is what an interrupted start has left: no key that was ever used.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_UNFINISHED, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(_UNFINISHED, flags, _FILE_MODE, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.rename(_UNFINISHED, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(_UNFINISHED, dir_fd=directory)
        raise
    os.fsync(directory)


def _check_ours(what: str, status: os.stat_result, mode: int, path: Path) -> None:
    """Refuse what another user owns, or what the group or others may touch."""
    if status.st_uid != os.geteuid():
        raise StartError(
            f"{what}: belongs to user {status.st_uid}, and the signer runs as user {os.geteuid()}. "
            "Run the signer as its owner, or choose another key_dir"
        )
    if status.st_mode & _SHARED:
        raise StartError(
            f"{what}: other users have access (mode {stat.S_IMODE(status.st_mode):04o}). "
            f"Private keys need {mode:04o}: chmod {mode:o} {path}. If somebody may have read a key, "
            "remove its file as well, and a new key is made"
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
