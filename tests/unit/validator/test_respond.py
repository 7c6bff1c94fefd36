"""What the validator says to NGINX: 200 or 401, never a body, nothing of the token."""

from __future__ import annotations

import pytest

from jwtgate import generate_signing_key, import_jwk, mint
from jwtgate.authenticate import Allow, Deny, Step
from jwtgate.config import load_text
from jwtgate.reasons import Reason
from jwtgate.tokens import VerifiedToken, parse, verify
from jwtgate.validator.respond import allow, deny, plain, subject_digest
from support.answers import taken_apart

ISSUER = load_text(
    """
version: 1
listen: 8000
issuers:
  main: {issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: us, algorithms: [ES256]}
policies: {caller: {issuer: main}}
upstreams: {app: http://127.0.0.1:1}
routes: [{path: /, upstream: app, policy: caller}]
""",
    "gateway.yaml",
    {},
).plan.issuers["main"]
KEY = generate_signing_key("ES256")


def verified(**claims: object) -> VerifiedToken:
    token = parse(mint(claims, KEY), max_bytes=8192)
    assert not isinstance(token, Reason)
    found = verify(token, import_jwk(KEY.public_jwk()))
    assert isinstance(found, VerifiedToken)
    return found


TOKEN = verified(sub="alice")


def headers(answer: bytes) -> list[tuple[bytes, bytes]]:
    return taken_apart(answer)[1]


@pytest.mark.parametrize("reason", Reason)
def test_a_denial_is_a_401_with_its_reason_and_is_not_cached(reason: Reason) -> None:
    assert taken_apart(deny(Deny(reason, Step.PARSE))) == (
        401,
        [(b"content-length", b"0"), (b"x-accel-expires", b"0"), (b"x-jwtgate-reason", reason.encode())],
    )


def test_a_denial_of_a_verified_token_says_for_the_log_whose_it_was() -> None:
    message = deny(Deny(Reason.TOKEN_EXPIRED, Step.CLAIMS, ISSUER, TOKEN))
    assert headers(message)[3:] == [
        (b"x-jwtgate-issuer", b"main"),
        (b"x-jwtgate-key", KEY.kid.encode()),
        (b"x-jwtgate-subject", subject_digest("https://issuer.example", "alice").encode()),
    ]
    # The answers are shared: one request's must not leak into the next one's.
    assert len(headers(deny(Deny(Reason.TOKEN_EXPIRED, Step.CLAIMS)))) == 3


@pytest.mark.parametrize(
    ("until", "cacheable", "expires"), [(1_000_009, True, b"@1000009"), (1_000_009, False, b"0"), (0, True, b"0")]
)
def test_an_allow_says_how_long_it_holds(until: int, cacheable: bool, expires: bytes) -> None:
    status, found = taken_apart(allow(Allow(TOKEN, ISSUER, (), until), cacheable=cacheable))
    assert status == 200
    assert found == [
        (b"content-length", b"0"),
        (b"x-accel-expires", expires),
        (b"x-jwtgate-issuer", b"main"),
        (b"x-jwtgate-key", KEY.kid.encode()),
        (b"x-jwtgate-subject", subject_digest("https://issuer.example", "alice").encode()),
    ]


def test_an_allow_brings_the_identity_along() -> None:
    message = allow(Allow(TOKEN, ISSUER, (("X-User", "alice"), ("X-Team", "")), 0), cacheable=True)
    assert headers(message)[-2:] == [
        (b"x-jwtgate-identity-x-user", b"alice"),
        (b"x-jwtgate-identity-x-team", b""),
    ]


def test_nobody_is_told_who_it_was_where_nobody_asks() -> None:
    allowed = headers(allow(Allow(TOKEN, ISSUER, (("X-User", "alice"),), 9), cacheable=True, tells_who=False))
    assert [name for name, _ in allowed] == [b"content-length", b"x-accel-expires", b"x-jwtgate-identity-x-user"]
    denied = headers(deny(Deny(Reason.TOKEN_EXPIRED, Step.CLAIMS, ISSUER, TOKEN), tells_who=False))
    assert [name for name, _ in denied] == [b"content-length", b"x-accel-expires", b"x-jwtgate-reason"]


def test_a_line_too_many_denies() -> None:
    """What stands in the values was made printable before; if it ever is not, nobody is let through."""
    for value in ("a\r\nX-Jwtgate-Identity-X-Admin: yes", "a\nb", "a\r\n\r\nb"):
        status, found = taken_apart(allow(Allow(TOKEN, ISSUER, (("X-User", value),), 0), cacheable=True))
        assert (status, found[-1]) == (401, (b"x-jwtgate-reason", b"internal_error"))


def test_our_own_parts_get_a_body() -> None:
    assert plain(200, b"yes") == b"HTTP/1.1 200 -\r\nContent-Length: 3\r\n\r\nyes"


def test_a_subject_has_one_digest_with_each_issuer() -> None:
    digest = subject_digest("https://a.example", "alice")
    assert digest == subject_digest("https://a.example", "alice")
    assert len(digest) == 16
    assert "alice" not in digest
    others = {
        subject_digest(issuer, sub)
        for issuer, sub in (("https://b.example", "alice"), ("https://a.example", "bob"))
    }
    assert digest not in others
    assert len(others) == 2


@pytest.mark.parametrize("subject", [None, 7, ["alice"]])
def test_no_subject_has_no_digest(subject: object) -> None:
    assert subject_digest("https://a.example", subject) == ""
