"""The two clocks.

`steady` only moves forward, also while the machine sleeps, and nobody can set it. Ages and schedules are
counted on it, so that a wall clock which jumps neither drops good keys nor postpones a fetch. Wall-clock time
is for what people read and for what outlives the machine's uptime: the files on the shelf.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Linux. Elsewhere: the monotonic clock, which stands still while the machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_FUTURE = 60.0  # seconds that a written time may lie in the future, for clocks that are being corrected


def steady() -> float:
    """Seconds since some moment in the past."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both, and the way from one to the other."""

    steady: Callable[[], float] = steady
    wall: Callable[[], float] = time.time

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
