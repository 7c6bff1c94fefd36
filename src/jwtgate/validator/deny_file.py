"""The deny-list's file, watched: `Standing.denied` is what it says.

A worker reads it before its first decision, and then looks twice a second, and when it is told to. What was
appended is read alone; after any other change the whole is read anew. A change that holds a bad line changes
nothing: the last good list stays, with a line in the log that names the place, until the file is right.

Entries that have ended are left out when the whole is read, which is done each hour for that.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from jwtgate.errors import DenyListError
from jwtgate.jwks import StatusListView  # noqa: TC001 -- msgspec reads it at run time
from jwtgate.revocation import DenyList, read_deny_list

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from jwtgate.revocation import Denied, Standing

_log = structlog.get_logger("jwtgate.denied")

_INTERVAL = 0.5  # seconds between two looks
_WHOLE = 3600.0  # seconds after which the whole is read anew, if it has entries that end
_SLICE = 500  # lines between which requests are answered: a few milliseconds


class _Version(NamedTuple):
    inode: int
    modified: int
    size: int


class DeniedAnswer(msgspec.Struct, frozen=True):
    """What a worker says about its deny-list. `error`: why the file is not what is in use."""

    file: str | None
    entries: int
    error: str | None


class RevocationAnswer(msgspec.Struct, frozen=True):
    """What a worker says about what it asks on each decision."""

    status_lists: tuple[StatusListView, ...]
    deny_list: DeniedAnswer


class DenyFile:
    """Keeps `standing.denied` as the file says. `path`: None for a gateway without a deny-list."""

    def __init__(self, path: Path | None, standing: Standing, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._standing = standing
        self._clock = clock
        self._seen: _Version | None = None  # the version that was looked at last, good or not
        self._read = _digest(b"", 0)  # what the list was made of, up to its last whole line
        self._offset = 0  # the length of that
        self._inode = 0
        self._whole_at = 0.0
        self._error: str | None = None
        self._looking = asyncio.Lock()

    def load(self) -> None:
        """Read all of it, at once, before the first decision.

        Who starts a gateway has been told of a bad line. For a worker that starts again later, the good lines
        count: more is denied by them than by none.
        """
        if self._path is None:
            return
        try:
            version, text = _version(self._path), self._path.read_bytes()
        except OSError as error:
            self._complain(f"{self._path}: {error.strerror or error}")
            return
        denied = DenyList()
        for number, line in enumerate(text.split(b"\n"), 1):
            try:
                self._add(denied, read_deny_list(line, str(self._path), first=number))
            except DenyListError as error:
                self._complain(str(error))
        self._seen = version
        self._whole_at = self._clock()
        self._use(denied)
        if self._error is None:
            self._remember(text, version)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL if self._path is not None else _WHOLE)
            await self.look()

    async def look(self) -> DeniedAnswer:
        """Read what has changed. Returns where that leads."""
        async with self._looking:
            if self._path is not None:
                try:
                    await self._look(self._path)
                except OSError as error:
                    self._seen = None
                    self._complain(f"{self._path}: {error.strerror or error}")
                except DenyListError as error:
                    self._complain(str(error))
        return self.view()

    def view(self) -> DeniedAnswer:
        """Where it stands."""
        file = None if self._path is None else str(self._path)
        return DeniedAnswer(file, len(self._standing.denied or ()), self._error)

    async def _look(self, path: Path) -> None:
        version = _version(path)
        due = self._standing.denied is not None and self._clock() >= self._whole_at + _WHOLE
        if version == self._seen and not due:
            return
        self._seen = version
        text = await asyncio.to_thread(path.read_bytes)
        grown = version.inode == self._inode and len(text) >= self._offset
        if grown and not due and await asyncio.to_thread(_digest, text, self._offset) == self._read:
            await self._append(text, str(path))
        else:
            await self._replace(text, str(path))
        await asyncio.to_thread(self._remember, text, version)
        if self._error is not None:
            _log.info("deny_list_read_again", after=self._error)
            self._error = None
        _log.debug("deny_list_read", entries=len(self._standing.denied or ()))

    async def _append(self, text: bytes, file: str) -> None:
        first = 1 + text.count(b"\n", 0, self._offset)
        entries = [
            entry
            async for part, number in _slices(text[self._offset :], first)
            for entry in read_deny_list(part, file, first=number)
        ]
        denied = self._standing.denied or DenyList()
        for start in range(0, len(entries), _SLICE):
            self._add(denied, entries[start : start + _SLICE])
            await asyncio.sleep(0)
        self._use(denied)

    async def _replace(self, text: bytes, file: str) -> None:
        denied = DenyList()
        async for part, number in _slices(text, 1):
            self._add(denied, read_deny_list(part, file, first=number))
        self._whole_at = self._clock()
        self._use(denied)

    def _add(self, denied: DenyList, entries: Iterable[Denied]) -> None:
        now = self._clock()
        for entry in entries:
            if entry.until is None or now < entry.until:
                denied.add(entry)

    def _use(self, denied: DenyList) -> None:
        # Nothing is asked of a list that is empty.
        self._standing.denied = denied if len(denied) else None

    def _remember(self, text: bytes, version: _Version) -> None:
        # A last line without an end may be half of one: it is read again.
        self._offset = text.rfind(b"\n") + 1
        self._read = _digest(text, self._offset)
        self._inode = version.inode

    def _complain(self, text: str) -> None:
        if text != self._error:
            self._error = text
            _log.error("deny_list_unreadable", error=text, serving="the last good list")


async def _slices(text: bytes, first: int) -> AsyncIterator[tuple[bytes, int]]:
    """The lines of `text` in parts, each with the number of its first line; requests are answered in between."""
    start = 0
    while start < len(text):
        end = start
        for _ in range(_SLICE):
            end = text.find(b"\n", end) + 1
            if not end:
                end = len(text)
                break
        part = text[start:end]
        yield part, first
        first += part.count(b"\n")
        start = end
        await asyncio.sleep(0)


def _version(path: Path) -> _Version:
    found = path.stat()
    return _Version(found.st_ino, found.st_mtime_ns, found.st_size)


def _digest(text: bytes, length: int) -> bytes:
    """Of the beginning of `text`."""
    return hashlib.sha256(memoryview(text)[:length]).digest()
