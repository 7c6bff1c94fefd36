"""Claims as request headers: any text comes back with one `unquote`, and no value breaks out of its header."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jwtgate.identity import compile_identity, header_value, list_value
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.keys.encoding import encode_base64url
from jwtgate.plan import IdentityHeader
from jwtgate.tokens import VerifiedToken
from jwtgate.tokens.parse import Header

# RFC 9110, section 5.5: field-content, in ASCII: visible characters, with spaces inside only.
FIELD_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?\Z")

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text())
@example("")
@example(" ")
@example("  both ends  ")
@example("a\r\nX-Admin: yes")
@example("100 %")
@example("%41")
@example("a\x00b")
@example("Ünïcödé 🙂")
@example("a\n")
def test_any_text_is_a_valid_field_value_and_comes_back(text: str) -> None:
    value = header_value(text)
    assert value is not None
    assert FIELD_VALUE.match(value)
    assert unquote(value, errors="strict") == text


@given(JSON)
@example([])
@example({"a": [1, " ", None]})
@example(True)
def test_any_other_claim_comes_back_as_json(claim: Any) -> None:
    value = header_value(claim)
    if claim is None:
        assert value is None
        return
    assert value is not None
    assert FIELD_VALUE.match(value)
    assert isinstance(claim, str) or json.loads(unquote(value, errors="strict")) == claim


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("alice", "alice"),
        ("Alice B. Smith", "Alice B. Smith"),
        ("a@b.example,c|d;e=f", "a@b.example,c|d;e=f"),
        (" x ", "%20x%20"),
        ("50%", "50%25"),
        ("ü", "%C3%BC"),
        ("a\tb", "a%09b"),
        ("", ""),
        (["a", "b"], '["a","b"]'),
        ({"ä": 1}, '{"%C3%A4":1}'),
        (7, "7"),
        (1.5, "1.5"),
        (False, "false"),
    ],
)
def test_what_a_service_reads(claim: Any, value: str) -> None:
    assert header_value(claim) == value


@given(st.lists(st.text() | st.integers() | st.lists(st.text(), max_size=2), max_size=5))
@example([])
@example(["a,b", " ", "ü"])
@example([",", ""])
def test_a_list_with_commas_comes_back_item_by_item(claim: list[Any]) -> None:
    value = list_value(claim)
    assert value is not None
    assert FIELD_VALUE.match(value)
    items = [unquote(item, errors="strict") for item in value.split(",")] if claim else []
    assert items == [
        item if isinstance(item, str) else json.dumps(item, separators=(",", ":"), ensure_ascii=False)
        for item in claim
    ]


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        (["a", "b"], "a,b"),
        (["a,b", "c"], "a%2Cb,c"),
        ("a", "a"),
        ("a,b", "a%2Cb"),
        (None, None),
        ([], ""),
        ([1, True], "1,true"),
    ],
)
def test_what_a_service_reads_of_a_list(claim: Any, value: str | None) -> None:
    assert list_value(claim) == value


PUBLIC = read_jwks(json.dumps({"keys": [generate_signing_key("ES256").public_jwk()]}).encode()).keys[0]


def token(claims: dict[str, Any]) -> VerifiedToken:
    payload = json.dumps(claims, ensure_ascii=False).encode()
    return VerifiedToken(Header("ES256", None, None, None, None), payload, claims, PUBLIC)


def headers_of(
    claims: dict[str, Any], *headers: IdentityHeader, max_bytes: int = 4096
) -> tuple[tuple[str, str], ...] | None:
    return compile_identity(headers, max_bytes)(token(claims))


USER, TEAM = IdentityHeader("X-User", ("sub",)), IdentityHeader("X-Team", ("team",))


def test_a_claim_that_is_absent_or_null_sets_no_header() -> None:
    roles = IdentityHeader("X-Roles", ("realm_access", "roles"))
    assert headers_of({"sub": "alice", "team": None, "realm_access": []}, USER, roles, TEAM) == (
        ("X-User", "alice"),
    )
    assert headers_of({}, USER) == ()
    assert headers_of({"sub": "alice"}) == ()


def test_a_claim_is_found_by_its_path() -> None:
    roles = IdentityHeader("X-Roles", ("realm_access", "roles"), comma_list=True)
    assert headers_of({"realm_access": {"roles": ["a", "b"]}}, roles) == (("X-Roles", "a,b"),)


def test_the_whole_payload_is_base64url_of_what_was_signed() -> None:
    (header,) = headers_of({"sub": "ü"}, IdentityHeader("X-Token", None)) or ()
    assert header == ("X-Token", encode_base64url(token({"sub": "ü"}).payload).decode())


def test_headers_are_in_the_order_of_the_policy() -> None:
    claims = {"team": "1", "sub": "2"}
    assert headers_of(claims, TEAM, USER) == (("X-Team", "1"), ("X-User", "2"))


def test_more_than_fits_is_refused_as_a_whole() -> None:
    room = 100 - len("X-User") - len("X-Team")
    assert headers_of({"sub": "x" * (room - 1), "team": "y"}, USER, TEAM, max_bytes=100) is not None
    assert headers_of({"sub": "x" * room, "team": "y"}, USER, TEAM, max_bytes=100) is None
    # What counts is what is sent: encoded.
    assert headers_of({"sub": "ü" * 16}, USER, max_bytes=100) is None


def test_what_may_be_omitted_is_when_it_does_not_fit() -> None:
    roles = IdentityHeader("X-Roles", ("roles",), omit=True)
    assert headers_of({"roles": "r" * 100, "sub": "x"}, roles, USER, max_bytes=100) == (("X-User", "x"),)
    assert headers_of({"roles": "r" * 10, "sub": "x"}, roles, USER, max_bytes=100) is not None
