"""What we accept, joserfc and PyJWT accept too, where they know the algorithm; differences are in a table here.

Tokens are good ones with one thing changed, or two: in header, claims, signature, spelling or algorithm. The peers
are asked for the signature and for the claims that all three know; what we refuse they may accept.
`script/mutation-check --peers` shows that a check which is removed from our side is noticed here.
"""

from __future__ import annotations

import hmac
import json
import warnings
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError, SecurityWarning

from jwtgate import ClaimRules, KeySet, VerifiedToken, read_jwks, verify_token
from jwtgate.keys import generate_signing_key
from jwtgate.keys.algorithms import CURVES
from jwtgate.keys.encoding import decode_base64url, encode_base64url

NOW: Final = 1_900_000_000
ISSUER: Final = "https://issuer.example"
ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA", "HS256")

NONE_HEADER: Final = encode_base64url(b'{"alg":"none"}').decode()

SIGNERS: Final = {name: generate_signing_key(name) for name in ALGORITHMS if name != "HS256"}
SECRET: Final = bytes(range(64))
SECRET_JWK: Final = {"kty": "oct", "k": encode_base64url(SECRET).decode()}
CURVES_OF: Final = {"ES256": "P-256", "ES384": "P-384"}
JWKS: Final = {
    **{name: dict(signer.public_jwk()) for name, signer in SIGNERS.items()},
    "HS256": SECRET_JWK,
}
KEYSETS: Final[dict[str, KeySet]] = {
    name: read_jwks(json.dumps({"keys": [jwk]}).encode()) for name, jwk in JWKS.items()
}
PYJWT_KEYS: Final = {name: jwt.PyJWK({**jwk, "alg": name}) for name, jwk in JWKS.items()}
JOSERFC_KEYS: Final = {name: joserfc_jwk.import_key({**jwk}) for name, jwk in JWKS.items()}
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
    # PyJWT has no `now`: it checks presence and form of the dates, their order is compared below.
    options: Any = {"require": ["exp", "iss"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    try:
        claims = jwt.decode(
            token,
            PYJWT_KEYS[algorithm],
            algorithms=[algorithm],
            audience="services",
            issuer=ISSUER,
            options=options,
        )
    except (jwt.PyJWTError, ValueError):
        return False
    return bool(claims["exp"] > NOW and claims.get("nbf", 0) <= NOW and claims.get("iat", 0) <= NOW)


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
            registry.validate(joserfc_jwt.decode(token, JOSERFC_KEYS[algorithm], algorithms=[algorithm]).claims)
        except (JoseError, ValueError, TypeError):
            return False
    return True


PEERS: Final = {"PyJWT": pyjwt_accepts, "joserfc": joserfc_accepts}

ABSENT: Final = object()
DISTANCES: Final = (-1, -0.5, 0, 0.5, 1, 2**70)
GOOD: Final[dict[str, object]] = {"iss": ISSUER, "aud": "services", "exp": NOW + 60, "nbf": NOW, "iat": NOW}

Change = dict[str, object]


def each(name: str, *values: object) -> list[Change]:
    return [{name: value} for value in values]


# What can be wrong with a token, or odd: one or two of these are done to a good one, so that most tokens are at
# the border of what is accepted, and the removal of any one check of ours lets something in that a peer refuses.
HEADER_CHANGES: Final[list[Change]] = [
    {"alg": ABSENT},
    {"alg": None},
    {"alg": ["ES256"]},
    *each("alg", "none", "None", "HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA"),
    *each("typ", "JWT", "at+jwt", "", 1),
    *each("kid", "", "a", "é", 7),
    *each("crit", [], ["b64"], ["exp"], ["unknown"], None),
    {"crit": ["b64"], "b64": False},
    {"crit": ["b64"], "b64": True},
    {"b64": False},
    {"b64": True},
    {"zip": "DEF"},
    {"jwk": SECRET_JWK},
    {"jku": "https://attacker.example"},
    {"cty": "JWT"},
]
CLAIM_CHANGES: Final[list[Change]] = [
    *each("iss", ABSENT, None, "", [ISSUER], ISSUER + "/", ISSUER.upper()),
    *each("aud", ABSENT, None, "", "x", "Services", [], ["x"], {"services": 1}),
    *each("aud", ["services"], ["x", "services"], ["services", 1], [["services"]]),
    *each("exp", ABSENT, None, True, "soon", str(NOW + 60), [NOW + 60], {}),
    *each("exp", *(NOW + distance for distance in DISTANCES)),
    *each("nbf", ABSENT, None, False, "soon", str(NOW), [NOW]),
    *each("nbf", *(NOW + distance for distance in DISTANCES)),
    *each("iat", ABSENT, None, False, "then", str(NOW), [NOW]),
    *each("iat", *(NOW + distance for distance in DISTANCES)),
    *each("sub", "u", "", 7, None, ["u"]),
    *each("jti", "j", 7, None),
]


def changed(members: dict[str, object], change: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in {**members, **change}.items() if value is not ABSENT}


def signature_changes(algorithm: str, signature: bytes) -> list[bytes]:
    """Signatures that are not this token's, near to it."""
    half = len(signature) // 2
    changes = [
        b"",
        b"\0" * len(signature),
        b"\0" * half + signature[half:],
        signature[:half] + b"\0" * half,
        signature + b"\0",
        b"\0" + signature,
        signature[:-1],
        signature[1:],
        signature[half:] + signature[:half],
        bytes((signature[0] ^ 1, *signature[1:])),
        bytes((*signature[:-1], signature[-1] ^ 1)),
    ]
    if algorithm in CURVES_OF:
        order = CURVES[CURVES_OF[algorithm]].order
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        pairs = [(order, s), (r, order), (r, order - s), (r + order, s), (r, s + order), (0, s), (r, 0)]
        changes += [
            encode_dss_signature(r, s),
            *(b"".join(number.to_bytes(half + 1, "big")[-half:] for number in pair) for pair in pairs),
        ]
    return changes


def spellings(token: str) -> list[str]:
    """Texts that are not `token`, near to it."""
    head, body, tail = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    trailing = [part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1] for part in (head, body, tail)]
    return [
        f"{trailing[0]}.{body}.{tail}",
        f"{head}.{trailing[1]}.{tail}",
        f"{head}.{body}.{trailing[2]}",
        *(token + text for text in ("=", "==", "A", "AA", "AAA", "AAAA", ".", " ", "\n", "é", ".AAAA")),
        *(text + token for text in (" ", ".", "\n", "A")),
        f"{head}=.{body}.{tail}",
        f"{head}.{body}==.{tail}",
        f"{head}.{body} .{tail}",
        f"{head}\n.{body}.{tail}",
        f"{head}.{tail}.{body}",
        f"{head}.{body}",
        f"{head}..{tail}",
        f".{body}.{tail}",
        f"{head}.{body}.",
        f"{NONE_HEADER}.{body}.",
        f"{NONE_HEADER}.{body}.{tail}",
        token.replace("-", "+").replace("_", "/"),
        token[: len(head) + 2] + "*" + token[len(head) + 2 :],
    ]


PAYLOADS: Final = [b"", b"[]", b"null", b'"x"', b"\xff", b"\xef\xbb\xbf{}", b'{"a":1}x', b"{'a':1}"]


def made(algorithm: str, header: dict[str, object], claims: dict[str, object], tail: bytes | None = None) -> str:
    """The token; its signature replaced by `tail` where there is one."""
    token = signed(
        algorithm,
        json.dumps(changed({"alg": algorithm}, header)).encode(),
        json.dumps(changed(GOOD, claims)).encode(),
    )
    return token if tail is None else token.rpartition(".")[0] + "." + encode_base64url(tail).decode()


def compare(algorithm: str, token: str) -> None:
    if we_accept(algorithm, token):
        refusing = {name for name, accepts in PEERS.items() if not accepts(algorithm, token)}
        assert not refusing, token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_we_accept_at_the_border_the_peers_accept(algorithm: str) -> None:
    """Each change alone, every time: what hypothesis does not happen to draw is here."""
    good = made(algorithm, {}, {})
    signature = decode_base64url(good.rpartition(".")[2].encode()) or b""
    tokens = [
        *(made(algorithm, change, {}) for change in HEADER_CHANGES),
        *(made(algorithm, {}, change) for change in CLAIM_CHANGES),
        *(made(algorithm, {}, {}, tail) for tail in signature_changes(algorithm, signature)),
        *spellings(good),
        *(signed(algorithm, json.dumps({"alg": algorithm}).encode(), payload) for payload in PAYLOADS),
        *(made(other, {"alg": named}, {}) for other in ALGORITHMS for named in (algorithm, other)),
    ]
    for token in tokens:
        compare(algorithm, token)
    accepted = sum(we_accept(algorithm, token) for token in tokens)
    assert len(tokens) / 8 < accepted < len(tokens) / 2, "the border is where some are accepted and some are not"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    header=st.sampled_from([{}, {}, {}, *HEADER_CHANGES]),
    first=st.sampled_from([{}, *CLAIM_CHANGES]),
    second=st.sampled_from([{}, {}, *CLAIM_CHANGES]),
    text=st.sampled_from(["as it is"] * 3 + ["spelling", "flip", "cut", "insert"]),
    place=st.integers(0, 2000),
    inserted=st.characters(max_codepoint=0x17F),
)
def test_what_we_accept_the_peers_accept(
    algorithm: str,
    header: dict[str, object],
    first: dict[str, object],
    second: dict[str, object],
    text: str,
    place: int,
    inserted: str,
) -> None:
    token = made(algorithm, header, {**first, **second})
    at = place % len(token)
    match text:
        case "spelling":
            others = spellings(token)
            token = others[place % len(others)]
        case "flip":
            token = token[:at] + inserted + token[at + 1 :]
        case "cut":
            token = token[:at] + token[at + 1 :]
        case "insert":
            token = token[:at] + inserted + token[at:]
        case _:
            pass
    compare(algorithm, token)


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
