"""The keys of each issuer, kept fresh in the background.

`keysets` is what a request reads: one dictionary lookup. Everything else happens beside the requests. What is
fetched and when is decided by `jwtgate.keys.freshness`; here it is carried out: one task looks at the
schedule a few times a second, one task per fetch in flight talks to the issuer and reports back.

With a shelf (a private directory) the last good sets outlive the process, and the workers that share it make
one fetch between them: who has the lock asks the issuer, the others find the answer on the shelf.

No fault of an issuer leaves this module as an exception. It is logged once when it begins (warning) and once
when it ends (info), and each change of a set is logged with the ids of the keys that came and went.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

from jwtgate.errors import KeyFetchError, KeyRefusedError
from jwtgate.jwks import report
from jwtgate.jwks.clock import Clocks, steady
from jwtgate.jwks.fetch import Fetcher, Got, RefusedByIssuerError, Same, Seen
from jwtgate.jwks.printable import printable
from jwtgate.jwks.shelf import Entry, Ledger, Record, Shelf, Slot
from jwtgate.jwks.source import Source, listed, make_source, pace_of, static_keyset, usable
from jwtgate.jwks.view import IssuerView, configured, fetched, identity
from jwtgate.keys import read_jwks
from jwtgate.keys.freshness import (
    Adopted,
    Confirmed,
    Deferred,
    Do,
    Emptied,
    Event,
    Failed,
    Freshness,
    KidUnknown,
    Refresh,
    Tick,
    on,
    wake_at,
)
from jwtgate.plan import Discovery, InlineJwks, JwksFile, JwksUrl, SharedSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from jwtgate.keys import KeySet
    from jwtgate.keys.freshness import Pace
    from jwtgate.plan import Issuer

_BEAT = 0.25  # seconds between two looks at the schedule
_SHELF_BEATS = 4  # beats between two looks at the shelf
_AT_ONCE = 32  # background fetches in flight; those that a request waits for are not counted
_LAG = 1.5  # seconds after which we fetch what the worker that fetched last did not fetch again
_LOCK_WAIT = 30.0  # seconds after which a lock that somebody sits on is no longer waited for


@dataclass(slots=True)
class _Held:
    """One issuer whose set can change, and where it stands."""

    issuer: Issuer
    source: Source
    pace: Pace
    slot: Slot | None
    state: Freshness
    wake: float
    opened: bool = False  # whether the shelf has been looked at
    seen: Seen = field(default_factory=Seen)
    body: str = ""
    flight: asyncio.Task[None] | None = None
    error: str | None = None
    origin: str | None = None
    first_seen: dict[str, float] = field(default_factory=dict)


class KeyStore:
    """The key sets of all issuers.

    `issuers`: as in `Plan.issuers`. `directory`: of the shelf; None: nothing is kept or shared. `clocks`: see
    `jwtgate.jwks.clock`. `jitter`: a number in [0, 1). `patience`: how many seconds a request waits at most
    for a fetch.

    Raises KeyRefusedError for keys in the configuration that cannot be used, StartError for a directory that
    cannot.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        *,
        directory: Path | None = None,
        clocks: Clocks | None = None,
        jitter: Callable[[], float] = random.random,
        patience: float = 2.0,
    ) -> None:
        self._clocks = clocks or Clocks()
        self._now, self._wall = self._clocks.steady, self._clocks.wall
        self._jitter = jitter
        self._patience = patience
        self._shelf = None if directory is None else Shelf(directory)
        self._fetcher = Fetcher()
        self._lanes = asyncio.Semaphore(_AT_ONCE)
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._keysets: dict[str, KeySet] = {}
        self._held: dict[str, _Held] = {}
        self._used: dict[tuple[str, str], float] = {}
        self._started = self._wall()
        for issuer in self._issuers.values():
            self._add(issuer)

    @property
    def keysets(self) -> Mapping[str, KeySet]:
        """Issuer name → last good set. Always the same object; an issuer that is unavailable is absent."""
        return self._keysets

    @property
    def missing(self) -> tuple[str, ...]:
        """Issuers with `start: require` whose keys are not there: the gateway is not ready."""
        return tuple(
            name
            for name, held in self._held.items()
            if held.issuer.start == "require" and name not in self._keysets
        )

    async def run(self) -> None:
        """Keep all sets fresh until cancelled."""
        try:
            for held in self._held.values():
                if held.issuer.start != "lazy":
                    self._open(held)
                    await asyncio.sleep(0)  # a thousand issuers must not keep requests waiting
            beats = 0
            while True:
                self.beat()
                await asyncio.sleep(_BEAT)
                beats += 1
                if beats % _SHELF_BEATS == 0 and self._shelf is not None and self._shelf.changed():
                    for held in self._held.values():
                        if held.opened:
                            self._adopt(held)
        finally:
            await self.aclose()

    def beat(self) -> None:
        """Start what is due: one look at the schedule, as `run` does it a few times a second."""
        now = self._now()
        for held in self._held.values():
            while held.wake <= now:
                self._take(held, Tick())

    async def settle(self) -> None:
        """Wait until no fetch is in flight."""
        while flights := [held.flight for held in self._held.values() if held.flight is not None]:
            await asyncio.wait(flights)

    async def aclose(self) -> None:
        """End the fetches in flight and close all connections."""
        flights = [held.flight for held in self._held.values() if held.flight is not None]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._fetcher.aclose()

    async def need(self, issuer: str, kid: str | None) -> None:
        """Called when a token of `issuer` names a key that is not held.

        Waits for the fetch in flight, or for a new one if `min_refetch` allows it, for `patience` seconds at
        most. Returns without a word in every case: what there is to know is in `keysets`.
        """
        held = self._held.get(issuer)
        if held is None:
            return
        if not held.opened:
            self._open(held)
            if self._has(held, kid):
                return
        if self._take(held, KidUnknown(), kid) in (Do.FETCH, Do.WAIT):
            await self._wait(held)

    async def refresh(self, issuer: str) -> None:
        """Fetch now, whatever the schedule says. Waits for the end, `patience` seconds at most."""
        held = self._held.get(issuer)
        if held is not None:
            self._open(held)
            self._take(held, Refresh())
            await self._wait(held)

    def used(self, issuer: str, thumbprint: str) -> None:
        """A token of `issuer` was verified with the key of this thumbprint."""
        self._used[issuer, thumbprint] = self._wall()

    def view(self) -> tuple[IssuerView, ...]:
        """Where each issuer's keys stand."""
        return tuple(self._view(issuer) for issuer in self._issuers.values())

    def _view(self, issuer: Issuer) -> IssuerView:
        keyset = self._keysets.get(issuer.name)
        held = self._held.get(issuer.name)
        if held is None:
            return configured(issuer, keyset, self._used, self._started)
        return fetched(
            issuer,
            keyset,
            self._used,
            held.state,
            self._now(),
            source=held.source.place,
            origin=held.origin,
            error=held.error,
            first_seen=held.first_seen,
        )

    # What is held

    def _add(self, issuer: Issuer) -> None:
        match issuer.keys:
            case SharedSecret() | InlineJwks():
                keyset = static_keyset(issuer)
                if keyset is not None:
                    self._keysets[issuer.name] = keyset
                return
            case JwksUrl() | Discovery() | JwksFile() as keys:
                source = make_source(keys, self._fetcher, self._now)
            case other:
                assert_never(other)
        slot = None
        if self._shelf is not None and source.shared:
            slot = self._shelf.slot(f"{issuer.name}\n{issuer.issuer}\n{source.place}")
        due_at = float("inf") if issuer.start == "lazy" else self._now()
        state = Freshness(due_at=due_at)
        self._held[issuer.name] = _Held(issuer, source, pace_of(source, issuer.pace), slot, state, wake=due_at)

    def _has(self, held: _Held, kid: str | None) -> bool:
        keyset = self._keysets.get(held.issuer.name)
        return keyset is not None and (kid is None or any(key.kid == kid for key in keyset.keys))

    def _use(self, held: _Held, keyset: KeySet, origin: str) -> None:
        held.origin = origin
        now = self._wall()
        held.first_seen = {name: held.first_seen.get(name, now) for name in map(identity, keyset.keys)}
        name = held.issuer.name
        before = self._keysets.get(name)
        # An equal set stays the same object: what was derived from it stays good.
        if before is None or (before.digest, before.notes) != (keyset.digest, keyset.notes):
            self._keysets[name] = keyset
            report.changed(name, before, keyset, origin)

    def _drop(self, held: _Held) -> None:
        gone = self._keysets.pop(held.issuer.name, None)
        held.seen, held.body, held.origin = Seen(), "", None
        # What the issuer has withdrawn must not come back with the next start. (What is merely too old is not used
        # then either, and another worker may just have replaced it.)
        if held.slot is not None and held.state.empty_since is not None:
            held.slot.remove()
        if gone is not None:
            report.dropped(held.issuer.name, gone, held.error)

    # What happens

    def _take(self, held: _Held, event: Event, kid: str | None = None) -> Do:
        """Let the table decide about `event`, and do it."""
        held.state, do = on(held.state, event, self._now(), held.pace)
        held.wake = wake_at(held.state, held.pace)
        match do:
            case Do.FETCH:
                held.flight = asyncio.create_task(self._fly(held, event, kid))
            case Do.DROP:
                self._drop(held)
            case Do.NOTHING | Do.WAIT | Do.KEEP | Do.USE:
                pass
            case _:
                assert_never(do)
        return do

    async def _wait(self, held: _Held) -> None:
        if held.flight is not None:
            await asyncio.wait({held.flight}, timeout=self._patience)

    async def _fly(self, held: _Held, event: Event, kid: str | None) -> None:
        """One flight, from its start to the event that ends it."""
        try:
            if isinstance(event, Tick):
                async with self._lanes:
                    await self._load(held, event, kid)
            else:
                await self._load(held, event, kid)
        # A mistake of ours with one issuer must not end the refreshing of the others, nor that of this one.
        except Exception as error:  # noqa: BLE001 - logged as an error, and retried like any failure
            report.bug(held.issuer.name, error)
            held.error = type(error).__name__
            self._take(held, Failed(self._jitter()))
        finally:
            held.flight = None

    async def _load(self, held: _Held, event: Event, kid: str | None) -> None:
        if held.slot is None:
            await self._ask(held)
            return
        began = self._now()
        async with held.slot.locked(_LOCK_WAIT) as ledger:
            adopted = self._adopt(held)
            entry = None if ledger is None else ledger.read()
            elsewhere = self._elsewhere(held, event, entry, began, found=adopted and self._has(held, kid))
            if elsewhere is not None:
                held.error = held.error if entry is None else entry.error
                self._take(held, elsewhere)
                return
            # Before the fetch: a worker that dies in the middle has asked all the same.
            self._note(held, ledger)
            await self._ask(held)
            self._note(held, ledger)

    async def _ask(self, held: _Held) -> None:
        """Ask the issuer, and let the table know how that went."""
        event: Confirmed | Emptied | Failed
        try:
            answer = await held.source.load(held.seen)
            event = self._read(held, answer)
        except RefusedByIssuerError as error:
            event = Failed(self._jitter(), error.retry_after)
            self._failed(held, str(error))
        except (KeyFetchError, KeyRefusedError) as error:
            event = Failed(self._jitter())
            self._failed(held, str(error))
        self._take(held, event)
        if isinstance(event, Confirmed):
            self._keep(held)
            if held.error is not None:
                report.recovered(held.issuer.name, held.error)
                held.error = None

    def _read(self, held: _Held, answer: Got | Same) -> Confirmed | Emptied:
        match answer:
            case Same(lifetime):
                # Given up as too old while the question was on its way: the next one asks for all of it.
                if held.issuer.name not in self._keysets:
                    raise KeyFetchError(f"{held.source.place}: unchanged, but it is no longer held")
                return Confirmed(lifetime, self._jitter())
            case Got(body, seen, lifetime):
                keyset = read_jwks(body, max_keys=held.source.max_keys).of_issuer(held.issuer.issuer)
                if not usable(keyset, held.issuer):
                    self._failed(held, f"{held.source.place}: no usable key in the set{listed(keyset.notes)}")
                    return Emptied(self._jitter())
                confirmed = Confirmed(lifetime, self._jitter())
                held.seen, held.body = seen, body.decode()
                self._use(held, keyset, "issuer")
                return confirmed
        assert_never(answer)

    def _failed(self, held: _Held, text: str) -> None:
        name = held.issuer.name
        first, held.error = held.error is None, printable(text)
        report.failed(name, held.error, first=first, serving=name in self._keysets)

    # The shelf

    def _open(self, held: _Held) -> None:
        if not held.opened:
            held.opened = True
            self._adopt(held)

    def _adopt(self, held: _Held) -> bool:
        """Take over what is on the shelf, if it is newer than what we hold. Returns whether it was."""
        if held.slot is None:
            return False
        name = held.issuer.name
        try:
            record = held.slot.read()
            if record is None:
                return False
            keyset = read_jwks(record.jwks.encode(), max_keys=held.source.max_keys).of_issuer(held.issuer.issuer)
        except (KeyFetchError, KeyRefusedError) as error:
            report.snapshot_ignored(name, str(error))
            return False
        confirmed_at = self._clocks.past(record.confirmed_at)
        if confirmed_at is None:
            report.snapshot_ignored(name, "it was written in the future, so its age is unknown")
            return False
        due_at = self._clocks.to_steady(record.due_at) + _LAG
        if not usable(keyset, held.issuer) or self._take(held, Adopted(confirmed_at, due_at)) is not Do.USE:
            return False
        held.seen, held.body = Seen(record.etag, record.last_modified), record.jwks
        held.first_seen = dict(record.first_seen)
        held.error = None
        self._use(held, keyset, "snapshot or another worker")
        return True

    def _keep(self, held: _Held) -> None:
        """Put what we hold on the shelf."""
        if held.slot is None or held.state.confirmed_at is None:
            return
        record = Record(
            issuer=held.issuer.issuer,
            confirmed_at=self._clocks.to_wall(held.state.confirmed_at),
            due_at=self._clocks.to_wall(held.state.due_at),
            jwks=held.body,
            etag=held.seen.etag,
            last_modified=held.seen.last_modified,
            first_seen=held.first_seen,
        )
        try:
            held.slot.write(record)
        except OSError as error:
            report.snapshot_unwritable(held.issuer.name, error.strerror or str(error))

    def _note(self, held: _Held, ledger: Ledger | None) -> None:
        state = held.state
        if ledger is not None:
            entry = Entry(
                due_at=self._clocks.to_wall(min(state.due_at, self._now() + held.pace.most)),
                forced_at=None if state.forced_at is None else self._clocks.to_wall(state.forced_at),
                failures=state.failures,
                empty_since=None if state.empty_since is None else self._clocks.to_wall(state.empty_since),
                error=held.error,
            )
            ledger.write(entry)

    def _elsewhere(
        self, held: _Held, event: Event, entry: Entry | None, began: float, *, found: bool
    ) -> Deferred | None:
        """Where the fetches of the other workers stand, if they have made this one needless."""
        state, now = held.state, self._now()
        forced_at = None if entry is None else self._clocks.past(entry.forced_at)
        stand = Deferred(
            due_at=state.due_at,
            forced_at=forced_at,
            failures=state.failures if entry is None else entry.failures,
            empty_since=state.empty_since if entry is None else self._clocks.past(entry.empty_since),
        )
        confirmed_since = state.confirmed_at is not None and state.confirmed_at > began
        match event:
            case KidUnknown():
                limited = forced_at is not None and now < forced_at + held.pace.min_refetch
                return stand if found or confirmed_since or limited else None
            case Refresh():
                return stand if confirmed_since else None
            case _:
                if now < state.due_at:
                    return stand
                failing = entry is not None and entry.failures > 0
                retry_at = self._clocks.to_steady(entry.due_at) if entry is not None and failing else now
                if now < retry_at:
                    return replace(stand, due_at=min(retry_at, now + held.pace.retry_most) + _LAG)
                return None


async def fetch_once(issuer: Issuer) -> KeySet:
    """The keys of `issuer`, read now, for a command that runs once; their notes say what was skipped.

    Raises KeyFetchError when they cannot be had, KeyRefusedError when they cannot be used.
    """
    fetcher = Fetcher()
    match issuer.keys:
        case JwksUrl() | Discovery() | JwksFile() as keys:
            source = make_source(keys, fetcher, steady)
        case _:
            keyset = static_keyset(issuer)
            if keyset is None:
                raise KeyFetchError(f"issuer {issuer.name}: its keys have no source")
            return keyset
    try:
        answer = await source.load(Seen())
    finally:
        await fetcher.aclose()
    if not isinstance(answer, Got):
        raise KeyFetchError(f'{source.place}: answered "unchanged" to a first request')
    return read_jwks(answer.body, max_keys=source.max_keys).of_issuer(issuer.issuer)
