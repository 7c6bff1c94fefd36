"""One feed's place on the shelf, on the feed's own clock.

A record outlives the boot in which it was written, so that its age may have to be found by the wall clock. What a
wall clock that was wrong has written is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """The record and the ledger of one feed. `patience`: seconds that a fetch takes at most."""

    def __init__(self, slot: Slot, clocks: Clocks, patience: float) -> None:
        self._slot = slot
        self._clocks = clocks
        self._patience = patience

    def read(self, max_stale: float) -> Found | None:
        """The record if it is another one than at the last call. Raises KeyFetchError for one that is no use."""
        record = self._slot.read()
        if record is None:
            return None
        confirmed_at = record.confirmed(self._clocks)
        if confirmed_at is None:
            raise KeyFetchError(self.not_used("it was written in the future, so its age is unknown"))
        age = self._clocks.steady() - confirmed_at
        if age >= max_stale:
            why = f"the issuer confirmed it {age:.6g} s ago, expected less than {max_stale:.6g} s (max_stale)"
            raise KeyFetchError(self.not_used(why))
        document = Document(record.jwks, Seen(record.etag, record.last_modified), record.first_seen)
        due_at = confirmed_at + record.lifetime + _LAG
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
        wall = self._clocks.to_wall(state.confirmed_at)
        record = Record(
            issuer=issuer,
            confirmed_at=wall,
            due_at=wall + (state.due_at - state.confirmed_at),
            boot=self._clocks.boot,
            steady_at=state.confirmed_at,
            jwks=document.body,
            etag=document.seen.etag,
            last_modified=document.seen.last_modified,
            first_seen=dict(document.first_seen),
        )
        self._slot.write(record)

    def remove(self) -> bool:
        """Forget the record. Whether it is gone."""
        return self._slot.remove()

    def locked(self) -> AbstractAsyncContextManager[Ledger | None]:
        """Hold the lock. None: it cannot be had while somebody fetches, and one has to go on without it."""
        return self._slot.locked(self._patience + _LAG)

    def entry(self, ledger: Ledger | None) -> Entry | None:
        """What the ledger says about the last fetch."""
        return None if ledger is None else ledger.read(self._clocks)

    def note(self, ledger: Ledger | None, state: Freshness, pace: Pace, asked: Asked) -> None:
        """Let the other workers know where our fetches stand."""
        if ledger is None:
            return
        ledger.write(
            Entry(
                boot=self._clocks.boot,
                due_at=min(state.due_at, self._clocks.steady() + pace.most),
                asked_at=max(asked.asked_at, 0.0),
                whole_at=max(asked.whole_at, 0.0),
                forced_at=state.forced_at,
                failures=state.failures,
                empty_since=state.empty_since,
                empty_at=state.empty_at,
                error=asked.error,
                error_at=None if asked.error is None else asked.last_error_at,
            )
        )

    def shares(self, entry: Entry, state: Freshness) -> bool:
        """Whether we have what the last fetch brought, in whichever worker.

        Not a set that another worker has fetched and that we could not take over: the disk is full.
        """
        return entry.failures > 0 or (state.confirmed_at is not None and state.confirmed_at >= entry.asked_at)

    def joined(self, entry: Entry | None, state: Freshness) -> Freshness:
        """Our state, with what the other workers know besides: an empty set, and the last fetch for an unknown
        kid."""
        if entry is None:
            return state
        forced = [at for at in (state.forced_at, self._forced_at(entry, state)) if at is not None]
        return replace(doubted(state, entry.empty_since, entry.empty_at), forced_at=max(forced, default=None))

    def elsewhere(
        self, entry: Entry | None, event: Event, state: Freshness, pace: Pace, *, since: float, found: bool
    ) -> Deferred | None:
        """Where the fetches of the other workers stand, if they have made the one for `event` needless.

        `since`: only a fetch that began after this moment is one for `event`. `found`: what that asks for is there
        meanwhile.
        """
        now = self._clocks.steady()
        stand = Deferred(due_at=state.due_at, forced_at=None, failures=state.failures)
        if entry is None:
            return stand if found or (not isinstance(event, KidUnknown | Refresh) and now < state.due_at) else None
        shared = self.shares(entry, state)
        forced_at = self._forced_at(entry, state)
        stand = Deferred(state.due_at, forced_at, entry.failures, entry.empty_since, entry.empty_at)
        retry_at, retried_elsewhere = now, stand
        if entry.failures > 0:
            retry_at = min(entry.due_at, now + pace.retry_most)
            retried_elsewhere = replace(stand, due_at=retry_at + _LAG)
        match event:
            case KidUnknown():
                limited = forced_at is not None and now < forced_at + pace.min_refetch
                return stand if found or limited or (shared and entry.asked_at > since) else None
            case Refresh():
                return retried_elsewhere if shared and entry.whole_at > since else None
            case _:
                if now < state.due_at:
                    return stand
                return retried_elsewhere if now < retry_at else None

    def _forced_at(self, entry: Entry, state: Freshness) -> float | None:
        """When an unknown kid last caused a fetch, if that counts."""
        # One that has begun and never ended has gone with its worker; what one has brought and we lack, we fetch.
        ended = entry.forced_at is not None and entry.forced_at <= entry.asked_at
        return entry.forced_at if ended and self.shares(entry, state) else None
