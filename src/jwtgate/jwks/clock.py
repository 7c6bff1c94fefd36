"""The two clocks.

`steady` only moves forward, also while the machine sleeps, and nobody can set it. Ages and schedules are
counted on it, so that a wall clock which jumps neither drops good keys nor postpones a fetch. All processes of
a machine read the same, until it boots. Wall-clock time is for what people read, and for the age of what is found
after a boot: the files on the shelf.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Linux. Elsewhere: the monotonic clock, which stands still while the machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_FUTURE = 60.0  # seconds that a written time may lie in the future, for clocks that are being corrected


def steady() -> float:
    """Seconds since some moment in the past."""
    return time.clock_gettime(_CLOCK)


def boot_id() -> str:
    """What the kernel calls the time since it booted; empty where it has no name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both, and the way from one to the other. A steady moment means something until the next boot."""

    steady: Callable[[], float] = steady
    wall: Callable[[], float] = time.time
    boot: str = field(default_factory=boot_id)

    def to_wall(self, at: float) -> float:
        """What a wall clock showed, or will show, at this steady moment."""
        return self.wall() + at - self.steady()

    def to_steady(self, written: float) -> float:
        """The steady moment at which a wall clock shows this."""
        return self.steady() + written - self.wall()

    def past(self, written: float | None) -> float | None:
        """The steady moment of something that has happened; None if the clock that was read must have been
        wrong."""
        if written is None or written > self.wall() + _FUTURE:
            return None
        return min(self.to_steady(written), self.steady())
