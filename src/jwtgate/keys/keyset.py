"""A JWK Set (RFC 7517, section 5): the keys of one issuer, and which of them a token means.

Rules: a bad key is skipped with a note and harms no other; a bad document is refused as a whole. A set is
secret or public, never both. A token's `kid` is a dictionary key here and nothing else. Exactly one key fits,
or none.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from jwtgate.errors import KeyRefusedError
from jwtgate.keys.algorithms import SYMMETRIC
from jwtgate.keys.encoding import encode_base64url, read_json_object
from jwtgate.keys.jwk import Key, import_jwk, is_name, secret_verifiers
from jwtgate.keys.looks import BYTE_ORDER_MARK, looks_like
from jwtgate.keys.thumbprint import thumbprint
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

MAX_KEYS: Final = 100
"""Keys in a set, at most. The largest public sets have some twenty."""

MAX_OWN_KEYS: Final = 10_000
"""Keys in gateway.yaml, or in a file, at most: whoever writes them all out means it."""

MAX_FILE_BYTES: Final = 8 << 20
"""Bytes of a file with a key set, at most: so many keys of the usual kinds fit."""


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The keys of one issuer, in the order of their document, and notes about what was skipped.

    `any_kid`: the one key answers to every `kid`, since a shared secret has no name of its own. `digest`
    names the set by its content (32 bytes): equal sets have equal digests. `kids` are the names in it.
    """

    keys: tuple[Key, ...]
    notes: tuple[str, ...] = ()
    any_kid: bool = False
    digest: bytes = field(init=False, repr=False)
    kids: frozenset[str] = field(init=False, repr=False)
    _by_kid: Mapping[tuple[str, str], Key | Reason] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        named: dict[str, list[Key]] = {}
        for key in self.keys:
            if key.kid is not None:
                named.setdefault(key.kid, []).append(key)
        by_kid = {
            (kid, algorithm): _only(keys, algorithm)
            for kid, keys in named.items()
            for algorithm in {name for key in keys for name in key.algorithms}
        }
        object.__setattr__(self, "digest", _digest(self))
        object.__setattr__(self, "_by_kid", by_kid)
        object.__setattr__(self, "kids", frozenset(named))

    def select(self, *, algorithm: str, kid: str | None, x5t_s256: str | None) -> Key | Reason:
        """The key that a token means by its header, or KEY_UNKNOWN, KEY_AMBIGUOUS, ALGORITHM_NOT_ALLOWED.

        By `kid` and `x5t#S256` where the token has them; a token with neither must leave no choice.
        """
        if kid is not None and x5t_s256 is None and not self.any_kid:
            found = self._by_kid.get((kid, algorithm))
            if found is not None:
                return found
            return Reason.ALGORITHM_NOT_ALLOWED if kid in self.kids else Reason.KEY_UNKNOWN
        candidates = self.keys
        if kid is not None and not self.any_kid:
            # A key that does not say which certificate it is from does not contradict the token.
            candidates = tuple(key for key in candidates if key.kid == kid and key.x5t_s256 in (None, x5t_s256))
        elif x5t_s256 is not None and not self.any_kid:
            candidates = tuple(key for key in candidates if key.x5t_s256 == x5t_s256)
        return _only(candidates, algorithm)

    def restricted_to(self, algorithms: Collection[str]) -> KeySet:
        """The same set with these algorithms only; keys that are left with none are dropped."""
        keys = []
        for key in self.keys:
            verifiers = {name: verify for name, verify in key.verifiers.items() if name in algorithms}
            if verifiers:
                keys.append(replace(key, algorithms=frozenset(verifiers), verifiers=verifiers))
        return KeySet(tuple(keys), self.notes, self.any_kid)

    def of_issuer(self, issuer: str) -> KeySet:
        """The keys of the set that sign for the issuer with this `iss`: the set itself if all of them do."""
        keys = tuple(key for key in self.keys if key.signs_for(issuer))
        if len(keys) == len(self.keys):
            return self
        others = len(self.keys) - len(keys)
        note = f"{others} {'key names' if others == 1 else 'keys name'} another issuer"
        return KeySet(keys, (*self.notes, note), self.any_kid)


def _only(candidates: Sequence[Key], algorithm: str) -> Key | Reason:
    """Of `candidates` the one that has `algorithm`."""
    if not candidates:
        return Reason.KEY_UNKNOWN
    fitting = [key for key in candidates if algorithm in key.algorithms]
    match fitting:
        case []:
            return Reason.ALGORITHM_NOT_ALLOWED
        case [key]:
            return key
        case _:
            return Reason.KEY_AMBIGUOUS


def _digest(keys: KeySet) -> bytes:
    rows = [
        repr((key.kid, key.kty, sorted(key.algorithms), key.thumbprint, key.x5t_s256, key.issuer))
        for key in keys.keys
    ]
    return hashlib.sha256("\n".join([str(keys.any_kid), *rows]).encode()).digest()


def read_jwks(data: bytes, *, max_keys: int = MAX_KEYS) -> KeySet:
    """The key set that a JWKS document holds.

    Raises KeyRefusedError when the document as a whole is no JWK Set, has more than `max_keys` keys, or mixes
    secret keys with public ones. Single keys that cannot be used are skipped, each with a note.
    Source: RFC 7517, section 5.
    """
    document = read_json_object(data.removeprefix(BYTE_ORDER_MARK))
    if document is None:
        found = looks_like(data)
        raise KeyRefusedError(
            "not a JWK Set: expected a JSON object in UTF-8, without duplicate members or deep nesting"
            + (f"; it is {found}" if found else "")
        )
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise KeyRefusedError('not a JWK Set: expected a member "keys" that is an array of keys')
    if len(entries) > max_keys:
        raise KeyRefusedError(f"the key set has {len(entries)} keys: expected {max_keys} at most (max_keys)")
    secret = {isinstance(entry, dict) and entry.get("kty") == "oct" for entry in entries}
    # PyJWT, python-jose: a set with both is how a public key came to be used as an HMAC secret.
    if len(secret) > 1:
        raise KeyRefusedError("the key set mixes secret keys (kty oct) with others: expected one kind only")
    keys: dict[tuple[object, ...], Key] = {}
    notes: list[str] = []
    for number, entry in enumerate(entries, start=1):
        # RFC 7517, section 5: implementations "SHOULD ignore JWKs within a JWK Set that use "kty" values that
        # are not understood, that are missing required members, or for which values are out of range".
        try:
            key = _import_entry(entry)
        except KeyRefusedError as error:
            notes.append(f"key {number}{_named(entry)} is not used: {error}")
            continue
        # The same key listed twice, word for word, is one key.
        keys.setdefault((key.kid, key.thumbprint, key.algorithms, key.x5t_s256, key.issuer), key)
    return KeySet(tuple(keys.values()), (*notes, *_ambiguous(keys.values())))


def _ambiguous(keys: Iterable[Key]) -> Iterator[str]:
    """Notes on keys that nobody can mean by their name alone."""
    named: dict[tuple[str | None, str | None], list[Key]] = {}
    for key in keys:
        named.setdefault((key.kid, key.issuer), []).append(key)
    for (kid, _), same in named.items():
        if len(same) > 1 and max(Counter(name for key in same for name in key.algorithms).values()) > 1:
            if kid is None:
                yield f"{len(same)} keys have no kid: a token that names none is refused"
            else:
                yield f"{len(same)} keys have the kid {kid!r}: a token that names only that is refused"


def _import_entry(entry: object) -> Key:
    if not isinstance(entry, dict):
        raise KeyRefusedError("not a JSON object")
    return import_jwk(entry)


def _named(entry: object) -> str:
    """` (kid 'a')` for a note, when the kid is fit to be shown."""
    kid = entry.get("kid") if isinstance(entry, dict) else None
    return f" (kid {kid!r})" if is_name(kid) else ""


def secret_keyset(secret: bytes, algorithms: Sequence[str]) -> KeySet:
    """The set of one shared secret, for the HS* `algorithms` and whatever `kid` a token has.

    Raises KeyRefusedError when an algorithm is not HS256, HS384 or HS512, when the secret is shorter than an
    algorithm's hash (RFC 7518, section 3.2), or when it is not a secret but the text of a key.
    """
    public = [name for name in algorithms if name not in SYMMETRIC]
    if public or not algorithms:
        raise KeyRefusedError(
            f"a shared secret is for {', '.join(sorted(SYMMETRIC))} only; got {', '.join(public) or 'none'}"
        )
    possible = secret_verifiers(secret)
    short = [name for name in algorithms if name not in possible]
    if short:
        raise KeyRefusedError(f"a secret of {len(secret)} octets is too short for {', '.join(short)}")
    verifiers = {name: possible[name] for name in algorithms}
    name = thumbprint({"kty": "oct", "k": encode_base64url(secret).decode()})
    return KeySet((Key(None, "oct", frozenset(verifiers), name, None, verifiers),), any_kid=True)
