"""A bounded memory of tokens whose signatures were found good. It saves the signature check and nothing else.

Rules: an entry is found only by the whole token and the very key set it was verified with, both as a SHA-256.
Neither the token nor its signature is kept. Time, claims and policy are evaluated again on every hit. Claims
are kept as bytes and read anew for each request, so that no two requests share a value, and the size is
exact.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from jwtgate.tokens.verify import VerifiedToken

if TYPE_CHECKING:
    from jwtgate.keys.jwk import Key
    from jwtgate.keys.keyset import KeySet
    from jwtgate.tokens.parse import Header

# What an entry takes beside its payload, in CPython 3.11 to 3.14: digest, tuple, bytes object, and its share
# of a dictionary that has just grown.
ENTRY_OVERHEAD: Final = 512

_read_claims: Final = msgspec.json.Decoder(dict[str, object]).decode


class _Entry(NamedTuple):
    header: Header
    payload: bytes
    key: Key


class VerifiedTokens:
    """`token, key set -> VerifiedToken`, holding `max_bytes` at most.

    Two generations: new and used entries are in the young one. When it has half of the bytes, it becomes the
    old one, and the old one is forgotten. So what is used stays, and nothing is sorted.
    """

    __slots__ = ("_half", "_old", "_young", "_young_bytes")

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: 0 remembers nothing."""
        self._half = max_bytes // 2
        self._young: dict[bytes, _Entry] = {}
        self._old: dict[bytes, _Entry] = {}
        self._young_bytes = 0

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return len(self._young) + len(self._old)

    def get(self, token: str, keys: KeySet) -> VerifiedToken | None:
        """What was `put` for this token and this key set, its claims read anew; None: nothing."""
        digest = _digest(token, keys)
        entry = self._young.get(digest)
        if entry is None:
            entry = self._old.pop(digest, None)
            if entry is None:
                return None
            self._remember(digest, entry)
        return VerifiedToken(entry.header, entry.payload, _read_claims(entry.payload), entry.key)

    def put(self, token: str, keys: KeySet, verified: VerifiedToken) -> None:
        """Remembers that `token` was verified as `verified`, by a key of `keys`."""
        self._remember(_digest(token, keys), _Entry(verified.header, verified.payload, verified.key))

    def clear(self) -> None:
        """Forgets everything."""
        self._young = {}
        self._old = {}
        self._young_bytes = 0

    def _remember(self, digest: bytes, entry: _Entry) -> None:
        if digest in self._young:
            return
        size = _size(entry)
        if size > self._half:
            return
        if self._young_bytes + size > self._half:
            self._old = self._young
            self._young = {}
            self._young_bytes = 0
        self._young[digest] = entry
        self._young_bytes += size


def _size(entry: _Entry) -> int:
    header = entry.header
    # `typ` is kept in two forms.
    return len(entry.payload) + len(header.kid or "") + 2 * len(header.typ or "") + ENTRY_OVERHEAD


def _digest(token: str, keys: KeySet) -> bytes:
    # The key set's digest has a fixed length, so the two cannot run into each other.
    return hashlib.sha256(keys.digest + token.encode()).digest()
