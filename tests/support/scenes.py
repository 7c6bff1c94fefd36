"""Key stores that run for the length of a scene, on clocks that a test sets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jwtgate.jwks import Clocks, KeyStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from jwtgate.plan import Issuer


@asynccontextmanager
async def running(*stores: KeyStore) -> AsyncIterator[KeyStore]:
    """Let stores keep their sets fresh; the first of them."""
    tasks = [asyncio.create_task(store.run()) for store in stores]
    try:
        yield stores[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(fact: Callable[[], object]) -> None:
    """Wait until `fact` holds; fail after a time that is long enough for any machine."""
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110 - what is waited for happens in other threads and processes
            await asyncio.sleep(0.02)


def kids(store: KeyStore, issuer: str = "idp") -> list[str | None] | None:
    """The names of the keys that are held; None: no set is."""
    keyset = store.keysets.get(issuer)
    return None if keyset is None else [key.kid for key in keyset.keys]


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene to its end."""
    asyncio.run(scene)


class Time:
    """Both clocks, set by the test. `wall` can jump on its own."""

    def __init__(self) -> None:
        self.now, self.wall = 1000.0, 1_700_000_000.0
        self.clocks = Clocks(lambda: self.now, lambda: self.wall, "boot 1")

    def boots(self) -> None:
        """The machine starts anew: `steady` begins somewhere else."""
        self.now = 20.0
        self.clocks = replace(self.clocks, boot=f"{self.clocks.boot}, and another")

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def fetched_once(issuer: Issuer, shelf: Path, clocks: Clocks) -> None:
    """A worker that fetched, wrote the shelf and ended."""

    async def scene() -> None:
        store = KeyStore([issuer], directory=shelf, clocks=clocks)
        await store.refresh("idp")
        assert kids(store) is not None
        await store.aclose()

    play(scene())


def record_in(shelf: Path) -> Path:
    """The only one."""
    (record,) = shelf.glob("*.json")
    return record


def workers(issuer: Issuer, shelf: Path, clocks: Clocks, number: int = 4) -> list[KeyStore]:
    """Workers of one gateway."""
    return [KeyStore([issuer], directory=shelf, clocks=clocks) for _ in range(number)]


def all_hold(stores: list[KeyStore], *expected: str) -> Callable[[], bool]:
    """Whether all of them hold these keys."""
    return lambda: all(kids(store) == list(expected) for store in stores)


@asynccontextmanager
async def running_with(stores: list[KeyStore], *expected: str) -> AsyncIterator[list[KeyStore]]:
    """Workers that run, once all of them hold these keys."""
    async with running(*stores):
        await until(all_hold(stores, *expected))
        yield stores
