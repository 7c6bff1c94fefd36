"""Throw-away keys in place of the issuers', so that claims become tokens that verify."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jwtgate.keys import SYMMETRIC, SigningKey, generate_signing_key, read_jwks, secret_keyset
from jwtgate.keys.encoding import encode_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys import KeySet
    from jwtgate.plan import Issuer

_SECRET_BYTES = 64  # enough for HS512 (RFC 7518, section 3.2)


@dataclass(slots=True)
class ThrowAwayKeys:
    """One key set for each issuer that was asked for."""

    keysets: dict[str, KeySet] = field(default_factory=dict)  # by the name of the issuer
    _keys: dict[str, SigningKey | bytes] = field(default_factory=dict, repr=False)

    def token(self, issuer: Issuer, header: Mapping[str, Any], claims: Mapping[str, Any], now: float) -> str:
        """A token of the issuer, valid at `now` for five minutes, less the members that are null.

        Raises TypeError or ValueError when they are not JSON values.
        """
        key = self._key(issuer)
        made = {
            "iss": issuer.issuer,
            **({"aud": issuer.audience[0]} if issuer.audience else {}),
            "iat": int(now),
            "exp": int(now) + 300,
            **claims,
        }
        named = {
            "alg": issuer.algorithms[0],
            "typ": issuer.types[0] if issuer.types else "JWT",
            **({"kid": key.kid} if isinstance(key, SigningKey) else {}),
            **header,
        }
        signed = b".".join(_segment(part) for part in (named, made))
        return (signed + b"." + encode_base64url(_sign(key, issuer.algorithms[0], signed))).decode()

    def _key(self, issuer: Issuer) -> SigningKey | bytes:
        if issuer.name not in self._keys:
            algorithm = issuer.algorithms[0]
            if algorithm in SYMMETRIC:
                secret = secrets.token_bytes(_SECRET_BYTES)
                self._keys[issuer.name] = secret
                self.keysets[issuer.name] = secret_keyset(secret, issuer.algorithms)
            else:
                key = generate_signing_key(algorithm)
                self._keys[issuer.name] = key
                self.keysets[issuer.name] = read_jwks(json.dumps({"keys": [key.public_jwk()]}).encode())
        return self._keys[issuer.name]


def _sign(key: SigningKey | bytes, algorithm: str, data: bytes) -> bytes:
    # RFC 7518, section 3.2: HS256, HS384 and HS512 are HMAC with the SHA-2 of that length.
    return key.sign(data) if isinstance(key, SigningKey) else hmac.digest(key, data, f"sha{algorithm[2:]}")


def _segment(members: Mapping[str, Any]) -> bytes:
    given = {name: value for name, value in members.items() if value is not None}
    return encode_base64url(json.dumps(given, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
