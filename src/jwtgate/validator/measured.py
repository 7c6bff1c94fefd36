"""What a worker counts beside its decisions: how long they take, and how often a signature check was spared.

Plain lists and integers: a worker has one thread, and this is on the way of every request. The control process
adds up what the workers have.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

# Seconds; the last bucket has what took longer. A decision takes some 0.1 ms, and 2 s when it waits for keys.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ShadowCount(msgspec.Struct, frozen=True):
    """How often a policy decided `enforced` and its shadow `would_be`: allowed, or a reason."""

    policy: str  # names in gateway.yaml
    shadow: str
    enforced: str
    would_be: str
    count: int


class Measurements(msgspec.Struct, frozen=True):
    """What one worker has measured since its start, or several together."""

    buckets: tuple[int, ...]  # decisions that took as long as the bound of the same place at most, and longer than
    seconds: float  # all decisions together
    remembered: int  # decisions about a token whose signature had been checked before
    verified_tokens: int  # tokens that are remembered now
    cache_is_full: bool  # no decision is called cacheable at the moment
    shadows: tuple[ShadowCount, ...] = ()

    @property
    def decisions(self) -> int:
        """How many decisions there were."""
        return sum(self.buckets)


class Stopwatch:
    """Counts decisions by how long they took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        """One decision took so long."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
