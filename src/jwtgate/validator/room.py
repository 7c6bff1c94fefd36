"""Whether the decision cache has room.

NGINX's `max_size` is what its cache manager works towards, not a bound: new tokens at full speed outrun it, and a
full file system in memory is everybody's problem. Only what the validator calls cacheable is stored, so it stops
calling decisions cacheable while the cache is over its share. Requests then pass uncached: slower, never wrong.

The file system is asked (statvfs takes a microsecond), not the directory tree (which takes a second). On a file
system that others use too, their growth counts as ours: give the cache a file system of its own where that
matters.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger()

INTERVAL = 0.05  # seconds between two looks: at 20,000 decisions a second, 1,000 entries


class CacheRoom:
    """Looks after the share of the file system that holds the decision cache.

    `empty` are the bytes that were used on it when the cache was empty, `share` how many more may be.
    """

    def __init__(self, directory: Path, *, empty: int, share: int) -> None:
        self._directory = directory
        self._limit = empty + share
        self._full = False

    def __call__(self) -> bool:
        """Whether another decision may be cached."""
        return not self._full

    def look(self) -> None:
        """Ask the file system."""
        try:
            full = used_bytes(self._directory) > self._limit
        except OSError:
            full = True  # the directory is gone: nothing can be stored
        if full != self._full:
            self._full = full
            event = "decision cache is over its share: not cached" if full else "decision cache has room again"
            _log.warning(event, directory=str(self._directory), limit=self._limit)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)


def used_bytes(directory: Path) -> int:
    """The bytes in use on the file system of a directory."""
    status = os.statvfs(directory)
    return (status.f_blocks - status.f_bfree) * status.f_frsize
