"""`from jwtgate import …`: small, typed, and as its docstring shows it."""

from __future__ import annotations

import json
from typing import Any, assert_type

import jwtgate
from jwtgate import (
    ClaimRules,
    Key,
    KeySet,
    Reason,
    SigningKey,
    VerifiedToken,
    generate_signing_key,
    import_jwk,
    mint,
    read_jwks,
    secret_keyset,
    verify_token,
)

RULES = ClaimRules(issuer="https://issuer.example", audience=("orders",))


def test_a_service_verifies_what_a_test_suite_minted() -> None:
    signer = assert_type(generate_signing_key("ES256"), SigningKey)
    keys = assert_type(read_jwks(json.dumps({"keys": [signer.public_jwk()]}).encode()), KeySet)
    token = assert_type(
        mint({"iss": "https://issuer.example", "aud": "orders", "exp": 2_000_000_000, "sub": "u"}, signer), str
    )
    found = verify_token(token, keys, algorithms=("ES256",), rules=RULES, now=1_900_000_000.0)
    assert_type(found, VerifiedToken | Reason)
    match found:
        case VerifiedToken(claims=claims):
            assert claims["sub"] == "u"
        case Reason():
            raise AssertionError
    late = verify_token(token, keys, algorithms=("ES256",), rules=RULES, now=2_000_000_000.0)
    assert late is Reason.TOKEN_EXPIRED
    elsewhere = verify_token(token, keys, algorithms=("ES384",), rules=RULES, now=1_900_000_000.0)
    assert elsewhere is Reason.ALGORITHM_NOT_ALLOWED


def test_keys_are_typed() -> None:
    jwk: dict[str, Any] = dict(generate_signing_key("Ed25519").public_jwk())
    key = assert_type(import_jwk(jwk), Key)
    assert_type(key.kid, str | None)
    assert_type(key.algorithms, frozenset[str])
    assert_type(secret_keyset(bytes(range(32)), ["HS256"]), KeySet)


def test_everything_that_is_named_is_there_and_described() -> None:
    for name in jwtgate.__all__:
        assert getattr(jwtgate, name).__doc__, name
