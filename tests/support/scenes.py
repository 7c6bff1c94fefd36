"""Key stores that run for the length of a scene."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from jwtgate.jwks import KeyStore


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
