"""What claims must say, at a moment that is a parameter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jwtgate.keys import generate_signing_key, import_jwk
from jwtgate.keys.encoding import encode_base64url
from jwtgate.reasons import Reason
from jwtgate.tokens import ClaimRules, UnverifiedToken, VerifiedToken, check_claims, parse, verify

SIGNER = generate_signing_key("Ed25519")
KEY = import_jwk(SIGNER.public_jwk())

NOW = 1_700_000_000.0
RULES = ClaimRules(issuer="https://issuer.example", audience=("orders", "billing"), leeway=30)
CLAIMS = {"iss": "https://issuer.example", "aud": "orders", "iat": NOW - 60, "exp": NOW + 60, "sub": "u"}


def verified(payload: object, typ: str | None = None) -> VerifiedToken:
    """A really signed token; `payload` is JSON text or a value."""
    header = {"alg": "Ed25519"} if typ is None else {"alg": "Ed25519", "typ": typ}
    text = payload if isinstance(payload, str) else json.dumps(payload)
    signing_input = encode_base64url(json.dumps(header).encode()) + b"." + encode_base64url(text.encode())
    token = parse((signing_input + b"." + encode_base64url(SIGNER.sign(signing_input))).decode(), max_bytes=8192)
    assert isinstance(token, UnverifiedToken), token
    found = verify(token, KEY)
    assert isinstance(found, VerifiedToken), found
    return found


def claims(**changes: object) -> dict[str, Any]:
    return {**CLAIMS, **changes}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in CLAIMS.items() if name not in names}


def test_good_claims_hold() -> None:
    assert check_claims(verified(CLAIMS), RULES, NOW) is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (claims(iss="https://issuer.example/"), Reason.ISSUER_UNKNOWN),
        (claims(iss="HTTPS://issuer.example"), Reason.ISSUER_UNKNOWN),
        (claims(iss=["https://issuer.example"]), Reason.ISSUER_UNKNOWN),
        (claims(iss=None), Reason.ISSUER_UNKNOWN),
        (without("iss"), Reason.ISSUER_UNKNOWN),
        (without("exp"), Reason.CLAIM_MISSING),
        (claims(exp=None), Reason.CLAIMS_UNREADABLE),
        (claims(exp="1700000060"), Reason.CLAIMS_UNREADABLE),
        (claims(exp=True), Reason.CLAIMS_UNREADABLE),
        (claims(exp=[NOW + 60]), Reason.CLAIMS_UNREADABLE),
        (claims(nbf="0"), Reason.CLAIMS_UNREADABLE),
        (claims(nbf=False), Reason.CLAIMS_UNREADABLE),
        (claims(nbf=None), Reason.CLAIMS_UNREADABLE),
        (claims(iat="0"), Reason.CLAIMS_UNREADABLE),
        (claims(iat=None), Reason.CLAIMS_UNREADABLE),
        (claims(sub=7), Reason.CLAIMS_UNREADABLE),
        (claims(sub=None), Reason.CLAIMS_UNREADABLE),
        (claims(jti=7), Reason.CLAIMS_UNREADABLE),
        (claims(exp=NOW - 30), Reason.TOKEN_EXPIRED),
        (claims(exp=NOW - 29.5), None),
        (claims(exp=0), Reason.TOKEN_EXPIRED),
        (claims(exp=-(10**400)), Reason.TOKEN_EXPIRED),
        (claims(exp=10**400), None),
        (claims(exp=1e308), None),
        (claims(nbf=NOW + 30), None),
        (claims(nbf=NOW + 30.5), Reason.TOKEN_NOT_YET_VALID),
        (claims(nbf=10**400), Reason.TOKEN_NOT_YET_VALID),
        (claims(iat=NOW + 30), None),
        (claims(iat=NOW + 31), Reason.TOKEN_NOT_YET_VALID),
        (without("iat"), None),
        (claims(aud="orders "), Reason.AUDIENCE_MISMATCH),
        (claims(aud="account"), Reason.AUDIENCE_MISMATCH),
        (claims(aud=None), Reason.AUDIENCE_MISMATCH),
        (claims(aud=[]), Reason.AUDIENCE_MISMATCH),
        (claims(aud={"orders": 1}), Reason.AUDIENCE_MISMATCH),
        (claims(aud=["account"]), Reason.AUDIENCE_MISMATCH),
        (claims(aud=["account", "Orders"]), Reason.AUDIENCE_MISMATCH),
        (claims(aud=["account", ["orders"]]), Reason.AUDIENCE_MISMATCH),
        (claims(aud=["orders", 1]), Reason.AUDIENCE_MISMATCH),
        (claims(aud=[1, "orders"]), Reason.AUDIENCE_MISMATCH),
        (without("aud"), Reason.AUDIENCE_MISMATCH),
        (claims(aud="billing"), None),
        (claims(aud=["account", "orders"]), None),
        (claims(cnf={"jkt": "x"}), Reason.PROOF_MISSING),
        (claims(cnf=None), Reason.PROOF_MISSING),
    ],
)
def test_claims_hold_or_do_not(payload: dict[str, Any], reason: Reason | None) -> None:
    assert check_claims(verified(payload), RULES, NOW) is reason


def test_a_token_is_over_at_the_very_moment_of_exp() -> None:
    token = verified(claims(exp=1000))
    rules = replace(RULES, leeway=0, audience=None)
    assert check_claims(verified(claims(exp=1000, iat=0)), rules, 999.999) is None
    assert check_claims(token, rules, 1000.0) is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize(
    ("payload", "rules", "reason"),
    [
        (without("aud"), replace(RULES, audience=None), None),
        (claims(aud="other"), replace(RULES, audience=None), None),
        (CLAIMS, replace(RULES, audience=()), Reason.AUDIENCE_MISMATCH),
        (claims(iss="other"), replace(RULES, issuer=None), None),
        (without("iss"), replace(RULES, issuer=None), None),
        (CLAIMS, replace(RULES, required=("sub", "iat")), None),
        (CLAIMS, replace(RULES, required=("jti",)), Reason.CLAIM_MISSING),
        (claims(roles=None), replace(RULES, required=("roles",)), Reason.CLAIM_MISSING),
        (claims(roles=[]), replace(RULES, required=("roles",)), None),
        (CLAIMS, replace(RULES, max_lifetime=120), None),
        (CLAIMS, replace(RULES, max_lifetime=119), Reason.TOKEN_TOO_OLD),
        (without("iat"), replace(RULES, max_lifetime=120), Reason.CLAIM_MISSING),
        (claims(exp=10**400, iat=1.5), replace(RULES, max_lifetime=120), Reason.TOKEN_TOO_OLD),
    ],
)
def test_rules_ask_for_more_or_less(payload: dict[str, Any], rules: ClaimRules, reason: Reason | None) -> None:
    assert check_claims(verified(payload), rules, NOW) is reason


@pytest.mark.parametrize(
    ("typ", "types", "reason"),
    [
        ("at+jwt", ("at+jwt",), None),
        ("AT+JWT", ("at+jwt",), None),
        ("application/at+jwt", ("at+jwt",), None),
        ("Application/AT+jwt", ("at+jwt",), None),
        ("JWT", ("at+jwt", "jwt"), None),
        ("statuslist+jwt", None, Reason.TYPE_MISMATCH),
        ("application/StatusList+jwt", None, Reason.TYPE_MISMATCH),
        ("JWT", ("at+jwt",), Reason.TYPE_MISMATCH),
        ("text/at+jwt", ("at+jwt",), Reason.TYPE_MISMATCH),
        ("application/application/at+jwt", ("at+jwt",), Reason.TYPE_MISMATCH),
        (None, ("at+jwt",), Reason.TYPE_MISMATCH),
        (None, None, None),
        ("logout+jwt", None, None),
    ],
)
def test_typ_is_compared_as_a_media_type(
    typ: str | None, types: tuple[str, ...] | None, reason: Reason | None
) -> None:
    assert check_claims(verified(CLAIMS, typ), replace(RULES, types=types), NOW) is reason


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_clock_that_is_no_number_denies(claim: str) -> None:
    dates = {"exp": NOW + 60} | {claim: NOW + 60}
    assert check_claims(verified({**without("iat"), **dates}), RULES, float("nan")) is not None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (claims(token_use="access"), None),
        (claims(token_use="id"), Reason.TYPE_MISMATCH),
        (claims(token_use=["access"]), Reason.TYPE_MISMATCH),
        (claims(token_use=None), Reason.TYPE_MISMATCH),
        (CLAIMS, Reason.TYPE_MISMATCH),
    ],
)
def test_a_fixed_claim_has_the_one_value_that_is_accepted(payload: object, reason: Reason | None) -> None:
    rules = replace(RULES, fixed=(("token_use", "access"),))
    assert check_claims(verified(payload), rules, NOW) is reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (without("aud") | {"client_id": "orders"}, None),
        (without("aud") | {"client_id": "others"}, Reason.AUDIENCE_MISMATCH),
        (CLAIMS, Reason.AUDIENCE_MISMATCH),
    ],
)
def test_the_audience_is_where_the_issuer_puts_it(payload: object, reason: Reason | None) -> None:
    rules = replace(RULES, audience_claim="client_id")
    assert check_claims(verified(payload), rules, NOW) is reason


@pytest.mark.parametrize("name", ["audience", "required", "types"])
def test_one_string_is_not_several(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is a string"):
        ClaimRules(**{"issuer": None, "audience": None, name: "orders"})  # type: ignore[arg-type] # the mistake
