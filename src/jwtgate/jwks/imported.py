"""A document → its key set, without keeping requests waiting."""

from __future__ import annotations

import asyncio

from jwtgate.keys import KeySet, read_jwks

_SMALL = 16 * 1024  # bytes: at most some 20 ms of work (Ed25519), mostly less than 5


async def import_jwks(body: bytes, *, max_keys: int) -> KeySet:
    """The same as `read_jwks`. Raises KeyRefusedError.

    Each key of a set is looked at closely, which takes 40 to 300 µs; ten thousand of them take a second, if
    `max_keys` allows them. So a large set is read in a thread, beside which requests are answered.
    """
    if len(body) <= _SMALL:
        return read_jwks(body, max_keys=max_keys)
    return await asyncio.to_thread(read_jwks, body, max_keys=max_keys)
