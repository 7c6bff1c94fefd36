"""One feed's place on the shelf, on the feed's own clock.

The shelf speaks of wall-clock time, since it outlives the machine's uptime; a feed counts on a clock that
nobody can set. Here one is turned into the other. What a wall clock that was wrong has written is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from jwtgate.errors import KeyFetchError
from jwtgate.jwks.fetch import Seen
from jwtgate.jwks.shelf import Entry, Record
from jwtgate.keys.freshness import Deferred, KidUnknown, Refresh, doubted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from jwtgate.jwks.asked import Asked
    from jwtgate.jwks.clock import Clocks
    from jwtgate.jwks.shelf import Ledger, Slot
    from jwtgate.keys.freshness import Event, Freshness, Pace

_LAG = 1.5  # seconds after which we fetch what the worker that fetched last did not fetch again
_LOCK_WAIT = 30.0  # seconds after which a lock that somebody sits on is no longer waited for


@dataclass(frozen=True, slots=True)
class Document:
    """A key set as it was published. `first_seen`: wall-clock seconds, by `view.identity`."""

    body: str
    seen: Seen
    first_seen: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Found:
    """What lay on the shelf: a document, when it was confirmed, and when we would ask for it again."""

    document: Document
    confirmed_at: float
    due_at: float
    written_at: float  # `confirmed_at` as a wall clock showed it


class Kept:
    """The record and the ledger of one feed."""

    def __init__(self, slot: Slot, clocks: Clocks) -> None:
        self._slot = slot
        self._clocks = clocks

    def read(self, max_stale: float) -> Found | None:
        """The record if it is another one than at the last call. Raises KeyFetchError for one that is no use."""
        record = self._slot.read()
        if record is None:
            return None
        confirmed_at = self._clocks.past(record.confirmed_at)
        if confirmed_at is None:
            raise KeyFetchError(self.not_used("it was written in the future, so its age is unknown"))
        age = self._clocks.steady() - confirmed_at
        if age >= max_stale:
            why = f"the issuer confirmed it {age:.6g} s ago, expected less than {max_stale:.6g} s (max_stale)"
            raise KeyFetchError(self.not_used(why))
        document = Document(record.jwks, Seen(record.etag, record.last_modified), record.first_seen)
        due_at = self._clocks.to_steady(record.due_at) + _LAG
        return Found(document, confirmed_at, due_at, record.confirmed_at)

    def not_used(self, why: str) -> str:
        """What to say about a record that is no use."""
        return self._slot.not_used(why)

    def exists(self) -> bool:
        """Whether there is a record, be it of any use or none."""
        return self._slot.exists()

    def missed(self) -> bool:
        """Whether another worker has removed the record. Says so once."""
        return self._slot.missed()

    def write(self, issuer: str, document: Document, state: Freshness) -> None:
        """Replace the record. Raises OSError."""
        if state.confirmed_at is None:
            return
        record = Record(
            issuer=issuer,
            confirmed_at=self._clocks.to_wall(state.confirmed_at),
            due_at=self._clocks.to_wall(state.due_at),
            jwks=document.body,
            etag=document.seen.etag,
            last_modified=document.seen.last_modified,
            first_seen=dict(document.first_seen),
        )
        self._slot.write(record)

    def remove(self) -> None:
        """Forget the record: its issuer has withdrawn the set."""
        self._slot.remove()

    def locked(self) -> AbstractAsyncContextManager[Ledger | None]:
        """Hold the lock. None: it cannot be had, and one has to go on without it."""
        return self._slot.locked(_LOCK_WAIT)

    def note(self, ledger: Ledger | None, state: Freshness, pace: Pace, asked: Asked) -> None:
        """Let the other workers know where our fetches stand."""
        if ledger is None:
            return
        wall, now = self._clocks.to_wall, self._clocks.steady()
        ledger.write(
            Entry(
                due_at=wall(min(state.due_at, now + pace.most)),
                asked_at=None if asked.asked_at == -inf else wall(asked.asked_at),
                forced_at=None if state.forced_at is None else wall(state.forced_at),
                failures=state.failures,
                empty_since=None if state.empty_since is None else wall(state.empty_since),
                empty_at=None if state.empty_at is None else wall(state.empty_at),
                error=asked.error,
                error_at=None if asked.error is None else asked.last_error_at,
            )
        )

    def asked_at(self, entry: Entry) -> float:
        """When the last fetch that has ended began, in whichever worker."""
        asked_at = self._clocks.past(entry.asked_at)
        return -inf if asked_at is None else asked_at

    def doubted(self, entry: Entry | None, state: Freshness) -> Freshness:
        """Our state, with what the other workers have seen of an empty set."""
        if entry is None:
            return state
        return doubted(state, self._clocks.past(entry.empty_since), self._clocks.past(entry.empty_at))

    def elsewhere(
        self, entry: Entry | None, event: Event, state: Freshness, pace: Pace, *, since: float, found: bool
    ) -> Deferred | None:
        """Where the fetches of the other workers stand, if they have made the one for `event` needless.

        `since`: only a fetch that began after this moment is one for `event`. `found`: what that asks for is there
        meanwhile.
        """
        now = self._clocks.steady()
        asked = entry is not None and self.asked_at(entry) > since
        forced_at = None if entry is None else self._clocks.past(entry.forced_at)
        stand = Deferred(
            due_at=state.due_at,
            forced_at=forced_at,
            failures=state.failures if entry is None else entry.failures,
            empty_since=state.empty_since if entry is None else self._clocks.past(entry.empty_since),
            empty_at=state.empty_at if entry is None else self._clocks.past(entry.empty_at),
        )
        if entry is not None and entry.failures > 0:
            retry_at = min(self._clocks.to_steady(entry.due_at), now + pace.retry_most)
            retried_elsewhere = replace(stand, due_at=retry_at + _LAG)
        else:
            retry_at, retried_elsewhere = now, stand
        match event:
            case KidUnknown():
                limited = forced_at is not None and now < forced_at + pace.min_refetch
                return stand if found or asked or limited else None
            case Refresh():
                return retried_elsewhere if asked else None
            case _:
                if now < state.due_at:
                    return stand
                return retried_elsewhere if now < retry_at else None
