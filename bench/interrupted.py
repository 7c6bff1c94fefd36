"""A run that is stopped, that was killed, or that is not the only one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IN_MEMORY: Final = Path("/dev/shm")
_PREFIX: Final = "jwtgate-bench-"


def stop_as_by_ctrl_c() -> None:
    """Make the first signal that asks us to end a KeyboardInterrupt, so that all that was started ends."""

    def stop(*_: Any) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in _SIGNALS:
        signal.signal(each, stop)


@contextlib.contextmanager
def alone(directory: Path, *, patience: float = 0) -> Iterator[None]:
    """Nobody else measures with this directory meanwhile. SystemExit if somebody still does after `patience` s."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        deadline = time.monotonic() + patience
        while not _locked(lock.fileno()):
            if time.monotonic() >= deadline:
                lock.seek(0)
                raise SystemExit(
                    f"process {lock.read().strip()} is measuring here ({directory}/lock), and two at a time would "
                    "spoil each other's figures: wait until it ends, or stop it"
                )
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def directory_in_memory(parent: Path = _IN_MEMORY) -> Iterator[Path]:
    """A directory that is removed in the end. Those of runs that were killed go first."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _held(left) as free:
            if free:
                _remove(left)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as name, _held(Path(name)):
        yield Path(name)


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[bool]:
    """A lock on a directory, which ends with the process; False if another one has it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(directory: Path) -> None:
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        place = mount.split()[1]
        if place.startswith(f"{directory}/"):
            subprocess.run(["umount", "-l", place], check=False)
    shutil.rmtree(directory, ignore_errors=True)
