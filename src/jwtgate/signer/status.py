"""Which bit of the status list a token has, and which bits are set (IETF Token Status List).

There is one list, under one URL. Indexes come in blocks. A signer takes a block for an hour, so issuing a token
writes nothing, and what a killed signer had left of its block is lost and no harm. A block is handed out anew once
the last token of it has expired, so the list is as long as tokens are valid at one time, and no longer.

A token that is revoked is a row until it expires; the bits are made from the rows.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select, update

from jwtgate.signer.tables import revocations, status_blocks

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jwtgate.signer.store import Store

BLOCK: Final = 1024  # indexes; `jwtgate signer token` takes one too
_LEASE: Final = 3600  # seconds for which a signer hands out indexes of one block

# Seconds after the last expiry until a block is used again: no list that still has an old bit is believed any
# more.
_REST: Final = 3600

VALID: Final = 0x00  # Token Status List, section 7.1
INVALID: Final = 0x01


class StatusIndexes:
    """Hands out indexes. One for each signer process; safe in threads."""

    def __init__(self, store: Store, longest_lifetime: int) -> None:
        self._store = store
        self._longest_lifetime = longest_lifetime
        self._lock = threading.Lock()
        self._next = 0
        self._end = 0
        self._lease_ends = 0.0

    def allocate(self, now: float) -> int:
        """An index that no other valid token has. Raises StoreError when it needs a new block and gets none."""
        with self._lock:
            if self._next == self._end or now >= self._lease_ends:
                number = _lease(self._store, now, self._longest_lifetime)
                self._next, self._end = number * BLOCK, (number + 1) * BLOCK
                self._lease_ends = now + _LEASE
            index = self._next
            self._next += 1
            return index


def _lease(store: Store, now: float, longest_lifetime: int) -> int:
    free_from = now + _LEASE + longest_lifetime + _REST
    with store.exclusive() as connection:
        number = connection.execute(
            select(func.min(status_blocks.c.number)).where(status_blocks.c.free_from <= now)
        ).scalar()
        if number is not None:
            connection.execute(
                update(status_blocks).where(status_blocks.c.number == number).values(free_from=free_from)
            )
            return int(number)
        last = connection.execute(select(func.max(status_blocks.c.number))).scalar()
        number = 0 if last is None else int(last) + 1
        connection.execute(insert(status_blocks).values(number=number, free_from=free_from))
        return number


def revoke(connection: Connection, idx: int, *, expires: float, now: float) -> None:
    """Revoke the token with this index, which expires then. Once more is no error."""
    if not is_revoked(connection, idx):
        connection.execute(insert(revocations).values(idx=idx, revoked=now, expires=expires))


def is_revoked(connection: Connection, idx: int) -> bool:
    """Whether the token with this index was revoked."""
    found = connection.execute(select(revocations.c.idx).where(revocations.c.idx == idx)).first()
    return found is not None


def forget_expired(connection: Connection, now: float) -> None:
    """Remove what was revoked and has expired: a verifier refuses it for its `exp`, leeway of an hour included."""
    connection.execute(delete(revocations).where(revocations.c.expires < now - _REST // 2))


def status_bits(connection: Connection) -> bytes:
    """The list, one bit for each index that was ever handed out: 1 for those revoked.

    Token Status List, section 4.1: the first index is the least significant bit of the first byte.
    """
    last = connection.execute(select(func.max(status_blocks.c.number))).scalar()
    bits = bytearray((0 if last is None else int(last) + 1) * BLOCK // 8)
    for idx in connection.execute(select(revocations.c.idx)).scalars():
        bits[idx >> 3] |= INVALID << (idx & 7)
    return bytes(bits)
