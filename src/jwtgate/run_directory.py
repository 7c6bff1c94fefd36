"""The directories of a running gateway: made private, locked against a second one, emptied, removed.

run_dir/            0700 (as root 0711: NGINX's workers, who are somebody else, pass through it)
  lock              held as long as the gateway runs
  nginx.conf        0600
  control.sock      0600, commands to the running gateway
  counts.log        0600, what the metrics count
  sockets/          0700, belongs to NGINX's workers
  temp/             0700, NGINX's bodies and responses in transit
cache_dir/          the same modes; holds NGINX's cached decisions, tokens among them, so never on a disk
                    if it can be helped, and on another file system than temp/, so that a full cache
                    passes requests uncached
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import os
import pwd
import shutil
import signal
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jwtgate.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only a private directory in it is used
_UNPRIVILEGED = ("www-data", "nginx", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom NGINX's workers run as when its master is root."""

    user: str
    group: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directories, ready for use."""

    path: Path
    cache: Path
    account: Account | None


def unprivileged_account(nginx_user: str | None = None) -> Account | None:
    """The account for NGINX's workers; None when we are not root, and they simply are who we are.

    `nginx_user` is what the `user` of an nginx.conf says that is not ours. Raises StartError when there is none.
    """
    if os.geteuid() != 0:
        return None
    wanted = _UNPRIVILEGED if nginx_user is None else (nginx_user,)
    for name in wanted:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, grp.getgrgid(entry.pw_gid).gr_name, entry.pw_uid, entry.pw_gid)
    raise StartError(f"NGINX's workers need an account without privileges, one of: {', '.join(wanted)}")


def default_run_dir(name: str = "jwtgate") -> Path:
    """/run/NAME as root, else in the user's runtime directory, else in a private temporary directory."""
    if os.geteuid() == 0:
        return Path("/run") / name
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / name
    return Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"


@contextlib.contextmanager
def run_directory(path: Path, *, keep: bool = False, nginx_user: str | None = None) -> Iterator[RunDirectory]:
    """Make and lock the directories; remove what was made when done, or `keep` it for an NGINX elsewhere.

    Raises StartError when another gateway runs there, or the place is not ours alone.
    """
    account = unprivileged_account(nginx_user)
    cache = path / "cache" if keep else _cache_directory(path)
    if not keep:
        _require_ours(path)
    with _locked(path, 0o711 if account else 0o700) as made:
        try:
            if account:
                _require_passage(path, account)
            _make_private(cache, 0o711 if account else 0o700)
            for directory in (path / "sockets", path / "temp", cache / "decisions", cache / "jwks"):
                if keep:
                    _make_for_nginx(directory, account)
                else:
                    _make_empty(directory, account)
            if keep:
                _forget_decisions(cache / "decisions")
            yield RunDirectory(path, cache, account)
        finally:
            if not keep:
                _remove(path, cache, whole=made)


def remove_abandoned(parent: Path, pattern: str) -> None:
    """Remove what gateways that were killed have left in directories of `parent` whose names match (glob).

    A directory that a gateway uses, that was there before one, or that is somebody else's stays.
    """
    for path in _abandoned(parent, pattern):
        _remove(path, _cache_directory(path), whole=True)


@contextlib.contextmanager
def working_directory(prefix: str) -> Iterator[Path]:
    """A private temporary directory. Those of its prefix that killed processes have left are removed too."""
    for path in _abandoned(Path(tempfile.gettempdir()), f"{prefix}*"):
        shutil.rmtree(path, ignore_errors=True)
    work: Path | None = None
    try:
        # Made and known as one step: Ctrl-C between the two would leave it.
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            work = Path(tempfile.mkdtemp(prefix=prefix))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        with (work / "lock").open("w+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.write(_MADE)
            lock.flush()
            yield work
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _abandoned(parent: Path, pattern: str) -> Iterator[Path]:
    """Directories of ours that a process has made and locked, and that none holds any more."""
    for path in parent.glob(pattern):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            with (path / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if lock.read() == _MADE:
                    yield path


def _remove(path: Path, cache: Path, *, whole: bool) -> None:
    for leftover in (path / "sockets", path / "temp", path / "keys", cache):
        shutil.rmtree(leftover, ignore_errors=True)
    for file in ("nginx.conf", "nginx.pid", "control.sock", "counts.log", "lock"):
        (path / file).unlink(missing_ok=True)
    if whole:
        with contextlib.suppress(OSError):  # somebody put something there: it is theirs
            path.rmdir()


def _cache_directory(run_dir: Path) -> Path:
    """In shared memory where there is some: another file system than that of `run_dir`, and never a disk."""
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK):
        name = hashlib.sha256(os.fsencode(run_dir.absolute())).hexdigest()[:12]
        return _SHARED_MEMORY / f"jwtgate-{os.geteuid()}-{name}"
    return run_dir / "cache"


def _make_private(path: Path, mode: int, tries: int = 100) -> None:
    """A directory that is ours alone. In a place that others can write to, it may be waiting for us already."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=mode, parents=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise StartError(f"{path} should be a directory, and is not one. Remove it, or choose another run_dir")
        if found.st_uid != os.geteuid():
            raise StartError(f"the directory {path} belongs to another user. Remove it, or choose another run_dir")
        path.chmod(mode)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and tries:  # a gateway that has just ended took it along
            _make_private(path, mode, tries - 1)
        else:
            raise StartError(f"cannot make the directory {path}: {error.strerror}") from error


def _require_ours(path: Path) -> None:
    """Refuse a directory that holds something and was not left behind by a gateway: what is in it would go."""
    if path.is_dir() and any(path.iterdir()) and not (path / "lock").exists():
        raise StartError(
            f"the directory {path} is not empty, and no gateway has left it behind. "
            "Choose another run_dir: what is in it is removed when the gateway ends"
        )


def _require_passage(path: Path, account: Account) -> None:
    """NGINX's workers must get to the sockets, or every request would end as 503."""
    for parent in path.resolve().parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise StartError(
                f"NGINX's workers run as {account.user}, who cannot enter {parent} on the way to {path}. "
                f"Choose another run_dir, or let others pass: chmod o+x {parent}"
            )


def _make_empty(path: Path, account: Account | None) -> None:
    shutil.rmtree(path, ignore_errors=True)
    _make_for_nginx(path, account)


def _make_for_nginx(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(path, account.uid, account.gid)


def _forget_decisions(path: Path) -> None:
    """Remove the files alone: an NGINX that runs already keeps using the directories."""
    for file in path.rglob("*"):
        with contextlib.suppress(OSError):  # a directory, or NGINX was faster
            file.unlink()


_MADE = b"made by jwtgate\n"  # in the lock of a directory that did not exist before, whoever removes it


@contextlib.contextmanager
def _locked(directory: Path, mode: int) -> Iterator[bool]:
    """Make a directory and lock it. Yields whether it is ours, made now or by a gateway that was killed."""
    made = not directory.exists()
    with _lock(directory, mode) as lock:
        lock.seek(0)
        ours = made or lock.read() == _MADE
        if made:
            lock.write(_MADE)
            lock.flush()
        yield ours


def _lock(directory: Path, mode: int) -> BinaryIO:
    """The open lock. A gateway that ends takes its own along: one that is no longer there is nobody's lock."""
    while True:
        _make_private(directory, mode)
        with contextlib.suppress(FileNotFoundError):
            lock = (directory / "lock").open("a+b")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock.fileno()), (directory / "lock").stat()):
                    return lock
            except BlockingIOError as error:
                lock.close()
                raise StartError(
                    f"a gateway is running in {directory} already. Stop it, or choose another run_dir"
                ) from error
            except FileNotFoundError:
                pass
            lock.close()
