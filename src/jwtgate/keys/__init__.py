"""Keys, the pure part: JWK and JWK Set, what a key may verify, thumbprints, and keys that sign.

encoding.py     base64url and JSON, read strictly
algorithms.py   the table of JWS algorithms
weakness.py     keys that are refused although well-formed
thumbprint.py   RFC 7638
jwk.py          one JWK → Key
keyset.py       a JWK Set → KeySet, and which key a token means
signing.py      private keys
freshness.py    when an issuer's keys are fetched, kept and given up
metadata.py     where they are, from the issuer's metadata
"""

from __future__ import annotations

from jwtgate.keys.algorithms import ALGORITHMS, SYMMETRIC
from jwtgate.keys.jwk import Key, import_jwk, public_half
from jwtgate.keys.keyset import MAX_KEYS, KeySet, read_jwks, secret_keyset
from jwtgate.keys.signing import (
    SigningKey,
    generate_signing_key,
    load_signing_key,
    serialise_signing_key,
)
from jwtgate.keys.thumbprint import thumbprint

__all__ = [
    "ALGORITHMS",
    "MAX_KEYS",
    "SYMMETRIC",
    "Key",
    "KeySet",
    "SigningKey",
    "generate_signing_key",
    "import_jwk",
    "load_signing_key",
    "public_half",
    "read_jwks",
    "secret_keyset",
    "serialise_signing_key",
    "thumbprint",
]
