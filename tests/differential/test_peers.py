"""What we accept, joserfc and PyJWT accept too, where they know the algorithm; differences are in a table here.

Tokens are made by hypothesis: genuine ones, damaged in header, payload, signature, spelling, or algorithm. The
peers are asked for the signature and for the claims that all three know; what we refuse they may accept.
"""

from __future__ import annotations

import hmac
import json
import warnings
from typing import Any, Final

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError, SecurityWarning

from jwtgate import ClaimRules, KeySet, VerifiedToken, read_jwks, verify_token
from jwtgate.keys import generate_signing_key
from jwtgate.keys.encoding import encode_base64url

NOW: Final = 1_900_000_000
ISSUER: Final = "https://issuer.example"
ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA", "HS256")

NONE_HEADER: Final = encode_base64url(b'{"alg":"none"}').decode()

SIGNERS: Final = {name: generate_signing_key(name) for name in ALGORITHMS if name != "HS256"}
SECRET: Final = bytes(range(64))
SECRET_JWK: Final = {"kty": "oct", "k": encode_base64url(SECRET).decode()}
JWKS: Final = {
    **{name: dict(signer.public_jwk()) for name, signer in SIGNERS.items()},
    "HS256": SECRET_JWK,
}
KEYSETS: Final[dict[str, KeySet]] = {
    name: read_jwks(json.dumps({"keys": [jwk]}).encode()) for name, jwk in JWKS.items()
}
RULES: Final = ClaimRules(ISSUER, ("services",))


def signed(algorithm: str, header: bytes, payload: bytes) -> str:
    signing_input = encode_base64url(header) + b"." + encode_base64url(payload)
    if algorithm == "HS256":
        signature = hmac.digest(SECRET, signing_input, "sha256")
    else:
        signature = SIGNERS[algorithm].sign(signing_input)
    return (signing_input + b"." + encode_base64url(signature)).decode()


def we_accept(algorithm: str, token: str) -> bool:
    found = verify_token(token, KEYSETS[algorithm], algorithms=(algorithm,), rules=RULES, now=NOW)
    return isinstance(found, VerifiedToken)


def pyjwt_accepts(algorithm: str, token: str) -> bool:
    key = jwt.PyJWK({**JWKS[algorithm], "alg": algorithm})
    # PyJWT has no `now`: it checks presence and form of the dates, their order is compared below.
    options: Any = {"require": ["exp", "iss"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    try:
        claims = jwt.decode(
            token, key, algorithms=[algorithm], audience="services", issuer=ISSUER, options=options
        )
    except (jwt.PyJWTError, ValueError):
        return False
    return bool(claims["exp"] > NOW and claims.get("nbf", 0) <= NOW)


def joserfc_accepts(algorithm: str, token: str) -> bool:
    registry = joserfc_jwt.JWTClaimsRegistry(
        now=NOW,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": "services"},
        exp={"essential": True},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # it calls EdDSA by its old name deprecated
        try:
            key = joserfc_jwk.import_key({**JWKS[algorithm]})
            registry.validate(joserfc_jwt.decode(token, key, algorithms=[algorithm]).claims)
        except (JoseError, ValueError, TypeError):
            return False
    return True


PEERS: Final = {"PyJWT": pyjwt_accepts, "joserfc": joserfc_accepts}

HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "typ": st.sampled_from(["JWT", "at+jwt", "", 1]),
        "kid": st.sampled_from(["", "a", "é", 7]),
        "crit": st.sampled_from([[], ["b64"], ["exp"], None]),
        "b64": st.booleans(),
        "zip": st.just("DEF"),
        "jwk": st.just(SECRET_JWK),
        "jku": st.just("https://attacker.example"),
        "cty": st.sampled_from(["JWT", "x"]),
    },
)
DATES = st.sampled_from([NOW - 1, NOW, NOW + 1, NOW + 0.5, 0, -1, 2**70, "soon", None, True, [NOW + 60]])
CLAIMS = st.fixed_dictionaries(
    {
        "iss": st.sampled_from([ISSUER, ISSUER, ISSUER, "https://other.example", None, [ISSUER]]),
        "aud": st.sampled_from(["services", "services", ["services", "x"], "x", [], ["services", 1], None]),
        "exp": st.sampled_from([NOW + 60] * 6) | DATES,
    },
    optional={
        "nbf": DATES,
        "iat": st.sampled_from([NOW - 60, NOW, 0, "then", None]),
        "sub": st.sampled_from(["u", "", 7, None]),
        "jti": st.sampled_from(["j", 7, None]),
    },
)
DAMAGE = st.sampled_from(
    ["none", "none", "none", "flip", "cut", "pad", "dot", "space", "swap", "empty signature", "none alg", "repeat"]
)


def damaged(token: str, damage: str, place: int) -> str:
    head, body, tail = token.split(".")
    place %= len(token)
    match damage:
        case "flip":
            return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        case "cut":
            return token[:place] + token[place + 1 :]
        case "pad":
            return token + "=" * (1 + place % 2)
        case "dot":
            return token[:place] + "." + token[place:]
        case "space":
            return token[:place] + " " + token[place:]
        case "swap":
            return f"{head}.{tail}.{body}"
        case "empty signature":
            return f"{head}.{body}."
        case "none alg":
            return f"{NONE_HEADER}.{body}.{tail}"
        case "repeat":
            return f"{head}.{body}.{tail}.{tail}"
        case _:
            return token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    header=HEADERS,
    claims=CLAIMS,
    damage=DAMAGE,
    place=st.integers(0, 2000),
    alg=st.sampled_from([None, *ALGORITHMS]),
)
def test_what_we_accept_the_peers_accept(
    algorithm: str, header: dict[str, Any], claims: dict[str, Any], damage: str, place: int, alg: str | None
) -> None:
    named = algorithm if alg is None or place % 3 else alg
    token = signed(algorithm, json.dumps({"alg": named, **header}).encode(), json.dumps(claims).encode())
    token = damaged(token, damage, place)
    if we_accept(algorithm, token):
        refusing = [name for name, accepts in PEERS.items() if not accepts(algorithm, token)]
        assert not refusing, token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_plain_genuine_token_is_accepted_by_all(algorithm: str) -> None:
    """The comparison above would hold if we refused everything, or if the peers knew nothing."""
    payload = json.dumps({"iss": ISSUER, "aud": "services", "exp": NOW + 60}).encode()
    token = signed(algorithm, json.dumps({"alg": algorithm}).encode(), payload)
    assert we_accept(algorithm, token)
    assert {name for name, accepts in PEERS.items() if accepts(algorithm, token)} == set(PEERS)


GOOD_CLAIMS: Final = f'"iss":"{ISSUER}","aud":"services"'.encode()


def crafted(header: bytes = b'{"alg":"ES256"}', payload: bytes = b'{%b,"exp":2000000000}' % GOOD_CLAIMS) -> str:
    return signed("ES256", header, payload)


# What a peer accepts and we refuse, rightly signed: (what, the token, who accepts it, why we do not).
STRICTER: Final = [
    (
        "a duplicate member in the header",
        crafted(header=b'{"alg":"none","alg":"ES256"}'),
        {"PyJWT", "joserfc"},
        "RFC 7515, section 4: names must be unique; two readers could disagree about which one counts",
    ),
    (
        "a duplicate claim",
        crafted(payload=b'{"iss":"x",%b,"exp":2000000000}' % GOOD_CLAIMS),
        {"PyJWT", "joserfc"},
        "RFC 7519, section 4: the same",
    ),
    (
        "trailing bits in the last character",
        crafted()[:-1] + chr(ord(crafted()[-1]) + 1),
        set(),
        "a second spelling of the same token",
    ),
    (
        "NaN as a claim",
        crafted(payload=b'{%b,"exp":2000000000,"n":NaN}' % GOOD_CLAIMS),
        {"PyJWT", "joserfc"},
        "RFC 8259, section 6: not JSON",
    ),
    (
        "zip in a JWS",
        crafted(header=b'{"alg":"ES256","zip":"DEF"}'),
        {"PyJWT"},
        "compression is off everywhere",
    ),
    (
        "a kid that is not printable",
        crafted(header=b'{"alg":"ES256","kid":"a\\u0000"}'),
        {"PyJWT", "joserfc"},
        "a kid goes into logs",
    ),
    (
        "a kid that the key set has not",
        crafted(header=b'{"alg":"ES256","kid":"other"}'),
        {"PyJWT", "joserfc"},
        "they were given one key, we a key set",
    ),
    (
        "cnf, a token bound to a key",
        crafted(payload=b'{%b,"exp":2000000000,"cnf":{"jkt":"x"}}' % GOOD_CLAIMS),
        {"PyJWT", "joserfc"},
        "RFC 7800: the proof would have to be checked",
    ),
    (
        "a claim nested 200 deep",
        crafted(payload=b'{%b,"exp":2000000000,"a":%b}' % (GOOD_CLAIMS, b"[" * 200 + b"]" * 200)),
        {"PyJWT", "joserfc"},
        "nesting is limited",
    ),
]


@pytest.mark.parametrize(("what", "token", "accepting", "why"), STRICTER, ids=[row[0] for row in STRICTER])
def test_where_we_are_stricter_the_table_says_so(what: str, token: str, accepting: set[str], why: str) -> None:
    assert not we_accept("ES256", token), what
    assert {name for name, accepts in PEERS.items() if accepts("ES256", token)} == accepting, why
