"""Claims as request headers: any text comes back with one `unquote`, and no value breaks out of its header."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jwtgate.identity import MAX_IDENTITY_BYTES, header_value, identity_headers

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


def test_a_claim_that_is_absent_or_null_sets_no_header() -> None:
    wanted = (("X-User", "sub"), ("X-Roles", "roles"), ("X-Team", "team"))
    assert identity_headers({"sub": "alice", "team": None}, wanted) == (("X-User", "alice"),)
    assert identity_headers({}, wanted) == ()
    assert identity_headers({"sub": "alice"}, ()) == ()


def test_headers_are_in_the_order_of_the_policy() -> None:
    claims = {"a": "1", "b": "2"}
    assert identity_headers(claims, (("X-B", "b"), ("X-A", "a"))) == (("X-B", "2"), ("X-A", "1"))


def test_more_than_fits_is_refused_as_a_whole() -> None:
    wanted = (("X-User", "sub"), ("X-Team", "team"))
    room = MAX_IDENTITY_BYTES - len("X-User") - len("X-Team")
    assert identity_headers({"sub": "x" * (room - 1), "team": "y"}, wanted) is not None
    assert identity_headers({"sub": "x" * room, "team": "y"}, wanted) is None
    # What counts is what is sent: encoded.
    assert identity_headers({"sub": "ü" * (MAX_IDENTITY_BYTES // 6)}, wanted) is None
