"""Whether the decision cache has room.

NGINX's `max_size` is what its cache manager works towards, not a bound: new tokens at full speed outrun it, and a
full file system in memory is everybody's problem. Only what a validator calls cacheable is stored, so each worker
calls no more decisions cacheable than its part of the room has place for. Further requests pass uncached: slower,
never wrong.

The file system is asked (statvfs takes a microsecond), not the directory tree (which takes a second). What was
allowed since the last look but one may not have been stored yet, and is counted as if it were still to come. On a
file system that others use too, their growth counts as ours: give the cache a file system of its own where that
matters.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = structlog.get_logger()

INTERVAL = 0.05  # seconds between two looks


def used_bytes(directory: Path) -> int:
    """The bytes in use on the file system of a directory."""
    status = os.statvfs(directory)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


class CacheRoom:
    """Looks after one worker's part of the file system that holds the decision cache.

    `empty` are the bytes that were used on it when the cache was empty, `share` how many more may be, for all
    `workers` together; `entry` is what one decision takes at most.
    """

    def __init__(
        self,
        directory: Path,
        *,
        empty: int,
        share: int,
        entry: int,
        workers: int,
        used: Callable[[Path], int] = used_bytes,
    ) -> None:
        self._directory = directory
        self._used = used
        self._limit = empty + share
        self._all_workers_entry = entry * workers
        self._left = 1  # until somebody has looked
        self._given = 0  # since the last look
        self._given_before = 0  # between the two looks before
        self._full = False

    def __call__(self) -> bool:
        """Whether another decision may be cached. Ask once for each."""
        if self._left <= 0:
            return False
        self._left -= 1
        self._given += 1
        return True

    @property
    def is_full(self) -> bool:
        """Whether there was no place left at the last look."""
        return self._full

    def look(self) -> None:
        """Ask the file system."""
        try:
            free = self._limit - self._used(self._directory)
        except OSError:
            free = 0  # the directory is gone: nothing can be stored
        place_for = free // self._all_workers_entry
        self._left = place_for - self._given - self._given_before
        self._given, self._given_before = 0, self._given
        full = place_for <= 0
        if full != self._full:
            self._full = full
            event = "decision cache is over its share: not cached" if full else "decision cache has room again"
            _log.warning(event, directory=str(self._directory), limit=self._limit)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)
