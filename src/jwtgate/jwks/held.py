"""The set that a feed holds, and how it reaches the requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jwtgate.jwks import report
from jwtgate.jwks.kept import Document
from jwtgate.jwks.view import Origin, identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwtgate.jwks.clock import Clocks
    from jwtgate.jwks.group import Group
    from jwtgate.jwks.keysets import KeySets
    from jwtgate.jwks.last_used import LastUsed
    from jwtgate.keys import KeySet

_AT_ONCE = 32  # background fetches in flight; those that a request waits for are not counted


@dataclass(frozen=True, slots=True)
class Around:
    """What all feeds of a store share. `jitter`: a number in [0, 1)."""

    keysets: KeySets
    last_used: LastUsed
    clocks: Clocks
    jitter: Callable[[], float]
    lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


class Held:
    """`published`: the last good set, for all issuers of the group; None: they are unavailable.

    `document`: the same as it came; `origin`: from where.
    """

    def __init__(self, group: Group, around: Around) -> None:
        self.published: KeySet | None = None
        self.document: Document | None = None
        self.origin: Origin | None = None
        self._group = group
        self._around = around

    def use(self, published: KeySet, document: Document, origin: Origin, *, elsewhere: bool = False) -> None:
        """Hold another set. `elsewhere`: another worker has fetched it."""
        now = self._around.clocks.wall()
        first_seen = {name: document.first_seen.get(name, now) for name in map(identity, published.keys)}
        self.document = Document(document.body, document.seen, first_seen)
        self.origin = origin
        before = self.published
        # An equal set stays the same object: requests note the use of a key by the object that they have.
        if before is None or (before.digest, before.notes) != (published.digest, published.notes):
            self.published = published
            self._around.keysets.use(self._group.issuers, published)
            self._around.last_used.move(before, published)
            report.changed(self._group.name, before, published, origin, elsewhere=elsewhere)

    def drop(self, error: str | None) -> None:
        """Hold none. `error`: what the last fetch ended with."""
        gone, self.published = self.published, None
        self.document = self.origin = None
        self._around.keysets.drop(self._group.issuers)
        self._around.last_used.move(gone, None)
        if gone is not None:
            report.dropped(self._group.name, gone, error)
