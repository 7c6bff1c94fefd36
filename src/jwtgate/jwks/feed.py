"""One place that keys are read from, for one issuer or a group of them.

When it is asked is decided by `jwtgate.keys.freshness`; here it is carried out. One flight at a time talks to the
issuer, or finds on the shelf what another worker has fetched, and reports back.

No fault of an issuer leaves this module as an exception. Each fault of an outage is logged once (warning), and so
is its end (info); each change of a set is logged with the ids of the keys that came and went.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, NamedTuple, assert_never

from jwtgate.errors import KeyFetchError, KeyRefusedError
from jwtgate.jwks import report
from jwtgate.jwks.asked import Asked
from jwtgate.jwks.fetch import ANEW, Got, RefusedByIssuerError, Same, Seen
from jwtgate.jwks.held import Held
from jwtgate.jwks.imported import import_jwks
from jwtgate.jwks.kept import Document
from jwtgate.jwks.keysets import usable_by_any
from jwtgate.jwks.printable import printable
from jwtgate.jwks.source import listed, pace_of
from jwtgate.keys.freshness import (
    Adopted,
    Confirmed,
    Do,
    Emptied,
    Event,
    Failed,
    Freshness,
    KidUnknown,
    Missed,
    Refresh,
    Tick,
    first_after,
    on,
    wake_at,
    withdrawn,
)

if TYPE_CHECKING:
    from jwtgate.jwks.group import Group
    from jwtgate.jwks.held import Around
    from jwtgate.jwks.kept import Kept
    from jwtgate.jwks.source import Source
    from jwtgate.jwks.view import Coming
    from jwtgate.keys import KeySet


class _Wish(NamedTuple):
    """What somebody waits for: a fetch that began after `since`, or what `KeySets.has` says of a token's key."""

    since: float
    key: tuple[str, str | None, KeySet | None] | None = None


class Feed:
    """The keys of an issuer, or of all tenants that have the same keys, kept fresh.

    `wake` is when `beat` has something to do. `spread`: seconds over which all issuers of the store are asked.
    """

    def __init__(
        self, group: Group, source: Source, kept: Kept | None, around: Around, spread: float = 0.0
    ) -> None:
        self.group = group
        self.source = source
        self.asked = Asked()
        self.held = Held(group, around)
        if group.start == "require" or not source.shared:
            spread = 0.0
        self._pace = pace_of(source, group.pace, spread)
        self._first_at = around.clocks.steady() + first_after(spread, around.jitter() if spread else 0.0)
        self.state = Freshness(due_at=inf if group.start == "lazy" else self._first_at)
        self.wake = self.state.due_at
        self._kept = kept
        self._around = around
        self._opened = False  # whether the shelf has been looked at
        self._outlived = False  # an older set is on the shelf that could be neither replaced nor removed
        self._adopting = asyncio.Lock()
        self._born = around.clocks.wall()
        self._flight: asyncio.Task[None] | None = None
        self._queueing: asyncio.Task[bool] | None = None
        self._awaited_since = inf  # when somebody first waited for the flight

    @property
    def coming(self) -> Coming | None:
        """What there is instead of a set while nobody has asked for one; None: somebody has."""
        if self.held.published is not None or self.state.failures:
            return None
        return "kept" if not self._opened and self._kept is not None and self._kept.exists() else "pending"

    # What happens

    def beat(self, now: float) -> None:
        """Do what is due."""
        while self.wake <= now:
            self._take(Tick())

    async def look(self) -> None:
        """Something on the shelf has changed."""
        if self._opened and not await self._adopt() and self._kept is not None and self._kept.missed():
            self._take(Missed())

    async def need(self, issuer: str, kid: str | None, tried: KeySet | None, patience: float) -> bool:
        """Wait for the fetch that may bring this key, if one is under way or allowed.

        Whether the last fetch brought an answer. A fetch is waited for by all requests together for `patience`
        seconds: from then on it is one that brings none, also for those that come later.
        """
        wish = _Wish(self._around.clocks.steady(), (issuer, kid, tried))
        await self._adopt()  # another worker may have fetched it a moment ago
        if self._has(wish):
            return True
        return await self._have_asked(KidUnknown(), wish, patience) and self.asked.error is None

    async def refresh(self, patience: float, since: float) -> bool:
        """Fetch all of it now, whatever the schedule says, unless another worker has done so after `since`.

        Whether that has brought an answer in time, which is what is held now, and by those who start from now on.
        """
        await self._open()
        ended = await self._have_asked(Refresh(), _Wish(since), patience)
        answered = ended and self.asked.whole_at >= since and self.asked.error is None
        return answered and not self._outlived

    async def settle(self) -> None:
        """Wait until no fetch is in flight."""
        while self._flight is not None:
            await asyncio.wait({self._flight})

    async def aclose(self) -> None:
        """End the fetch in flight."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    def _take(self, event: Event, wish: _Wish | None = None) -> Do:
        """Let the table decide about `event`, and do it."""
        self.state, do = on(self.state, event, self._around.clocks.steady(), self._pace)
        self.wake = wake_at(self.state, self._pace)
        match do:
            case Do.FETCH:
                if isinstance(event, KidUnknown | Refresh):
                    self._awaited_since = self._around.clocks.steady()
                self._flight = asyncio.create_task(self._fly(event, wish))
            case Do.DROP:
                self._give_up()
            case Do.WAIT:
                # Somebody waits for it now: it no longer waits for its turn.
                self._awaited_since = min(self._awaited_since, self._around.clocks.steady())
                if self._queueing is not None:
                    self._queueing.cancel()
            case Do.NOTHING | Do.KEEP | Do.USE:
                pass
            case _:
                assert_never(do)
        return do

    async def _have_asked(self, event: KidUnknown | Refresh, wish: _Wish, patience: float) -> bool:
        """Wait for what is wished for, if a fetch is allowed. False: that has not ended in time.

        The fetch in flight may have left before the issuer published the key, or may not ask for all of it. So it
        is waited for, and if it did not bring what is wished for, so is the next one.
        """
        began = self._around.clocks.steady()
        for _ in range(3):
            if self._take(event, wish) not in (Do.FETCH, Do.WAIT):
                break
            waited = self._around.clocks.steady() - min(began, self._awaited_since)
            if not await self._wait(max(0.0, patience - waited)):
                return False
            asked_at = self.asked.whole_at if isinstance(event, Refresh) else self.asked.asked_at
            if asked_at >= wish.since or self._has(wish):
                break
        return True

    async def _wait(self, patience: float) -> bool:
        """Whether the flight has ended in time, and not with this process."""
        flight = self._flight
        if flight is None:
            return False
        await asyncio.wait({flight}, timeout=patience)
        return flight.done() and not flight.cancelled()

    def _has(self, wish: _Wish | None) -> bool:
        """Whether the key that is wished for is there."""
        return wish is not None and wish.key is not None and self._around.keysets.has(*wish.key)

    # A flight

    async def _fly(self, event: Event, wish: _Wish | None) -> None:
        """One flight, from its start to the event that ends it."""
        in_lane = False
        try:
            await self._open()
            in_lane = isinstance(event, Tick) and await self._turn()
            await self._load(event, wish)
        # A mistake of ours with one issuer must not end the refreshing of the others, nor that of this one.
        except Exception as error:  # noqa: BLE001 - logged as an error, and retried like any failure
            report.bug(self.group.name, error)
            self.asked.heard(type(error).__name__, self._around.clocks.wall())
            self._take(Failed(self._around.jitter()))
        finally:
            if in_lane:
                self._around.lanes.release()
            # Since its end was told, another one may have begun.
            if self._flight is asyncio.current_task():
                self._flight = None
                self._awaited_since = inf

    async def _turn(self) -> bool:
        """Wait for a lane. False: without one, because a request came to wait for us."""
        if self._awaited_since < inf:
            return False
        if not self._around.lanes.locked():
            return await self._around.lanes.acquire()
        queueing = self._queueing = asyncio.create_task(self._around.lanes.acquire())
        try:
            await asyncio.wait({queueing})
        finally:
            self._queueing = None
            if not queueing.done():
                queueing.cancel()
        return not queueing.cancelled()

    async def _load(self, event: Event, wish: _Wish | None) -> None:
        if self._kept is None:
            await self._ask(event)
            return
        async with self._kept.locked() as ledger:
            await self._adopt()
            entry = self._kept.entry(ledger)
            if entry is not None and entry.error is not None:
                self.asked.outage.is_new(entry.error)  # who wrote it has told it
            if entry is not None and self._kept.shares(entry, self.state):
                self.asked.asked_at = max(self.asked.asked_at, entry.asked_at)
                if entry.error is None:
                    self.asked.whole_at = max(self.asked.whole_at, entry.whole_at)
            since = self._around.clocks.steady() if wish is None else wish.since
            found = self._has(wish)
            elsewhere = self._kept.elsewhere(entry, event, self.state, self._pace, since=since, found=found)
            if elsewhere is not None:
                if entry is not None:
                    now = self._around.clocks.wall()
                    self.asked.heard(entry.error, now if entry.error_at is None else min(entry.error_at, now))
                self._take(elsewhere)
                return
            self.state = self._kept.joined(entry, self.state)
            # Before the fetch: a worker that dies in the middle has asked all the same.
            self._kept.note(ledger, self.state, self._pace, self.asked)
            await self._ask(event)
            self._kept.note(ledger, self.state, self._pace, self.asked)

    async def _ask(self, why: Event) -> None:
        """Ask the issuer, and let the table know how that went."""
        event: Confirmed | Emptied | Failed
        began, whole = self._around.clocks.steady(), isinstance(why, Refresh)
        self.asked.fetches += 1
        try:
            seen = Seen() if self.held.document is None else self.held.document.seen
            event = await self._read(await self.source.load(ANEW if whole else seen))
        except RefusedByIssuerError as error:
            event = Failed(self._around.jitter(), error.retry_after)
            self._failed(str(error))
        except KeyFetchError as error:
            event = Failed(self._around.jitter())
            self._failed(str(error))
        except KeyRefusedError as error:
            event = Failed(self._around.jitter())
            self._failed(f"{self.source.place}: {error}")
        self.asked.ended(began, whole=whole)
        if isinstance(event, Confirmed) and self.asked.error is not None:
            report.recovered(self.group.name, self.asked.error)
            self.asked.heard(None, self._around.clocks.wall())
        self._take(event)
        await asyncio.sleep(0)  # to use a large set takes 10 ms, and so does to write it: requests first
        if isinstance(event, Confirmed):
            self._keep()

    async def _read(self, answer: Got | Same) -> Confirmed | Emptied:
        match answer:
            case Same(lifetime):
                # Given up as too old while the question was on its way: the next one asks for all of it.
                if self.held.published is None:
                    raise KeyFetchError(f"{self.source.place}: unchanged, but it is no longer held")
                self.held.origin = self.source.origin
                return Confirmed(lifetime, self._around.jitter())
            case Got(body, seen, lifetime):
                keyset = await import_jwks(body, max_keys=self.source.max_keys)
                if not usable_by_any(keyset, self.group.issuers):
                    why = listed(keyset.of_issuer(self.group.issuers[0].issuer).notes)
                    self._failed(f"{self.source.place}: no usable key in the set{why}")
                    return Emptied(self._around.jitter())
                before = {} if self.held.document is None else self.held.document.first_seen
                confirmed = Confirmed(lifetime, self._around.jitter())
                self.held.use(keyset, Document(body.decode(), seen, before), self.source.origin)
                return confirmed
        assert_never(answer)

    def _failed(self, text: str) -> None:
        error = printable(text)
        self.asked.failures += 1
        self.asked.heard(error, self._around.clocks.wall())
        new = self.asked.outage.is_new(error)
        report.failed(self.group.name, error, new=new, serving=self.held.published is not None)

    def _give_up(self) -> None:
        """What is held is too old, or withdrawn."""
        self.held.drop(self.asked.error)
        # What the issuer has withdrawn must not come back with the next start. (What is merely too old is not used
        # then either, and another worker may just have replaced it.)
        if self._kept is not None and withdrawn(self.state, self._pace):
            self._kept.remove()

    # The shelf

    async def _open(self) -> None:
        """Take over what is on the shelf from before."""
        if not self._opened:
            await self._adopt()

    async def _adopt(self) -> bool:
        """Take over what is on the shelf, if it is newer than what we hold. Returns whether it was."""
        async with self._adopting:  # who comes second finds it done
            adopted = await self._take_over()
            self._opened = True
            return adopted

    async def _take_over(self) -> bool:
        if self._kept is None:
            return False
        try:
            found = self._kept.read(self._pace.max_stale)
            if found is None:
                return False
            keyset = await import_jwks(found.document.body.encode(), max_keys=self.source.max_keys)
        except KeyFetchError as error:
            report.snapshot_ignored(self.group.name, str(error))
            return False
        except KeyRefusedError as error:
            report.snapshot_ignored(self.group.name, self._kept.not_used(str(error)))
            return False
        if not usable_by_any(keyset, self.group.issuers):
            why = "it holds no key that could verify a token of this issuer"
            report.snapshot_ignored(self.group.name, self._kept.not_used(why))
            return False
        # All the sets of a gateway that was down for long are due.
        adopted = Adopted(found.confirmed_at, max(found.due_at, self._first_at))
        if self._take(adopted) is not Do.USE:
            return False
        self.asked.heard(None, self._around.clocks.wall())
        if found.written_at < self._born:
            self.held.use(keyset, found.document, "snapshot")
        else:
            self.held.use(keyset, found.document, self.source.origin, elsewhere=True)
        return True

    def _keep(self) -> None:
        """Put what we hold on the shelf."""
        if self._kept is None or self.held.document is None:
            return
        try:
            self._kept.write(self.group.issuer, self.held.document, self.state)
        except OSError as error:
            report.snapshot_unwritable(self.group.name, error.strerror or str(error))
            # An older one must not come back with the next start, nor in a worker that begins anew.
            self._outlived = not self._kept.remove()
        else:
            self._outlived = False
