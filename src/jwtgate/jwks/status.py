"""The status lists of issuers, kept fresh in the background as their keys are.

`Standing.lists` is what a request reads. When a list is fetched and given up is decided by
`jwtgate.keys.freshness`, with a pace of its own: lists are short-lived, so a max-age of seconds is obeyed. A list
is used only when one of its issuer's own keys signed it, and its `sub` is the URI that it was fetched from.

The workers of a gateway share the shelf of the keys: who has a list's lock asks the issuer, the others find the
answer there, verify it for themselves, and ask nobody.

A list of a sharded issuer is fetched when the first token names it, and forgotten when none has named it between
two fetches. No fault of an issuer leaves this module as an exception.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from jwtgate.errors import KeyFetchError, StatusListRefusedError
from jwtgate.jwks.clock import Clocks
from jwtgate.jwks.fetch import Fetcher, Got, RefusedByIssuerError, Seen
from jwtgate.jwks.printable import printable
from jwtgate.jwks.report import Outage
from jwtgate.jwks.shelf import Entry, Record, Shelf
from jwtgate.jwks.status_view import StatusListView
from jwtgate.jwks.store import KeyStore
from jwtgate.keys.freshness import (
    Adopted,
    Confirmed,
    Deferred,
    Do,
    Event,
    Failed,
    Freshness,
    KidUnknown,
    Pace,
    Tick,
    on,
    wake_at,
)
from jwtgate.revocation import HeldList, Standing, read_status_token
from jwtgate.revocation.status_token import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from jwtgate.jwks.shelf import Ledger, Slot
    from jwtgate.plan import Issuer, StatusLists
    from jwtgate.revocation import StatusListToken

MAX_SHARDS = 256  # lists of one issuer that are followed because tokens named them

_BEAT = 0.1  # seconds between two looks at the schedule
_LOCK_WAIT = 15.0  # seconds after which a lock that somebody sits on is no longer waited for

_ONCE = 60.0  # seconds that a command waits; the fetch has limits of its own

# Seconds. `max_stale` is the issuer's.
_PACE = Pace(least=1, most=600, default=60, min_refetch=5, retry_first=1, retry_most=10)

_log = structlog.get_logger("jwtgate.status")


@dataclass(slots=True)
class _Followed:
    """One list, and where it stands."""

    issuer: Issuer
    lists: StatusLists
    uri: str
    pace: Pace
    slot: Slot | None
    state: Freshness
    wake: float
    seen: Seen = field(default_factory=Seen)
    body: bytes = b""
    flight: asyncio.Task[None] | None = None
    error: str | None = None
    outage: Outage = field(default_factory=Outage)

    @property
    def name(self) -> tuple[str, str]:
        """Its name in `Standing.lists`."""
        return self.issuer.name, self.uri


class StatusStore:
    """Keeps `standing.lists` fresh, for the issuers that have any.

    `keys` has the keys that lists are verified by. `directory`: of the shelf; None: nothing is shared. `jitter`: a
    number in [0, 1). `patience`: how many seconds a request waits at most for a list.

    Raises StartError for a directory that cannot be used.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        keys: KeyStore,
        standing: Standing,
        *,
        directory: Path | None = None,
        clocks: Clocks | None = None,
        jitter: Callable[[], float] = random.random,
        patience: float = 2.0,
    ) -> None:
        self._clocks = clocks or Clocks()
        self._keys = keys
        self._lists = standing.lists
        self._jitter = jitter
        self._patience = patience
        self._issuers = {
            issuer.name: (issuer, issuer.status_lists) for issuer in issuers if issuer.status_lists is not None
        }
        self._shelf = Shelf(directory) if directory is not None and self._issuers else None
        self._fetcher = Fetcher()
        self._followed: dict[tuple[str, str], _Followed] = {}
        for issuer, lists in self._issuers.values():
            for uri in lists.uris:
                self._follow(issuer, lists, uri)

    @property
    def missing(self) -> tuple[str, ...]:
        """URIs of lists that are not there, of issuers that the gateway does not start without."""
        return tuple(
            followed.uri
            for name, followed in self._followed.items()
            if followed.issuer.start == "require" and not self._has(name)
        )

    def _has(self, name: tuple[str, str]) -> bool:
        held = self._lists.get(name)
        return held is not None and held.statuses is not None

    async def run(self) -> None:
        """Keep all lists fresh until cancelled."""
        try:
            while True:
                self.beat()
                await asyncio.sleep(_BEAT if self._issuers else 3600)
        finally:
            await self.aclose()

    def beat(self) -> None:
        """Start what is due."""
        now = self._clocks.steady()
        for followed in list(self._followed.values()):
            while followed.wake <= now and followed.name in self._followed:
                self._tick(followed)

    async def settle(self) -> None:
        """Wait until no fetch is in flight."""
        while flights := [each.flight for each in self._followed.values() if each.flight is not None]:
            await asyncio.wait(flights)

    async def aclose(self) -> None:
        """End the fetches in flight and close all connections."""
        flights = [each.flight for each in self._followed.values() if each.flight is not None]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._fetcher.aclose()

    def trouble(self, issuer: str, uri: str) -> str | None:
        """Why the last fetch of a list failed; None when it did not."""
        followed = self._followed.get((issuer, uri))
        return None if followed is None else followed.error

    def view(self) -> tuple[StatusListView, ...]:
        """Where the lists stand."""
        now = self._clocks.steady()
        return tuple(
            StatusListView(
                issuer=each.issuer.name,
                uri=each.uri,
                age=None if each.state.confirmed_at is None else max(0.0, now - each.state.confirmed_at),
                error=each.error,
            )
            for each in self._followed.values()
        )

    async def need(self, issuer: str, uri: str) -> None:
        """Called when a token of `issuer` names a list that is not held; the plan permits its URI.

        Waits for the first fetch of the list, `patience` seconds at most. After a failure nothing is waited for:
        the background tries again. Returns without a word in every case.
        """
        followed = self._followed.get((issuer, uri))
        if followed is None:
            followed = self._follow_shard(issuer, uri)
        if followed is None:
            return
        if not followed.state.failures:
            self._take(followed, KidUnknown())
            if followed.flight is not None:
                await asyncio.wait({followed.flight}, timeout=self._patience)
        self._lists.setdefault(followed.name, HeldList(None, 0.0, used=True))

    def _follow_shard(self, name: str, uri: str) -> _Followed | None:
        issuer, lists = self._issuers[name]
        if sum(each.issuer.name == name for each in self._followed.values()) >= MAX_SHARDS + len(lists.uris):
            _log.warning("status_lists_too_many", issuer=name, uri=uri, most=MAX_SHARDS)
            return None
        return self._follow(issuer, lists, uri)

    def _follow(self, issuer: Issuer, lists: StatusLists, uri: str) -> _Followed:
        slot = None if self._shelf is None else self._shelf.slot(f"status\n{issuer.name}\n{issuer.issuer}\n{uri}")
        now = self._clocks.steady()
        pace = replace(_PACE, max_stale=float(lists.max_stale))
        followed = _Followed(issuer, lists, uri, pace, slot, Freshness(due_at=now), now)
        self._followed[followed.name] = followed
        return followed

    # What happens

    def _tick(self, followed: _Followed) -> None:
        held = self._lists.get(followed.name)
        shard = followed.uri not in followed.lists.uris
        if shard and followed.flight is None and held is not None and not held.used:
            # Nobody has asked for it since the last fetch: the next token that names it brings it back.
            del self._followed[followed.name], self._lists[followed.name]
            return
        if held is not None:
            held.used = False
        self._take(followed, Tick())

    def _take(self, followed: _Followed, event: Event) -> Do:
        """Let the table decide about `event`, and do it."""
        followed.state, do = on(followed.state, event, self._clocks.steady(), followed.pace)
        followed.wake = wake_at(followed.state, followed.pace)
        if do is Do.FETCH:
            followed.flight = asyncio.create_task(self._fly(followed))
        elif do is Do.DROP:
            # What it says of revoked tokens is kept; that others are valid is no longer believed.
            self._lists[followed.name].until = 0.0
            followed.seen, followed.body = Seen(), b""
            _log.error("status_list_too_old", **_about(followed))
        return do

    async def _fly(self, followed: _Followed) -> None:
        """One flight, from its start to the event that ends it."""
        try:
            if followed.slot is None:
                await self._ask(followed)
                return
            async with followed.slot.locked(_LOCK_WAIT) as ledger:
                if await self._found(followed, ledger):
                    return
                await self._ask(followed)
                self._note(followed, ledger)
        except Exception as error:  # noqa: BLE001 - a mistake of ours with one list must not end the others
            _log.error("status_list_bug", error=printable(repr(error)), **_about(followed))
            self._take(followed, Failed(self._jitter()))
        finally:
            followed.flight = None

    async def _found(self, followed: _Followed, ledger: Ledger | None) -> bool:
        """Whether another worker has made this fetch needless."""
        now = self._clocks.steady()
        if await self._adopt(followed) and now < followed.state.due_at:
            self._take(followed, Deferred(followed.state.due_at, None, 0))
            return True
        entry = None if ledger is None else ledger.read(self._clocks)
        if entry is None or not entry.failures:
            return False
        if not now < entry.due_at <= now + followed.pace.retry_most * 2:
            return False
        self._take(followed, Deferred(entry.due_at, None, entry.failures))
        return True

    async def _ask(self, followed: _Followed) -> None:
        """Ask the issuer, and let the table know how that went."""
        try:
            answer = await self._fetcher.get(
                followed.uri, followed.seen, followed.lists.fetching, accept=f"{MEDIA_TYPE}, */*;q=0.1"
            )
            body, seen = (answer.body, answer.seen) if isinstance(answer, Got) else (followed.body, followed.seen)
            token = await self._verified(followed, body)
        except RefusedByIssuerError as error:
            self._failed(followed, str(error), error.retry_after)
        except KeyFetchError as error:
            self._failed(followed, str(error))
        except StatusListRefusedError as error:
            self._failed(followed, f"{followed.uri}: {error}")
        else:
            lifetime = _lifetime(token, answer.lifetime, self._clocks.wall())
            self._take(followed, Confirmed(lifetime, self._jitter()))
            self._use(followed, token, body, seen)
            self._keep(followed)
            if followed.error is not None:
                _log.info("status_list_recovered", after=followed.error, **_about(followed))
                followed.error = None
                followed.outage.ends()

    async def _verified(self, followed: _Followed, body: bytes) -> StatusListToken:
        """The list, verified by the issuer's present keys. They are fetched anew when its key is none of them."""
        tried = self._keys.keysets.get(followed.issuer.name)
        try:
            return self._read(followed, body)
        except StatusListRefusedError as error:
            if not error.key_unknown:
                raise
            await self._keys.need(followed.issuer.name, error.kid, tried)
            return self._read(followed, body)

    def _read(self, followed: _Followed, body: bytes) -> StatusListToken:
        keys = self._keys.keysets.get(followed.issuer.name)
        if keys is None:
            raise StatusListRefusedError("the issuer's keys are not there", key_unknown=True)
        return read_status_token(
            body,
            uri=followed.uri,
            issuer=followed.issuer,
            keys=keys,
            now=self._clocks.wall(),
            max_bytes=followed.lists.fetching.max_bytes,
        )

    def _use(self, followed: _Followed, token: StatusListToken, body: bytes, seen: Seen) -> None:
        followed.body, followed.seen = body, seen
        confirmed_at = followed.state.confirmed_at
        until = 0.0 if confirmed_at is None else self._clocks.to_wall(confirmed_at) + followed.pace.max_stale
        if token.expires_at is not None:
            until = min(until, token.expires_at + followed.issuer.leeway)
        used = followed.name not in self._lists or self._lists[followed.name].used
        self._lists[followed.name] = HeldList(token.statuses, until, used)

    def _failed(self, followed: _Followed, text: str, retry_after: float | None = None) -> None:
        followed.error = printable(text)
        level = _log.warning if followed.outage.is_new(followed.error) else _log.debug
        level("status_list_failed", error=followed.error, **_about(followed))
        self._take(followed, Failed(self._jitter(), retry_after))

    # The shelf

    async def _adopt(self, followed: _Followed) -> bool:
        """Take over what is on the shelf, if it is newer than what we hold. Returns whether it was."""
        if followed.slot is None:
            return False
        try:
            record = followed.slot.read()
            confirmed_at = None if record is None else record.confirmed(self._clocks)
            if record is None or confirmed_at is None:
                return False
            body = record.jwks.encode()
            token = await self._verified(followed, body)
        except (KeyFetchError, StatusListRefusedError) as error:
            _log.warning("status_list_snapshot_ignored", error=printable(str(error)), **_about(followed))
            return False
        if self._take(followed, Adopted(confirmed_at, confirmed_at + record.lifetime)) is not Do.USE:
            return False
        self._use(followed, token, body, Seen(record.etag, record.last_modified))
        followed.error = None
        return True

    def _keep(self, followed: _Followed) -> None:
        """Put what we hold on the shelf."""
        confirmed_at = followed.state.confirmed_at
        if followed.slot is None or confirmed_at is None:
            return
        wall = self._clocks.to_wall(confirmed_at)
        record = Record(
            issuer=followed.issuer.issuer,
            confirmed_at=wall,
            due_at=wall + followed.state.due_at - confirmed_at,
            boot=self._clocks.boot,
            steady_at=confirmed_at,
            jwks=followed.body.decode("latin-1"),
            etag=followed.seen.etag,
            last_modified=followed.seen.last_modified,
        )
        try:
            followed.slot.write(record)
        except OSError as error:
            _log.warning("status_list_snapshot_unwritable", error=error.strerror or str(error), **_about(followed))

    def _note(self, followed: _Followed, ledger: Ledger | None) -> None:
        if ledger is not None:
            boot, state = self._clocks.boot, followed.state
            ledger.write(Entry(boot=boot, due_at=state.due_at, failures=state.failures, error=followed.error))


def _lifetime(token: StatusListToken, of_answer: float | None, now: float) -> float | None:
    """Seconds until the list should be asked for again: what HTTP, `ttl` and `exp` say, whichever is less."""
    of_token = None if token.expires_at is None else max(0.0, token.expires_at - now)
    said = [each for each in (of_answer, token.ttl, of_token) if each is not None]
    return min(said, default=None)


def _about(followed: _Followed) -> dict[str, str]:
    return {"issuer": followed.issuer.name, "uri": followed.uri}


async def fetch_list_once(issuer: Issuer, uri: str, standing: Standing) -> str | None:
    """Fetch one list into `standing`, for a command that runs once. Returns what went wrong, or None."""
    keys = KeyStore([issuer], patience=_ONCE)
    store = StatusStore([issuer], keys, standing, patience=_ONCE)
    try:
        await store.need(issuer.name, uri)
        return store.trouble(issuer.name, uri)
    finally:
        await store.aclose()
        await keys.aclose()
