"""The Status List Token: whose word it is, about which list, and until when."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate import SigningKey, generate_signing_key, mint, read_jwks
from jwtgate.config import load_text
from jwtgate.errors import StatusListRefusedError
from jwtgate.keys import secret_keyset
from jwtgate.keys.encoding import encode_base64url
from jwtgate.revocation import pack, read_status_token, status_claims
from jwtgate.revocation.status_token import TYP

if TYPE_CHECKING:
    from jwtgate.keys import KeySet
    from jwtgate.revocation import StatusListToken

NOW = 1_000_000
URI = "https://issuer.example/statuslists/1"
ISSUER = load_text(
    f"""
version: 1
listen: 8000
issuers:
  main: {{issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: us, algorithms: [ES256],
          leeway: 10s, status_lists: {URI}}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{app: http://127.0.0.1:1}}
routes: [{{path: /, upstream: app, policy: caller}}]
""",
    "gateway.yaml",
    {},
).plan.issuers["main"]
KEY = generate_signing_key("ES256")
OTHER = generate_signing_key("ES256")
STATUSES = pack({3: 1}, 16)


def keyset(*keys: SigningKey) -> KeySet:
    return read_jwks(json.dumps({"keys": [key.public_jwk() for key in keys]}).encode())


def token(key: SigningKey = KEY, typ: str = TYP, **changes: Any) -> bytes:
    good = status_claims(URI, ISSUER.issuer, STATUSES, issued_at=NOW, lifetime=60, ttl=10)
    return mint(
        {name: value for name, value in (good | changes).items() if value is not None}, key, typ=typ
    ).encode()


def read(
    text: bytes, *, now: float = NOW, keys: KeySet | None = None, max_bytes: int = 1 << 20
) -> StatusListToken:
    return read_status_token(text, uri=URI, issuer=ISSUER, keys=keys or keyset(KEY), now=now, max_bytes=max_bytes)


def test_a_list_is_read_with_its_times() -> None:
    found = read(token() + b"\n")
    assert found.statuses == STATUSES
    assert (found.issued_at, found.expires_at, found.ttl) == (NOW, NOW + 60, 10)


GOOD = {
    "without iss": (token(iss=None), NOW),
    "without exp and ttl": (token(exp=None, ttl=None), NOW + 1e9),
    "typ in full": (token(typ="application/statuslist+jwt"), NOW),
    "within the leeway": (token(), NOW + 69),
    "other claims": (token(aggregation_uri="https://issuer.example/all"), NOW),
}


@pytest.mark.parametrize(("text", "now"), GOOD.values(), ids=GOOD.keys())
def test_what_the_specification_leaves_open_is_accepted(text: bytes, now: float) -> None:
    assert read(text, now=now).statuses == STATUSES


BAD = {
    "not a token": (b"<html>", "not a signed token"),
    "not ASCII": ("é.é.é".encode(), "not a signed token"),
    "an access token": (token(typ="at+jwt"), "typ"),
    "no typ": (token(typ="JWT"), "typ"),
    "another issuer": (token(iss="https://other.example"), "iss"),
    "another list": (token(sub=URI + "2"), "sub"),
    "no sub": (token(sub=None), "sub"),
    "no iat": (token(iat=None), "iat"),
    "iat as text": (token(iat="now"), "iat"),
    "from the future": (token(iat=NOW + 11), "future"),
    "expired": (token(exp=NOW - 10), "expired"),
    "exp as true": (token(exp=True), "exp"),
    "exp of any size": (token(exp=10**400), "exp"),
    "ttl of nothing": (token(ttl=0), "ttl"),
    "ttl as text": (token(ttl="10"), "ttl"),
    "no list": (token(status_list=None), "status_list"),
    "wrong bits": (token(status_list={"bits": 3, "lst": "eNrbuRgAAhcBXQ"}), "bits"),
    "tampered": (token()[:-4] + b"AAAA", "not signed by the issuer"),
    "truncated": (token()[:-300], "not a signed token|not signed by the issuer"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD.keys())
def test_what_is_not_the_issuers_word_about_this_list_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(StatusListRefusedError, match=said) as caught:
        read(text)
    assert not caught.value.key_unknown


def test_a_key_that_the_list_does_not_name_may_have_been_replaced() -> None:
    head = encode_base64url(json.dumps({"alg": OTHER.algorithm, "typ": TYP}).encode())
    signing_input = head + b"." + token().split(b".")[1]
    with pytest.raises(StatusListRefusedError, match="not signed by the issuer") as caught:
        read(signing_input + b"." + encode_base64url(OTHER.sign(signing_input)))
    assert caught.value.key_unknown


def test_a_key_that_is_not_held_may_be_a_newer_one() -> None:
    with pytest.raises(StatusListRefusedError) as caught:
        read(token(OTHER))
    assert caught.value.key_unknown
    assert caught.value.kid == OTHER.kid
    assert read(token(OTHER), keys=keyset(KEY, OTHER)).statuses == STATUSES


def test_an_algorithm_that_the_issuer_does_not_use_is_refused_whatever_the_key() -> None:
    key = generate_signing_key("ES384")
    with pytest.raises(StatusListRefusedError, match="algorithm"):
        read(token(key), keys=keyset(key))


def test_a_message_authentication_code_is_no_signature() -> None:
    header = "eyJhbGciOiJIUzI1NiIsInR5cCI6InN0YXR1c2xpc3Qrand0In0"
    with pytest.raises(StatusListRefusedError, match="asymmetric"):
        read_status_token(
            f"{header}.e30.AAAA".encode(),
            uri=URI,
            issuer=replace(ISSUER, algorithms=("HS256",)),
            keys=secret_keyset(bytes(range(32)), ("HS256",)),
            now=NOW,
            max_bytes=1000,
        )


def test_a_list_that_is_too_large_is_not_read() -> None:
    with pytest.raises(StatusListRefusedError, match="token_too_large"):
        read(token(), max_bytes=100)
