"""How often an authentication may fail: a bucket for each name that is presented, be it a client's or nobody's.

So a stranger is refused in the same way whatever the name, and no refusal tells whether there is such a client.
A client whose secret is remembered as right is never asked: nobody locks it out by guessing.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from typing import Final

BURST: Final = 10  # failures at once
EVERY: Final = 6.0  # seconds until one more is allowed
_BUCKETS: Final = 10_000


class Attempts:
    """Counts failures. Safe in threads. Times are any clock's that does not go back."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[bytes, float] = OrderedDict()  # when a bucket's last failure is forgotten
        self._lock = threading.Lock()

    def wait(self, name: str, now: float) -> int:
        """Seconds until another attempt under this name is allowed; 0: it is."""
        over = self._full_at.get(_bucket(name), now) - now - (BURST - 1) * EVERY
        return max(0, math.ceil(over))

    def failed(self, name: str, now: float) -> None:
        """Count a failure."""
        bucket = _bucket(name)
        with self._lock:
            self._full_at[bucket] = max(now, self._full_at.get(bucket, now)) + EVERY
            self._full_at.move_to_end(bucket)
            while len(self._full_at) > _BUCKETS:
                self._full_at.popitem(last=False)


def _bucket(name: str) -> bytes:
    """A stranger's name, which may be long, in few bytes."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
