"""The credential of a request, from its Authorization header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtgate.authenticate import Credential
from jwtgate.reasons import Reason
from jwtgate.validator.extract import _parse_unusual, extract, parse_authorization

CASES = {
    "bearer": (b"Bearer a.b.c", Credential("a.b.c")),
    "lower case": (b"bearer a.b.c", Credential("a.b.c")),
    "any case": (b"bEaReR a.b.c", Credential("a.b.c")),
    "several spaces": (b"Bearer    a.b.c", Credential("a.b.c")),
    "space around": (b" \tBearer a.b.c \t", Credential("a.b.c")),
    "bare": (b"a.b.c", Credential("a.b.c", bare=True)),
    "bare, space around": (b"  a.b.c ", Credential("a.b.c", bare=True)),
    "starts like a scheme": (b"Bearera.b.c", Credential("Bearera.b.c", bare=True)),
    "empty": (b"", Reason.TOKEN_MISSING),
    "space only": (b" \t ", Reason.TOKEN_MISSING),
    "another scheme": (b"Basic dXNlcjpwYXNz", Reason.TOKEN_MISSING),
    "another scheme with parameters": (b'Digest username="x", realm="y"', Reason.TOKEN_MISSING),
    "DPoP": (b"DPoP a.b.c", Reason.TOKEN_MISSING),
    "scheme alone": (b"Bearer", Reason.HEADER_INVALID),
    "scheme and space": (b"Bearer ", Reason.HEADER_INVALID),
    "scheme and tab": (b"Bearer\ta.b.c", Reason.HEADER_INVALID),
    "two words": (b"Bearer a b", Reason.HEADER_INVALID),
    "token and more": (b"Bearer a.b.c realm=x", Reason.HEADER_INVALID),
    "two in one": (b"Bearer a, Bearer b", Reason.CREDENTIALS_AMBIGUOUS),
    "two in one, tight": (b"Bearer a,b", Reason.CREDENTIALS_AMBIGUOUS),
    "two bare": (b"a.b.c,d.e.f", Reason.CREDENTIALS_AMBIGUOUS),
    "not ASCII": ("Bearer ü.b.c".encode(), Reason.HEADER_INVALID),
    "Latin-1": (b"Bearer \xfc", Reason.HEADER_INVALID),
    "control character": (b"Bearer a\x01b", Reason.HEADER_INVALID),
    "control character in the scheme": (b"Bea\x7frer x", Reason.HEADER_INVALID),
    "NUL": (b"\x00", Reason.HEADER_INVALID),
    "newline": (b"Bearer a\nb", Reason.HEADER_INVALID),
    "tab inside": (b"Bearer a\tb", Reason.HEADER_INVALID),
}


@pytest.mark.parametrize(("value", "expected"), CASES.values(), ids=CASES.keys())
def test_what_a_header_holds(value: bytes, expected: Credential | Reason) -> None:
    assert parse_authorization(value) == expected
    assert extract([(b"host", b"x"), (b"authorization", value)]) == expected


@given(st.from_regex(rb"Bearer [A-Za-z0-9._~+/=, \t-]*[\x00-\xff]?", fullmatch=True))
def test_the_usual_way_leads_to_what_the_unusual_one_would(value: bytes) -> None:
    assert parse_authorization(value) == _parse_unusual(value)


def test_no_header_is_no_token() -> None:
    assert extract([(b"host", b"x"), (b"x-authorization", b"Bearer a.b.c")]) is Reason.TOKEN_MISSING


@pytest.mark.parametrize("second", [b"Bearer a.b.c", b"", b"Basic x"])
def test_two_headers_are_ambiguous_whatever_they_hold(second: bytes) -> None:
    assert (
        extract([(b"authorization", b"Bearer a.b.c"), (b"authorization", second)]) is Reason.CREDENTIALS_AMBIGUOUS
    )


@given(st.binary(max_size=64))
def test_any_bytes_are_a_credential_of_one_word_or_a_reason(value: bytes) -> None:
    found = parse_authorization(value)
    if isinstance(found, Credential):
        assert found.token.isascii()
        assert found.token.isprintable()
        assert not set(found.token) & {" ", ","}
        assert found.token
