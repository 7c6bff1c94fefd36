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

A million entries take 30 MB: an entry is 24 bytes, a digest of what it names and its two times, in one of 65,536
buckets. 128 bits of SHA-256 stand for the name, so that no two names are taken for one.
"""

from __future__ import annotations

import hashlib
from enum import IntFlag
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
_DIGEST: Final = 16
_TIMES: Final = Struct(">II")  # issued_before, until
_RECORD: Final = _DIGEST + _TIMES.size


class Kind(IntFlag):
    """What an entry names."""

    ISSUER = 1
    JTI = 2
    SUB = 4
    CLIENT_ID = 8


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
    def named(self) -> tuple[Kind, str]:
        """What it names, and by which claim."""
        if self.jti is not None:
            return Kind.JTI, self.jti
        if self.sub is not None:
            return Kind.SUB, self.sub
        if self.client_id is not None:
            return Kind.CLIENT_ID, self.client_id
        return Kind.ISSUER, ""


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
    names = [name for name in (entry.jti, entry.sub, entry.client_id) if name is not None]
    if len(names) > 1:
        raise DenyListError('more than one of "jti", "sub" and "client_id": write one entry for each')
    if not names and entry.issued_before is None:
        raise DenyListError(
            'it names neither "jti" nor "sub" nor "client_id", and would deny every token of the issuer; '
            'add one of them, or "issued_before"'
        )
    if not all(0 < len(name) <= _MAX_NAME for name in (entry.iss, *names)):
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

    __slots__ = ("_buckets", "_count", "_kinds")

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = []  # made with the first entry
        self._kinds = 0
        self._count = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return self._count

    def add(self, entry: Denied) -> None:
        """Deny what the entry names."""
        if not self._buckets:
            self._buckets = [None] * _BUCKETS
        kind, name = entry.named
        digest = _digest(kind, entry.iss, name)
        times = _TIMES.pack(
            NEVER if entry.issued_before is None else entry.issued_before,
            NEVER if entry.until is None else entry.until,
        )
        at = digest[0] << 8 | digest[1]
        bucket = self._buckets[at]
        if bucket is None:
            self._buckets[at] = bytearray(digest + times)
        elif digest + times in bucket:  # whatever is found there is the same bytes
            return
        else:
            bucket += digest + times
        self._kinds |= kind
        self._count += 1

    def denies(self, issuer: str, claims: Mapping[str, Any], now: float) -> bool:
        """Whether an entry is for the token of `issuer` (its `iss`) with these verified claims, at `now`."""
        kinds = self._kinds
        if kinds & 2 and self._found(b"\x02", issuer, claims.get("jti"), claims, now):
            return True
        if kinds & 4 and self._found(b"\x04", issuer, claims.get("sub"), claims, now):
            return True
        if kinds & 8:
            # RFC 9068, section 2.2, has `client_id`; OpenID Connect Core, section 2, has `azp`.
            for claim in ("client_id", "azp"):
                if self._found(b"\x08", issuer, claims.get(claim), claims, now):
                    return True
        return bool(kinds & 1) and self._found(b"\x01", issuer, "", claims, now)

    def _found(self, kind: bytes, issuer: str, name: object, claims: Mapping[str, Any], now: float) -> bool:
        if not isinstance(name, str):
            return False
        digest = _name_digest(kind, issuer, name)
        bucket = self._buckets[digest[0] << 8 | digest[1]]
        at = -1 if bucket is None else bucket.find(digest)
        while bucket is not None and at >= 0:
            if at % _RECORD == 0:
                issued_before, until = _TIMES.unpack_from(bucket, at + _DIGEST)
                older = issued_before == NEVER or _is_older(claims, issued_before)
                if older and (now < until or until == NEVER):
                    return True
            at = bucket.find(digest, at + 1)
        return False


def _is_older(claims: Mapping[str, Any], issued_before: int) -> bool:
    issued_at = claims.get("iat")
    return not (isinstance(issued_at, int | float) and issued_at >= issued_before)


def _digest(kind: Kind, issuer: str, name: str) -> bytes:
    return _name_digest(bytes([kind]), issuer, name)


def _name_digest(kind: bytes, issuer: str, name: str) -> bytes:
    # The issuer's length keeps two pairs apart whose texts run into each other.
    text = b"%b%d\n%b%b" % (kind, len(issuer), issuer.encode(), name.encode(errors="surrogatepass"))
    return hashlib.sha256(text).digest()[:_DIGEST]
