"""What a string must look like before anything in it is looked at more closely."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jwtgate.keys import ALGORITHMS
from jwtgate.keys.encoding import encode_base64url
from jwtgate.reasons import Reason
from jwtgate.tokens import UnverifiedToken, parse, unverified_issuer

CLAIMS = {"iss": "https://issuer.example", "sub": "secret-subject"}
SIGNATURE = encode_base64url(bytes(range(64))).decode()


def segment(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return encode_base64url(data).decode()


def token(header: object, payload: object = CLAIMS, signature: str = SIGNATURE) -> str:
    return f"{segment(header)}.{segment(payload)}.{signature}"


def header(**members: object) -> dict[str, Any]:
    return {"alg": "ES256", **members}


GOOD = token(header(kid="a"))
HEAD, BODY, TAIL = GOOD.split(".")


def parsed(text: str) -> UnverifiedToken:
    found = parse(text, max_bytes=8192)
    assert isinstance(found, UnverifiedToken), found
    return found


def test_a_well_formed_token_is_taken_apart() -> None:
    digest = "A" * 43
    found = parsed(token(header(kid="a", typ="application/AT+jwt", **{"x5t#S256": digest})))
    assert (found.algorithm, found.kid, found.typ, found.x5t_s256) == ("ES256", "a", "application/AT+jwt", digest)
    assert found.header.media_type == "at+jwt"
    assert found.signature == bytes(range(64))
    assert unverified_issuer(found) == CLAIMS["iss"]


def test_a_repr_shows_the_header_only() -> None:
    found = parsed(GOOD)
    assert "secret-subject" not in repr(found)
    assert SIGNATURE not in repr(found)
    assert "ES256" in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a",
        HEAD,
        f"{HEAD}.{BODY}",
        f"{HEAD}.{BODY}.",
        f".{BODY}.{TAIL}",
        f"{HEAD}.{BODY}.{TAIL}.",
        f".{HEAD}.{BODY}.{TAIL}",
        f"{HEAD}.{BODY}..{TAIL}",
        f"{HEAD}.{BODY}.{TAIL}.AA.AA",
        f"{HEAD}.{BODY}.{TAIL}=",
        f"{HEAD}.{BODY}.{TAIL}==",
        f"{HEAD}.{BODY}.{TAIL}\n",
        f" {HEAD}.{BODY}.{TAIL}",
        f"{HEAD}. {BODY}.{TAIL}",
        f"{HEAD}\n.{BODY}.{TAIL}",
        f"{HEAD}.{BODY}.{TAIL[:-1]}9",
        f"{HEAD}.{BODY}.{TAIL[:-2]}+A",
        f"{HEAD}.{BODY}.{TAIL}\0",
        f"{HEAD}.{BODY}.é{TAIL}",
        f"{HEAD}.{BODY}.\ud800{TAIL}",
        f"{HEAD}:{BODY}.{TAIL}",
        json.dumps({"payload": BODY, "signatures": []}),
        json.dumps({"payload": BODY, "protected": HEAD, "signature": TAIL}),
    ],
)
def test_a_token_has_one_spelling_and_others_are_malformed(text: str) -> None:
    assert parse(text, max_bytes=8192) is Reason.TOKEN_MALFORMED


def test_every_one_character_change_of_the_spelling_is_another_token_or_none() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    original = parsed(GOOD)
    for position in range(len(GOOD) - len(TAIL), len(GOOD)):
        for character in alphabet:
            changed = GOOD[:position] + character + GOOD[position + 1 :]
            found = parse(changed, max_bytes=8192)
            if changed != GOOD and isinstance(found, UnverifiedToken):
                assert found.signature != original.signature


def test_the_size_is_limited_before_anything_is_decoded() -> None:
    assert isinstance(parse(GOOD, max_bytes=len(GOOD)), UnverifiedToken)
    assert parse(GOOD, max_bytes=len(GOOD) - 1) is Reason.TOKEN_TOO_LARGE
    assert parse("é" * 9000, max_bytes=8192) is Reason.TOKEN_TOO_LARGE


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"{}", Reason.HEADER_INVALID),
        (b"[]", Reason.HEADER_INVALID),
        (b"", Reason.TOKEN_MALFORMED),
        (b"alg", Reason.HEADER_INVALID),
        (b'{"alg":"ES256"', Reason.HEADER_INVALID),
        (b'{"alg":"ES256"}\xff', Reason.HEADER_INVALID),
        (b'{"alg":"ES256","alg":"ES256"}', Reason.HEADER_INVALID),
        (b'{"alg":"none","alg":"ES256"}', Reason.HEADER_INVALID),
        (b'{"alg":"ES256","\\u0061lg":"none"}', Reason.HEADER_INVALID),
        (b'{"alg":"ES256","a":' + b"[" * 5000 + b"]" * 5000 + b"}", Reason.HEADER_INVALID),
        (header(alg=None), Reason.HEADER_INVALID),
        (header(alg=["ES256"]), Reason.HEADER_INVALID),
        (header(alg="none"), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg="None"), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg="nOnE"), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg=""), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg="es256"), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg="ES256 "), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg="HS1"), Reason.ALGORITHM_NOT_ALLOWED),
        (header(alg="RSA-OAEP"), Reason.ALGORITHM_NOT_ALLOWED),
        (header(kid=1), Reason.HEADER_INVALID),
        (header(kid=None), Reason.HEADER_INVALID),
        (header(kid={"a": 1}), Reason.HEADER_INVALID),
        (header(kid="a" * 257), Reason.HEADER_INVALID),
        (header(kid="a\nb"), Reason.HEADER_INVALID),
        (header(kid="\0"), Reason.HEADER_INVALID),
        (header(kid="ключ"), Reason.HEADER_INVALID),
        (header(typ=1), Reason.HEADER_INVALID),
        (header(typ=None), Reason.HEADER_INVALID),
        (header(typ="a" * 257), Reason.HEADER_INVALID),
        (header(**{"x5t#S256": 1}), Reason.HEADER_INVALID),
        (header(**{"x5t#S256": "AAAA"}), Reason.HEADER_INVALID),
        (header(**{"x5t#S256": "A" * 42 + "B"}), Reason.HEADER_INVALID),
        (header(crit=["exp"]), Reason.CRIT_UNSUPPORTED),
        (header(crit=[]), Reason.CRIT_UNSUPPORTED),
        (header(crit=None), Reason.CRIT_UNSUPPORTED),
        (header(crit=["b64"], b64=True), Reason.CRIT_UNSUPPORTED),
        (header(b64=False), Reason.CRIT_UNSUPPORTED),
        (header(b64=None), Reason.CRIT_UNSUPPORTED),
        (header(b64=0), Reason.CRIT_UNSUPPORTED),
        (header(zip="DEF"), Reason.HEADER_INVALID),
    ],
)
def test_a_header_is_refused(head: object, reason: Reason) -> None:
    text = token(head)
    assert parse(text, max_bytes=20_000) is reason
    # The second time it may come from memory.
    assert parse(text, max_bytes=20_000) is reason


@pytest.mark.parametrize(
    "kid", ["", "a" * 256, "../../etc/passwd", "' OR 1=1 --", "https://attacker.example/jwks"]
)
def test_a_kid_is_an_opaque_name(kid: str) -> None:
    assert parsed(token(header(kid=kid))).kid == kid


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t", "unknown", "cty"])
@pytest.mark.parametrize("value", ["https://attacker.example", {"kty": "oct", "k": "AAAA"}, [1], None])
def test_keys_and_urls_in_a_header_are_ignored(name: str, value: object) -> None:
    """CVE-2018-0114."""
    found = parsed(token(header(kid="a", **{name: value}))).header
    assert {field: getattr(found, field) for field in found.__struct_fields__} == {
        "algorithm": "ES256",
        "kid": "a",
        "x5t_s256": None,
        "typ": None,
        "media_type": None,
    }


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_every_algorithm_of_the_table_is_read(algorithm: str) -> None:
    assert parsed(token(header(alg=algorithm))).algorithm == algorithm


def test_a_header_too_long_to_be_remembered_is_read_all_the_same() -> None:
    assert parsed(token(header(filler="x" * 2000))).algorithm == "ES256"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", Reason.TOKEN_MALFORMED),
        (b"Payload", Reason.TOKEN_MALFORMED),
        (b"[]", Reason.TOKEN_MALFORMED),
        (b'"iss"', Reason.TOKEN_MALFORMED),
        (b'{"iss":"a","iss":"b"}', Reason.TOKEN_MALFORMED),
        (b'{"iss":"a","exp":NaN}', Reason.TOKEN_MALFORMED),
        ({}, Reason.ISSUER_UNKNOWN),
        ({"iss": None}, Reason.ISSUER_UNKNOWN),
        ({"iss": ["a"]}, Reason.ISSUER_UNKNOWN),
        ({"iss": "a"}, "a"),
    ],
)
def test_the_issuer_is_named_by_a_readable_payload_only(payload: object, expected: str | Reason) -> None:
    assert unverified_issuer(parsed(token(header(), payload))) == expected
