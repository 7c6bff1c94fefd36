"""What NGINX noted of each request, counted.

NGINX writes a line a request (nginx.conf.j2, `jwtgate_counts`), in pieces of 32 KiB or a second, which costs it
next to nothing. Equal lines are counted together, and only different ones are looked at: there are as many as
there are combinations of route, policy, status, reason, issuer and state of the cache.

What has been read is taken out of the file: its size grows, and what it takes does not. Were it cut instead, lines
that NGINX writes meanwhile would be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INTERVAL = 1.0  # seconds between two looks; NGINX writes once a second at least
_PIECE = 1 << 22  # bytes that are read at once

# fallocate(2), linux/falloc.h: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_PUNCH_HOLE = 0x02 | 0x01

# The states of NGINX's cache that it names itself ($upstream_cache_status).
CACHE_STATES = {"HIT", "MISS", "EXPIRED", "BYPASS", "STALE", "UPDATING", "REVALIDATED"}


@dataclass(frozen=True, slots=True)
class Kind:
    """What requests have in common that are counted together. Everything in it is a name of the gateway's own.

    `reason`: of a denial; "" when it was let through. `cache`: "" when the decision cache was not asked.
    """

    route: str
    policy: str
    status: str
    reason: str
    issuer: str
    cache: str

    @property
    def is_allowed(self) -> bool:
        """It asked for a decision, and it was yes."""
        return bool(self.policy) and not self.reason


class Counts:
    """Requests by kind, since this process was started."""

    def __init__(self, file: Path | None) -> None:
        """`file`: where NGINX notes them; None: nowhere."""
        self._file = file
        self._position: int | None = None
        self._rest = b""
        self._lines: Counter[bytes] = Counter()

    def kinds(self) -> Iterator[tuple[Kind, int]]:
        """Each kind and how many there were."""
        for line, count in self._lines.items():
            kind = parse(line)
            if kind is not None:
                yield kind, count

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)

    def look(self) -> None:
        """Count what has been written since the last look."""
        if self._file is not None:
            with contextlib.suppress(FileNotFoundError), self._file.open("rb+", buffering=0) as file:
                self._read(file.fileno())

    def _read(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if self._position is None or self._position > size:  # the first look, or somebody has cut it
            self._position, self._rest = 0, b""
        with contextlib.suppress(OSError):  # only a hole is left, or the file system knows none
            self._position = max(self._position, os.lseek(descriptor, self._position, os.SEEK_DATA))
        start = self._position
        while piece := os.pread(descriptor, _PIECE, self._position):
            self._position += len(piece)
            *lines, self._rest = (self._rest + piece.lstrip(b"\0")).split(b"\n")
            self._lines.update(lines)
        if self._position > start:
            _punch(descriptor, self._position)


def parse(line: bytes) -> Kind | None:
    """A line of the file; None for one that is not whole."""
    fields = line.decode("ascii", "replace").split("\t")
    if len(fields) != 7:
        return None
    route, policy, status, reason, asked, issuer, cache = fields
    return Kind(
        route,
        policy.rpartition("-")[0],  # without the digest of what it requires
        status if status.isdigit() else "0",
        _reason(reason, asked) if policy or reason else "",
        issuer,
        cache if cache in CACHE_STATES else "",
    )


# Every reason that there is, and those that NGINX itself has (server.conf.j2).
_REASONS = {*map(str, Reason), "bad_request", "header_too_large", "rate_limited"}


def _reason(given: str, asked: str) -> str:
    """As in the access log (nginx.conf.j2, `$jwtgate_denied`): what was said, or what silence means.

    `asked`: the statuses of the validators that were asked, the last one counts.
    """
    if given:
        return given if given in _REASONS else Reason.INTERNAL_ERROR
    last = asked.replace(":", ",").rpartition(",")[2].strip()
    if not last or last.startswith("2"):
        return ""
    return {"401": Reason.INTERNAL_ERROR, "400": Reason.HEADER_INVALID}.get(last, Reason.VALIDATOR_UNAVAILABLE)


def _punch(descriptor: int, upto: int) -> None:
    """Give back what the read part takes. Where the file system cannot, the supervisor cuts the file at times."""
    fallocate = ctypes.CDLL(None).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    fallocate(descriptor, _PUNCH_HOLE, 0, upto)
