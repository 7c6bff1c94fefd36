"""The straight line for one issuer: what is wrong is said by the first step that sees it."""

from __future__ import annotations

import json

import pytest

from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.reasons import Reason
from jwtgate.tokens import ClaimRules, VerifiedToken, mint, verify_token

NOW = 1_700_000_000
SIGNER = generate_signing_key("ES256")
STRANGER = generate_signing_key("ES256")
KEYS = read_jwks(json.dumps({"keys": [SIGNER.public_jwk()]}).encode())
RULES = ClaimRules(issuer="https://issuer.example", audience=("a",))
CLAIMS = {"iss": "https://issuer.example", "aud": "a", "exp": NOW + 60}
GOOD = mint(CLAIMS, SIGNER)
HEAD, BODY, SIGNATURE = GOOD.split(".")
RELABELLED = ".".join((mint({}, STRANGER).split(".")[0], BODY, SIGNATURE))
FORGED = f"{HEAD}.{BODY}.{'A' * 86}"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", Reason.TOKEN_MALFORMED),
        (GOOD + "=", Reason.TOKEN_MALFORMED),
        # Neither key nor signature is looked at before the issuer is ours.
        (f"{HEAD}.W10.{SIGNATURE}", Reason.TOKEN_MALFORMED),
        (mint(CLAIMS | {"iss": "https://other.example"}, STRANGER), Reason.ISSUER_UNKNOWN),
        (mint(CLAIMS | {"iss": None}, SIGNER), Reason.ISSUER_UNKNOWN),
        (RELABELLED, Reason.KEY_UNKNOWN),
        (FORGED, Reason.SIGNATURE_INVALID),
        (mint(CLAIMS | {"exp": NOW}, SIGNER), Reason.TOKEN_EXPIRED),
        (mint(CLAIMS | {"aud": "b"}, SIGNER), Reason.AUDIENCE_MISMATCH),
    ],
)
def test_the_first_step_that_sees_a_fault_names_it(token: str, reason: Reason) -> None:
    assert verify_token(token, KEYS, algorithms=["ES256"], rules=RULES, now=NOW) is reason


def test_the_caller_names_the_algorithms() -> None:
    for algorithms in ([], ["RS256"], ["ES384", "HS256"]):
        found = verify_token(GOOD, KEYS, algorithms=algorithms, rules=RULES, now=NOW)
        assert found is Reason.ALGORITHM_NOT_ALLOWED


def test_what_holds_is_verified() -> None:
    found = verify_token(GOOD, KEYS, algorithms=["ES256"], rules=RULES, now=NOW)
    assert isinstance(found, VerifiedToken)
    assert found.claims == CLAIMS


def test_without_an_issuer_to_look_for_the_signature_is_what_counts() -> None:
    anybody = ClaimRules(issuer=None, audience=None)
    elsewhere = mint(CLAIMS | {"iss": "https://other.example"}, SIGNER)
    assert isinstance(verify_token(elsewhere, KEYS, algorithms=["ES256"], rules=anybody, now=NOW), VerifiedToken)
    assert verify_token(FORGED, KEYS, algorithms=["ES256"], rules=anybody, now=NOW) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("named", "token", "expected"),
    [
        ("https://issuer.example", GOOD, None),
        ("https://other.example", GOOD, Reason.KEY_UNKNOWN),
        ("https://{tenantid}", GOOD, None),
        ("https://issuer.example", mint(CLAIMS | {"iss": "https://other.example"}, SIGNER), Reason.KEY_UNKNOWN),
        ("https://issuer.example", mint(CLAIMS | {"iss": 1}, SIGNER), Reason.KEY_UNKNOWN),
        ("https://issuer.example", mint({"exp": NOW + 60}, SIGNER), Reason.KEY_UNKNOWN),
    ],
)
def test_a_key_that_names_its_issuer_signs_for_no_other(named: str, token: str, expected: Reason | None) -> None:
    keys = read_jwks(json.dumps({"keys": [{**SIGNER.public_jwk(), "issuer": named}]}).encode())
    anybody = ClaimRules(issuer=None, audience=None)
    found = verify_token(token, keys, algorithms=["ES256"], rules=anybody, now=NOW)
    assert found is expected if expected else isinstance(found, VerifiedToken)


def test_a_string_is_not_taken_for_a_collection_of_its_parts() -> None:
    with pytest.raises(TypeError, match="algorithms is a string"):
        verify_token(GOOD, KEYS, algorithms="ES256K", rules=RULES, now=NOW)
