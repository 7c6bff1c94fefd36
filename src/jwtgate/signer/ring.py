"""The keys as the endpoints see them: a copy in memory that is refreshed in the background.

So the key set is served, whatever becomes of the database. Which key signs and which are published follows from
the copy and the time. A copy that could not be refreshed for a while may lack a key that another signer has
announced: the key set may then be cached for the shorter, so that nobody keeps it beyond the moment in which that
key signs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.errors import StoreError
from jwtgate.keys import KeySet, read_jwks
from jwtgate.keys.lifecycle import PUBLISHED, KeyState, margin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwtgate.keys import SigningKey
    from jwtgate.signer.key_store import HeldKey, KeyStore


@dataclass(frozen=True, slots=True)
class Published:
    """A key set: its bytes, its entity tag in quotes, and as what we ourselves verify by."""

    document: bytes
    entity_tag: str
    keys: KeySet


class KeyRing:
    """The keys. `refresh` in a thread, everything else anywhere."""

    def __init__(self, store: KeyStore, algorithms: Sequence[str], jwks_max_age: int) -> None:
        self._store = store
        self._algorithms = tuple(algorithms)
        self._jwks_max_age = jwks_max_age
        self._held: tuple[HeldKey, ...] = ()
        self._refreshed = 0.0
        self._published: tuple[tuple[str, ...], Published] | None = None

    def refresh(self, now: float) -> None:
        """Carry out what is due, and read the keys anew. Raises StoreError and StartError; the old copy stays."""
        self._store.tick(now)
        self._held = self._store.load(now, self._held)
        self._refreshed = now

    def signing(self, now: float, algorithm: str | None = None) -> SigningKey:
        """The key that signs: by `algorithm` if there is one, else by the first that has one."""
        # Who waited for the database asks for a moment that is over: the copy knows of a later one.
        now = max(now, self._refreshed)
        found = {
            held.signing.algorithm: held.signing
            for held in sorted(self._held, key=lambda held: held.times.signs_from)
            if held.signing is not None and held.times.state(now) is KeyState.SIGNING
        }
        for name in (algorithm, *self._algorithms, *found):
            if name in found:
                return found[name]
        raise StoreError("no key is signing")

    def published(self, now: float) -> Published:
        """The key set at `now`."""
        by_state = [(held.times.state(now), held) for held in self._held]
        shown = [held for wanted in PUBLISHED for state, held in by_state if state is wanted]
        kids = tuple(held.times.kid for held in shown)
        cached = self._published
        if cached is not None and cached[0] == kids:
            return cached[1]
        document = json.dumps({"keys": [held.public for held in shown]}, separators=(",", ":")).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(document).digest()).rstrip(b"=").decode()
        published = Published(document, f'"{digest}"', read_jwks(document))
        self._published = kids, published
        return published

    def max_age(self, now: float) -> int:
        """For how long the key set may be cached, seconds."""
        age = max(0, int(now - self._refreshed))
        return max(0, self._jwks_max_age - max(0, age - margin(self._jwks_max_age) // 2))

    @property
    def shared_cache_age(self) -> int:
        """For how long a cache that does not tell its age may keep the key set, seconds: half of the margin."""
        return margin(self._jwks_max_age) // 2

    def lags(self, now: float) -> bool:
        """Whether the copy is old: the database cannot be reached."""
        return now - self._refreshed > LAG


LAG = 5.0
"""Seconds without a refresh after which something is wrong with the database."""

REFRESH = 0.5
"""Seconds between two refreshes: well below the least `margin`."""
