"""What is minted is verified, and nothing is added to it."""

from __future__ import annotations

import json
import math

import pytest

from jwtgate.keys import generate_signing_key, import_jwk
from jwtgate.keys.encoding import decode_base64url
from jwtgate.tokens import UnverifiedToken, VerifiedToken, mint, parse, verify

SIGNER = generate_signing_key("ES256")
KEY = import_jwk(SIGNER.public_jwk())


def test_a_minted_token_holds_the_claims_and_names_the_key() -> None:
    claims = {"iss": "é", "n": 1.5, "deep": {"a": [1, None, True]}}
    token = parse(mint(claims, SIGNER, typ="at+jwt"), max_bytes=8192)
    assert isinstance(token, UnverifiedToken)
    found = verify(token, KEY)
    assert isinstance(found, VerifiedToken)
    assert found.claims == claims
    assert (found.algorithm, found.kid, found.typ) == ("ES256", SIGNER.kid, "at+jwt")


def test_typ_is_jwt_unless_said_otherwise() -> None:
    head = decode_base64url(mint({}, SIGNER).split(".")[0].encode())
    assert head is not None
    assert json.loads(head) == {"alg": "ES256", "typ": "JWT", "kid": SIGNER.kid}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_json_number_is_not_minted(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        mint({"n": value}, SIGNER)
