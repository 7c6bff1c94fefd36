"""base64url and JSON: one value has one spelling, and an object has each member once."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtgate.keys.encoding import MAX_DEPTH, decode_base64url, encode_base64url, read_json_object


@given(st.binary(max_size=100))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data
    assert encode_base64url(data) == base64.urlsafe_b64encode(data).rstrip(b"=")


@given(st.text(alphabet="AQgwZz09-_+/=. \n!\x00é", max_size=9))
def test_only_the_one_spelling_of_some_bytes_is_decoded(text: str) -> None:
    segment = text.encode()
    decoded = decode_base64url(segment)
    assert decoded is None or encode_base64url(decoded) == segment


@pytest.mark.parametrize(
    ("segment", "why"),
    [
        (b"QQ==", "padding"),
        (b"QUE=", "padding"),
        (b"QUFB=", "padding"),
        (b"QR", "trailing bits of one octet"),
        (b"QUF", "trailing bits of two octets"),
        (b"QUFBQ", "a character that encodes nothing"),
        (b"Q", "a character alone"),
        (b"QU FB", "a space"),
        (b"QUFB\n", "a line break"),
        (b"\nQUFB", "a line break before"),
        (b"+/+/", "the standard alphabet"),
        (b"QU\xc3\xa9", "not ASCII"),
        (b"QU\x00A", "NUL"),
        (b"QU.A", "a dot"),
    ],
)
def test_a_second_spelling_is_refused(segment: bytes, why: str) -> None:
    assert decode_base64url(segment) is None, why


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (' {"a" : 1} ', {"a": 1}),
        ('{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}', {"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 2}]}),
        ('{"a":"{ \\"x\\": [","b":"urn:x"}', {"a": '{ "x": [', "b": "urn:x"}),
        ('{"a":": :","b":":"}', {"a": ": :", "b": ":"}),
        ('{"":"x"}', {"": "x"}),
        ('{"a":1e3,"b":-0,"c":18446744073709551616}', {"a": 1000.0, "b": 0, "c": 18446744073709551616}),
    ],
)
def test_an_object_is_read(text: str, value: dict[str, Any]) -> None:
    assert read_json_object(text.encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'"a"',
        b"1",
        b"null",
        b'{"a":1}x',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":01}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x01"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":1}//c',
    ],
)
def test_what_is_not_strictly_a_json_object_is_refused(data: bytes) -> None:
    assert read_json_object(data) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"iss":"a","iss":"b"}',
        '{"iss":"a","iss":"a"}',
        '{"iss" :"a","iss":"b"}',
        '{"iss"\n:"a","iss"\t:"b"}',
        '{"iss"\r:"a","iss":"b"}',
        '{"iss":"a","\\u0069ss":"b"}',
        '{"\\u0069ss":"a","iss":"b"}',
        '{"a":{"b":1,"b":2}}',
        '{"a":[{"b":1,"b":2}]}',
        '{"a":{"b":1},"a":{"b":1}}',
        '{"a":{"b":1},"a":1}',
        '{"a":1,"a":{"b":1,"c":2}}',
        '{"x":"\\":","a":1,"a":2}',
        '{"a":1,"b":":","b":2}',
    ],
)
def test_a_duplicate_member_is_refused(text: str) -> None:
    assert read_json_object(text.encode()) is None


_NAMES = st.sampled_from(["a", "b", ":", '"', " :", "{", "\\", "é"])
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | _NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_NAMES, inner), max_size=3).map(tuple),
    max_leaves=8,
)


def _write(value: object, colon: str) -> str:
    """JSON in which a tuple of pairs is an object, members repeated where they are."""
    if isinstance(value, tuple):
        return "{" + ",".join(json.dumps(name) + colon + _write(item, colon) for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(item, colon) for item in value) + "]"
    return json.dumps(value)


def _repeats(value: object) -> bool:
    if isinstance(value, tuple):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(_repeats(item) for _, item in value)
    return isinstance(value, list) and any(_repeats(item) for item in value)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=4).map(tuple), st.sampled_from([":", " :", ": ", "\n:\t"]))
def test_an_object_is_read_exactly_when_no_member_is_repeated(pairs: tuple[Any, ...], colon: str) -> None:
    text = _write(pairs, colon)
    assert read_json_object(text.encode()) == (None if _repeats(pairs) else json.loads(text))


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_limited(opening: str, closing: str) -> None:
    def nested(depth: int) -> bytes:
        return ('{"a":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}").encode()

    assert read_json_object(nested(MAX_DEPTH)) is not None
    assert read_json_object(nested(MAX_DEPTH + 1)) is None
    assert read_json_object(nested(100_000)) is None


def test_many_flat_arrays_are_not_taken_for_nesting() -> None:
    assert read_json_object(b'{"a":[' + b"[]," * 100 + b"[]]}") is not None
