"""How often an authentication may fail: a bucket for each client, and one for all names that are no client's.

A client whose secret is remembered as right is never asked: nobody locks it out by guessing.
"""

from __future__ import annotations

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
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when a bucket's last failure is forgotten
        self._lock = threading.Lock()

    def wait(self, client: str, now: float) -> int:
        """Seconds until another attempt is allowed; 0: it is."""
        over = self._full_at.get(client, now) - now - (BURST - 1) * EVERY
        return max(0, math.ceil(over))

    def failed(self, client: str, now: float) -> None:
        """Count a failure."""
        with self._lock:
            self._full_at[client] = max(now, self._full_at.get(client, now)) + EVERY
            self._full_at.move_to_end(client)
            while len(self._full_at) > _BUCKETS:
                self._full_at.popitem(last=False)
