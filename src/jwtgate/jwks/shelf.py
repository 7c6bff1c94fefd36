"""Key sets on disk: for the next start, and between the workers of one gateway.

A shelf is a private directory. Each issuer has two files there, named by a digest of what its keys are read
from, so that a changed configuration never finds the keys of the old one:

    <digest>.json    the record: the last good set and when it was confirmed; replaced atomically
    <digest>.lock    the ledger: when it was last asked and how that went; written in place by who holds the lock

A worker that wants to fetch takes the lock, and then looks into both before it asks the issuer. So N workers
make one fetch, and `min_refetch` holds for all of them together. The lock is the kernel's (flock): it ends
with its worker. Nobody leads, and every worker could.

Whoever can write here can make tokens. So the directory must be ours and nobody else's (0700), and so must
each file (0600); what is not is ignored, and so is what is damaged, with a word about it.

Times in the files are on the steady clock (`jwtgate.jwks.clock`) of the boot that they name; those of a record are
in wall-clock seconds besides, since it outlives the boot.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jwtgate.errors import KeyFetchError, StartError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jwtgate.jwks.clock import Clocks

_POLL = 0.03  # seconds between two tries to take a lock
_OURS = re.compile(r"[0-9a-f]{32}\.(json|lock)")
_NEW = ".new-"
_WRITING = 60.0  # seconds after which a record that was never put in its place is nobody's
_MAX_LEDGER = 4096


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The last good set of an issuer. `first_seen`: by `kid|thumbprint`.

    Times are wall-clock seconds, but `steady_at`, which is `confirmed_at` on the steady clock of `boot`.
    """

    issuer: str
    confirmed_at: float
    due_at: float
    jwks: str = msgspec.field()
    etag: str | None = None
    last_modified: str | None = None
    first_seen: dict[str, float] = {}
    boot: str = ""
    steady_at: float = 0.0

    def confirmed(self, clocks: Clocks) -> float | None:
        """`confirmed_at` on our steady clock; None if the clock that was read must have been wrong."""
        if self.boot and self.boot == clocks.boot:
            return self.steady_at if self.steady_at <= clocks.steady() else None
        return clocks.past(self.confirmed_at)

    @property
    def lifetime(self) -> float:
        """Seconds from when it was confirmed until it is due."""
        return self.due_at - self.confirmed_at


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says about the last fetch, in steady seconds; `error_at` in wall-clock seconds.

    `asked_at`: when the last fetch that has ended began; `whole_at`: that of the last one that a person asked for.
    `forced_at` beyond `asked_at`: one has begun, and not ended.
    """

    boot: str
    due_at: float
    asked_at: float = 0.0
    whole_at: float = 0.0
    forced_at: float | None = None
    failures: int = 0
    empty_since: float | None = None
    empty_at: float | None = None
    error: str | None = None
    error_at: float | None = None


class Ledger:
    """The ledger of one issuer, while its lock is held."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, clocks: Clocks) -> Entry | None:
        """The entry; None when there is none of this boot, or none that can be believed."""
        try:
            entry = msgspec.json.decode(os.pread(self._fd, _MAX_LEDGER, 0), type=Entry)
        except (OSError, msgspec.DecodeError):
            return None
        if not entry.boot or entry.boot != clocks.boot:
            return None
        latest = max(entry.asked_at, entry.forced_at or 0.0, entry.empty_at or 0.0)
        return entry if latest <= clocks.steady() else None

    def write(self, entry: Entry) -> None:
        """Replace the entry. A disk that is full leaves none, which costs a fetch at most."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, msgspec.json.encode(entry), 0)


class Slot:
    """One issuer's place on the shelf."""

    def __init__(self, directory: Path, digest: str) -> None:
        # Texts, since to make a Path takes longer than to look for its file.
        self._directory = directory
        self._record = f"{directory}/{digest}.json"
        self._lock = f"{directory}/{digest}.lock"
        self._known: tuple[int, int, int] | None = None

    def read(self) -> Record | None:
        """The record if it is another one than at the last call, else None.

        Raises KeyFetchError, once per version, for a record that cannot be used; the text says why.
        """
        try:
            if _version(os.lstat(self._record)) == self._known:
                return None
            self._known = _version(os.lstat(self._record))
            fd = os.open(self._record, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyFetchError(self.not_used(str(error.strerror))) from None
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            os.close(fd)
            raise KeyFetchError(self.not_used("expected a file that only we can read and write"))
        with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            try:
                return msgspec.json.decode(file.read(), type=Record)
            except (OSError, msgspec.DecodeError) as error:
                raise KeyFetchError(self.not_used(f"it is damaged: {error}")) from None

    def not_used(self, why: str) -> str:
        """What to say about a record that is no use."""
        return f"{self._record}: this snapshot is not used: {why}"

    def exists(self) -> bool:
        """Whether there is a record, be it of any use or none."""
        return os.path.lexists(self._record)

    def missed(self) -> bool:
        """Whether the record that was there at the last call of `read` or `write` is gone. Says so once."""
        if self._known is None or self.exists():
            return False
        self._known = None
        return True

    def write(self, record: Record) -> None:
        """Replace the record. Raises OSError.

        Not flushed to the disk on purpose, which can take long: after a power failure an old or a damaged
        record is found, and neither does harm.
        """
        fd, temporary = tempfile.mkstemp(dir=self._directory, prefix=_NEW)
        try:
            with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(msgspec.json.encode(record))
                file.flush()
                written = os.fstat(file.fileno())
            Path(temporary).replace(self._record)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._known = _version(written)

    def remove(self) -> bool:
        """Forget the set. Whether there is none now that could be read."""
        with contextlib.suppress(OSError):
            Path(self._record).unlink(missing_ok=True)
        self._known = None
        return not Path(self._record).is_file()

    @contextlib.asynccontextmanager
    async def locked(self, wait: float) -> AsyncIterator[Ledger | None]:
        """Hold the lock. None when it cannot be had within `wait` seconds, or not at all: then go on without
        it."""
        try:
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            yield None
            return
        try:
            yield Ledger(fd) if await _flock(fd, wait) else None
        finally:
            os.close(fd)


class Shelf:
    """The directory. Raises StartError when it cannot be made, or is not ours alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = directory.lstat()
        except OSError as error:
            raise StartError(f"{directory}: cannot keep issuers' keys there: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise StartError(
                f"{directory}: issuers' keys are kept there only if the directory is ours and nobody "
                f"else can enter it; try: chmod 700 {directory}"
            )
        self._version = 0
        self._digests: set[str] = set()

    def slot(self, identity: str) -> Slot:
        """The place of what `identity` names."""
        digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._digests.add(digest)
        return Slot(self._directory, digest)

    def remove_others(self) -> None:
        """Remove what belongs to no slot: an issuer that is configured no longer, a write that was cut off.

        Keys that were distrusted with their issuer do not come back with it.
        """
        for file in self._directory.iterdir():
            stale = _OURS.fullmatch(file.name) and file.stem not in self._digests
            with contextlib.suppress(OSError):  # another worker was faster
                if stale or (file.name.startswith(_NEW) and time.time() - file.stat().st_mtime > _WRITING):
                    file.unlink()

    def changed(self) -> bool:
        """Whether any record was replaced since the last call. One stat, however many issuers there are."""
        try:
            version = self._directory.stat().st_mtime_ns
        except OSError:
            return False
        self._version, before = version, self._version
        return version != before


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size


async def _flock(fd: int, wait: float) -> bool:
    for _ in range(max(1, round(wait / _POLL))):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_POLL)
        except OSError:
            return False
        else:
            return True
    return False
