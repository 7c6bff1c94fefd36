"""A bounded memory of tokens whose signatures were found good. It saves the signature check and nothing else.

Rules: an entry is found by the SHA-256 of the whole token, and holds only while the issuer whose key verified it
has the very key set that it had then. Neither the token nor its signature is kept. Time, claims and policy are
evaluated again on every hit. Claims are kept as bytes and read anew for each request, so that no two requests
share a value, and the size is exact.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from jwtgate.tokens.verify import VerifiedToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys.jwk import Key
    from jwtgate.keys.keyset import KeySet
    from jwtgate.tokens.parse import Header

# What an entry takes beside its payload, in CPython 3.11 to 3.14: digest, entry, bytes object, and its share
# of a dictionary that has just grown.
ENTRY_OVERHEAD: Final = 640

_read_claims: Final = msgspec.json.Decoder(dict[str, object]).decode


class _Entry(msgspec.Struct, eq=False, gc=False):
    issuer: str
    generation: bytes
    header: Header
    payload: bytes
    key: Key
    size: int
    seen: float  # the last time


class VerifiedTokens:
    """`token_digest(token) -> (issuer's name, VerifiedToken, how long unseen)`, holding `max_bytes` at most.

    Two generations: new and used entries are in the young one. When it has half of the bytes, it becomes the
    old one, and the old one is forgotten. So what is used stays, and nothing is sorted.
    """

    __slots__ = ("_half", "_old", "_young", "_young_bytes", "hits")

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: 0 remembers nothing."""
        self._half = max_bytes // 2
        self._young: dict[bytes, _Entry] = {}
        self._old: dict[bytes, _Entry] = {}
        self._young_bytes = 0
        self.hits = 0  # how often a token was known

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return len(self._young) + len(self._old)

    def __contains__(self, digest: bytes) -> bool:
        """Whether this token is remembered, by the present keys or by earlier ones."""
        return digest in self._young or digest in self._old

    def get(
        self, digest: bytes, keysets: Mapping[str, KeySet], now: float
    ) -> tuple[str, VerifiedToken, float] | None:
        """What was `put` for this token, its claims read anew; None: nothing, or the issuer's keys have changed.

        `keysets` are the present ones, by issuer name. The last value is for how many seconds the token was not
        seen; `now` is Unix time.
        """
        entry = self._young.get(digest)
        if entry is None:
            entry = self._old.pop(digest, None)
            if entry is None:
                return None
            self._remember(digest, entry)
        keys = keysets.get(entry.issuer)
        if keys is None or keys.digest != entry.generation:
            return None
        self.hits += 1
        unseen, entry.seen = now - entry.seen, now
        token = VerifiedToken(entry.header, entry.payload, _read_claims(entry.payload), entry.key)
        return entry.issuer, token, unseen

    def put(self, digest: bytes, issuer: str, keys: KeySet, verified: VerifiedToken, now: float) -> None:
        """Remembers that the token with this digest was verified, by a key of `keys`, which are `issuer`'s."""
        header, payload = verified.header, verified.payload
        # `typ` is kept in two forms.
        size = len(payload) + len(header.kid or "") + 2 * len(header.typ or "") + ENTRY_OVERHEAD
        self._remember(digest, _Entry(issuer, keys.digest, header, payload, verified.key, size, now))

    def clear(self) -> None:
        """Forgets everything."""
        self._young = {}
        self._old = {}
        self._young_bytes = 0

    def _remember(self, digest: bytes, entry: _Entry) -> None:
        known = self._young.get(digest)
        if known is not None:
            if known.generation == entry.generation:
                return
            self._young_bytes -= known.size
        if self._young_bytes + entry.size > self._half:
            if entry.size > self._half:
                return
            self._old = self._young
            self._young = {}
            self._young_bytes = 0
        self._young[digest] = entry
        self._young_bytes += entry.size


def token_digest(token: str) -> bytes:
    """The name of a token in the memory: SHA-256 of the whole of it."""
    # Not every string from outside is UTF-8; `parse` will refuse it.
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
