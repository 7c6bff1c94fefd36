"""The keys of all issuers, kept fresh in the background.

`keysets` is what a request reads: one dictionary lookup. Everything else happens beside the requests: one task
looks at the schedule a few times a second, and one task per fetch in flight talks to an issuer (`feed`).

With a shelf (a private directory) the last good sets outlive the process, and the workers that share it make one
fetch between them: who has the lock asks the issuer, the others find the answer on the shelf.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from jwtgate.jwks.clock import Clocks
from jwtgate.jwks.feed import Feed
from jwtgate.jwks.fetch import Fetcher
from jwtgate.jwks.group import Group, groups
from jwtgate.jwks.held import Around
from jwtgate.jwks.kept import Kept
from jwtgate.jwks.keysets import KeySets
from jwtgate.jwks.last_used import LastUsed
from jwtgate.jwks.shelf import Shelf
from jwtgate.jwks.source import make_source, static_keyset
from jwtgate.jwks.view import IssuerView, Origin, key_views
from jwtgate.keys.freshness import spread
from jwtgate.plan import Discovery, InlineJwks, JwksFile, JwksUrl, SharedSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from jwtgate.keys import Key, KeySet
    from jwtgate.plan import Issuer

_BEAT = 0.25  # seconds between two looks at the schedule
_SHELF_BEATS = 4  # beats between two looks at the shelf


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Keys that stand in the configuration itself."""

    group: Group
    keyset: KeySet
    origin: Origin


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
        self._patience = patience
        self._shelf = None if directory is None else Shelf(directory)
        self._fetcher = Fetcher()
        self._keysets = KeySets()
        self._last_used = LastUsed()
        self._around = Around(self._keysets, self._last_used, self._clocks, jitter)
        self._started = self._clocks.wall()
        grouped = groups(issuers)
        self._spread = spread(sum(isinstance(group.keys, JwksUrl | Discovery) for group in grouped))
        self._parts: list[Feed | _Fixed] = [self._part(group) for group in grouped]
        self._feeds = [part for part in self._parts if isinstance(part, Feed)]
        self._by_issuer = {issuer.name: feed for feed in self._feeds for issuer in feed.group.issuers}
        if self._shelf is not None:
            self._shelf.remove_others()

    @property
    def keysets(self) -> Mapping[str, KeySet]:
        """Issuer name → last good set. Always the same object; an issuer that is unavailable is absent."""
        return self._keysets.by_issuer

    @property
    def missing(self) -> tuple[str, ...]:
        """Issuers with `start: require` whose keys are not there: the gateway is not ready."""
        return tuple(
            feed.group.name
            for feed in self._feeds
            if feed.group.start == "require" and feed.held.published is None
        )

    async def run(self) -> None:
        """Keep all sets fresh until cancelled."""
        try:
            beats = 0
            while True:
                self.beat()
                await asyncio.sleep(_BEAT)
                beats += 1
                if beats % _SHELF_BEATS == 0 and self._shelf is not None and self._shelf.changed():
                    for feed in self._feeds:
                        await feed.look()
                        await asyncio.sleep(0)  # a thousand issuers must not keep requests waiting
        finally:
            await self.aclose()

    def beat(self) -> None:
        """Start what is due: one look at the schedule, as `run` does it a few times a second."""
        now = self._clocks.steady()
        for feed in self._feeds:
            if feed.wake <= now:
                feed.beat(now)

    async def settle(self) -> None:
        """Wait until no fetch is in flight."""
        for feed in self._feeds:
            await feed.settle()

    async def aclose(self) -> None:
        """End the fetches in flight and close all connections."""
        await asyncio.gather(*(feed.aclose() for feed in self._feeds))
        await self._fetcher.aclose()

    async def need(self, issuer: str, kid: str | None, tried: KeySet | None = None) -> bool:
        """Called when a token of `issuer` names a key that is not held, or none and is not of the one in `tried`.

        Waits for the fetch in flight, or for a new one if `min_refetch` allows it, for `patience` seconds at
        most. What there is to know is then in `keysets`. False: it may be out of date, since the last fetch has
        failed or not ended.
        """
        feed = self._by_issuer.get(issuer)
        return feed is None or await feed.need(issuer, kid, tried, self._patience)

    async def refresh(
        self, name: str | None = None, *, patience: float | None = None, since: float | None = None
    ) -> bool:
        """Fetch now, whatever the schedule says. Waits for the end, `patience` seconds at most.

        `name`: one in gateway.yaml, or that of one tenant; None: all. `since`: when somebody asked for it, if all
        workers are asked (seconds of the steady clock): they share one fetch that began after that.

        Raises KeyError when there is none of that name. Whether all fetches have brought an answer in time.
        """
        parts = [part for part in self._parts if name is None or part.group.is_called(name)]
        if name is not None and not parts:
            raise KeyError(name)
        since = self._clocks.steady() if since is None else since
        wait = self._patience if patience is None else patience
        feeds = (part for part in parts if isinstance(part, Feed))
        return all(await asyncio.gather(*(feed.refresh(wait, since) for feed in feeds)))

    def used(self, key: Key, now: float) -> None:
        """A token was verified with this key, at `now` (Unix time)."""
        self._last_used[key] = now

    def view(self) -> tuple[IssuerView, ...]:
        """Where the keys stand."""
        return tuple(
            self._view_feed(part) if isinstance(part, Feed) else self._view_fixed(part) for part in self._parts
        )

    def _part(self, group: Group) -> Feed | _Fixed:
        """What gives these issuers their keys."""
        match group.keys:
            case SharedSecret() | InlineJwks() as keys:
                keyset = static_keyset(keys, group.algorithms)
                self._keysets.use(group.issuers, keyset)
                return _Fixed(group, keyset, "secret" if isinstance(keys, SharedSecret) else "inline")
            case JwksUrl() | Discovery() | JwksFile() as keys:
                source = make_source(keys, self._fetcher, self._clocks.steady)
                kept = None
                if self._shelf is not None and source.shared:
                    slot = self._shelf.slot(f"{group.name}\n{group.issuer}\n{source.place}")
                    kept = Kept(slot, self._clocks, source.patience)
                return Feed(group, source, kept, self._around, self._spread)

    def _view_feed(self, feed: Feed) -> IssuerView:
        now, state, asked, coming = self._clocks.steady(), feed.state, feed.asked, feed.coming
        first_seen = {} if feed.held.document is None else feed.held.document.first_seen
        return IssuerView(
            name=feed.group.name,
            issuer=feed.group.issuer,
            tenants=feed.group.tenants,
            source=feed.source.place,
            available=None if coming else feed.held.published is not None,
            keys=key_views(feed.held.published, first_seen, self._last_used, self._started),
            origin=coming or feed.held.origin,
            age=None if state.confirmed_at is None else max(0.0, now - state.confirmed_at),
            next_refresh=None if state.due_at == inf else max(0.0, state.due_at - now),
            fetches=asked.fetches,
            failures=asked.failures,
            failing=asked.error is not None,
            last_error=asked.last_error,
            last_error_at=asked.last_error_at,
            ignored=() if feed.held.published is None else feed.held.published.notes,
        )

    def _view_fixed(self, fixed: _Fixed) -> IssuerView:
        return IssuerView(
            name=fixed.group.name,
            issuer=fixed.group.issuer,
            tenants=fixed.group.tenants,
            source="gateway.yaml",
            available=True,
            keys=key_views(fixed.keyset, {}, self._last_used, self._started),
            origin=fixed.origin,
            ignored=fixed.keyset.notes,
        )
