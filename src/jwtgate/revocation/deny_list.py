"""The deny-list: what the operator denies although its issuer stands by it.

One entry is one line of JSON:

    {"iss": "https://issuer.example", "jti": "3f1c…", "until": 1767225600}
    {"iss": "https://issuer.example", "sub": "alice", "issued_before": 1767139200}
    {"iss": "https://issuer.example", "client_id": "batch-7"}
    {"iss": "https://issuer.example", "issued_before": 1767139200, "until": 1767225600}

`iss` says whose tokens, and at most one of `jti`, `sub` and `client_id` which of them; `client_id` is looked for
in `azp` as well. Without any of the three, `issued_before` has to be there. `issued_before` spares tokens whose
`iat` is that moment or later; a token without `iat` is not spared. `until` ends the entry: the last of the tokens
that it is for has expired then. `note` is for people. Times are Unix time in whole seconds.

A million entries take some 50 MB: an entry is 32 bytes in one of 65,536 buckets. Before them stands a filter of
some 32 bits for each entry, by Python's own hash, where nearly every request ends: one look into memory for each
name of its token. What passes is compared by 128 bits of SHA-256: no two names are taken for one.
"""

from __future__ import annotations

import hashlib
import sys
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

from jwtgate.errors import DenyListError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LINE: Final = 4096  # bytes
NEVER: Final = 0xFFFFFFFF  # as `until`: the entry does not end; as `issued_before`: whenever it was issued
_MAX_NAME: Final = 1024  # characters

_BUCKETS: Final = 1 << 16
_LAST_BUCKET: Final = _BUCKETS - 1
_EMPTY: Final = bytearray()  # the one bucket of all hashes that nothing has; never written to
_HASHES: Final = (1 << 64) - 1
_DIGEST: Final = 16
_TIMES: Final = Struct(">II")  # issued_before, until
_RECORD: Final = 8 + _DIGEST + _TIMES.size


# What an entry names.
_ISSUER: Final = 1
_JTI: Final = 2
_SUB: Final = 4
_CLIENT_ID: Final = 8

# Which claim has the name. RFC 9068, section 2.2, has `client_id`; OpenID Connect Core, section 2, has `azp`.
_NAMES: Final = (
    (_JTI, "jti"),
    (_SUB, "sub"),
    (_CLIENT_ID, "client_id"),
    (_CLIENT_ID, "azp"),
)


class Denied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry, as it is written."""

    iss: str
    jti: str | None = None
    sub: str | None = None
    client_id: str | None = None
    issued_before: int | None = None
    until: int | None = None
    note: str | None = None

    @property
    def named(self) -> tuple[int, str]:
        """What it names, and by which claim."""
        if self.jti is not None:
            return _JTI, self.jti
        if self.sub is not None:
            return _SUB, self.sub
        if self.client_id is not None:
            return _CLIENT_ID, self.client_id
        return _ISSUER, ""


_decode: Final = msgspec.json.Decoder(Denied).decode
_encode: Final = msgspec.json.Encoder().encode


def read_denied(line: bytes) -> Denied:
    """The entry of one line. Raises DenyListError; its text says what to write."""
    if len(line) > MAX_LINE:
        raise DenyListError(f"longer than {MAX_LINE} bytes")
    try:
        entry = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        example = '{"iss": "https://issuer.example", "jti": "…", "until": 1767225600}'
        raise DenyListError(f"not an entry: {error}; write one like {example}") from None
    _check(entry)
    return entry


def write_denied(entry: Denied) -> bytes:
    """The line of an entry, its end included. Raises DenyListError for one that `read_denied` would refuse."""
    line = _encode(entry)
    read_denied(line)
    return line + b"\n"


def _check(entry: Denied) -> None:
    named = (entry.jti is not None) + (entry.sub is not None) + (entry.client_id is not None)
    if named > 1:
        raise DenyListError('more than one of "jti", "sub" and "client_id": write one entry for each')
    kind, name = entry.named
    if kind == _ISSUER and entry.issued_before is None:
        raise DenyListError(
            'it names neither "jti" nor "sub" nor "client_id", and would deny every token of the issuer; '
            'add one of them, or "issued_before"'
        )
    if not 0 < len(entry.iss) <= _MAX_NAME or not (kind == _ISSUER or 0 < len(name) <= _MAX_NAME):
        raise DenyListError(f"a name in it is empty or longer than {_MAX_NAME} characters")
    for what, time in (("issued_before", entry.issued_before), ("until", entry.until)):
        if time is not None and not 0 <= time < NEVER:
            raise DenyListError(f'"{what}" is not a Unix time in seconds')


def read_deny_list(text: bytes, file: str, *, first: int = 1) -> Iterator[Denied]:
    """The entries of a file, one after the other. Empty lines, and lines that begin with #, are for people.

    Raises DenyListError with file and line; `first` is the number of the first one.
    """
    for number, line in enumerate(text.split(b"\n"), first):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            try:
                yield read_denied(stripped)
            except DenyListError as error:
                raise DenyListError(f"{file}:{number}: {error}") from None


class DenyList:
    """Entries, as a request asks for them. `add` is for one thread; an entry is never taken out: load anew."""

    __slots__ = ("_buckets", "_count", "_filter", "_issuers", "_kinds", "_last")

    def __init__(self) -> None:
        self._buckets: list[bytearray] = []  # made with the first entry
        self._filter = bytearray(1024)  # a bit for each hash that is there, and for others
        self._last = len(self._filter) - 1
        self._issuers: dict[str, set[tuple[int, int]]] = {}  # the times of what is for all of an issuer
        self._kinds = 0
        self._count = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return self._count

    def add(self, entry: Denied) -> None:
        """Deny what the entry names."""
        kind, name = entry.named
        issued_before = NEVER if entry.issued_before is None else entry.issued_before
        until = NEVER if entry.until is None else entry.until
        if kind == _ISSUER:
            times = self._issuers.setdefault(entry.iss, set())
            self._count += (issued_before, until) not in times
            times.add((issued_before, until))
            return
        if not self._buckets:
            self._buckets = [_EMPTY] * _BUCKETS
        hashed = hash((kind, entry.iss, name)) & _HASHES
        digest = _digest(kind, entry.iss, name)
        record = hashed.to_bytes(8, sys.byteorder) + digest + _TIMES.pack(issued_before, until)
        bucket = self._buckets[hashed & _LAST_BUCKET]
        if bucket is _EMPTY:
            self._buckets[hashed & _LAST_BUCKET] = bytearray(record)
        elif bucket.find(record) % _RECORD == 0:
            return
        else:
            bucket += record
        self._kinds |= kind
        self._count += 1
        self._filter[hashed >> 3 & self._last] |= 1 << (hashed & 7)
        if self._count * 16 > len(self._filter) * 8:
            self._widen()

    def _widen(self) -> None:
        filter_ = bytearray(len(self._filter) * 4)
        last = len(filter_) - 1
        for bucket in self._buckets:
            for hashed in memoryview(bucket).cast("Q")[:: _RECORD // 8]:
                filter_[hashed >> 3 & last] |= 1 << (hashed & 7)
        self._filter, self._last = filter_, last

    def denies(self, issuer: str, claims: Mapping[str, Any], now: float) -> bool:
        """Whether an entry is for the token of `issuer` (its `iss`) with these verified claims, at `now`."""
        kinds, filter_, last = self._kinds, self._filter, self._last
        for kind, claim in _NAMES:
            if kinds & kind:
                name = claims.get(claim)
                if type(name) is str:
                    hashed = hash((kind, issuer, name))
                    passes = filter_[hashed >> 3 & last] >> (hashed & 7) & 1
                    if passes and self._found(kind, issuer, name, claims, now):
                        return True
        return issuer in self._issuers and any(_applies(*times, claims, now) for times in self._issuers[issuer])

    def _found(self, kind: int, issuer: str, name: str, claims: Mapping[str, Any], now: float) -> bool:
        """The same, exactly."""
        hashed = hash((kind, issuer, name)) & _HASHES
        bucket = self._buckets[hashed & _LAST_BUCKET]
        key = hashed.to_bytes(8, sys.byteorder) + _digest(kind, issuer, name)
        at = bucket.find(key)
        while at >= 0:
            issued_before, until = _TIMES.unpack_from(bucket, at + len(key))
            if at % _RECORD == 0 and _applies(issued_before, until, claims, now):
                return True
            at = bucket.find(key, at + 1)
        return False


def _applies(issued_before: int, until: int, claims: Mapping[str, Any], now: float) -> bool:
    """Whether an entry with these times is for a token that it names."""
    if until != NEVER and not now < until:
        return False
    issued_at = claims.get("iat")
    spared = isinstance(issued_at, int | float) and issued_at >= issued_before
    return issued_before == NEVER or not spared


def _digest(kind: int, issuer: str, name: str) -> bytes:
    # The issuer's length keeps two pairs apart whose texts run into each other.
    text = f"{kind} {len(issuer)} {issuer}{name}".encode(errors="surrogatepass")
    return hashlib.sha256(text).digest()[:_DIGEST]
