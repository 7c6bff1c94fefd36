"""The two encodings that JOSE is written in, read strictly: base64url (RFC 7515, section 2) and JSON (RFC
8259).

Rules: one value has one accepted spelling in base64url. A JSON object has no member twice, is UTF-8, holds no
NaN or Infinity, and is nested `MAX_DEPTH` deep at most. What breaks a rule is None, never an exception: the
bytes are a stranger's, and every reader of them needs a way to say no.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 32
"""Objects and arrays within each other. Real tokens and key sets stay below 8."""

_URL_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# RFC 4648, section 5: the URL alphabet has "-" and "_" where the standard one has "+" and "/". Every octet that
# is not of the URL alphabet, padding included, becomes "!", which is of neither.
_TO_STANDARD: Final = bytes(octet if octet in _URL_ALPHABET else ord("!") for octet in range(256)).translate(
    bytes.maketrans(b"-_", b"+/")
)
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")

# By the length modulo 4: the last characters that leave no bit over, and the padding that the standard form
# would have. RFC 4648, section 3.5: "implementations MAY chose to reject the encoding if the pad bits have not
# been set to zero". We do, or one token would have several spellings. A remainder of 1 encodes nothing.
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
_PADDING_AND_QUOTE: Final = (b'"', b"", b'=="', b'="')

# msgspec reads base64 as the bytes that a JSON string stands for, in half the time of binascii.
_decode_base64: Final = msgspec.json.Decoder(bytes).decode


def decode_base64url(segment: bytes) -> bytes | None:
    """The bytes that `segment` spells, or None when it is not their one spelling (RFC 7515, section 2)."""
    remainder = len(segment) & 3
    if remainder and segment[-1] not in _LAST[remainder]:
        return None
    try:
        return _decode_base64(b'"' + segment.translate(_TO_STANDARD) + _PADDING_AND_QUOTE[remainder])
    except msgspec.DecodeError:
        return None


def encode_base64url(data: bytes) -> bytes:
    """The one spelling of `data`: URL alphabet, no padding, no line breaks (RFC 7515, section 2)."""
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL)


_WHITE_SPACE: Final = b" \t\n\r"  # RFC 8259, section 2

_decode_json: Final = msgspec.json.Decoder().decode


def read_json_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object that `data` is, or None when it is none or breaks a rule of this module.

    msgspec reads it, and knows everything but duplicates, of which it keeps the last. So the members that
    were kept are counted, and compared with the most members that the text can have. Are they equal, then
    none was dropped; otherwise the text is read again by a slower reader that sees each member.
    """
    try:
        value = _decode_json(data)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        return None
    if type(value) is not dict:
        return None
    # The common case, a flat object: a "{" opens an object or stands in a string, so one "{" is the object
    # itself, and its members are all there are.
    if data.count(b"{") == 1 and data.count(b"[") < MAX_DEPTH and _most_members(data) == len(value):
        return value
    members = _count_members(value, MAX_DEPTH)
    if members is None or (members != _most_members(data) and _has_duplicates(data)):
        return None
    return value


def _most_members(data: bytes) -> int:
    """As many members as valid JSON text can have at most.

    Each member has a colon outside of strings, and once white space is gone, the quote that ends the member's name
    stands before it. The same can be in a string, so this is an upper bound; it is exact for ordinary text.
    """
    return data.translate(None, _WHITE_SPACE).count(b'":')


def _count_members(value: dict[str, Any] | list[Any], depth: int) -> int | None:
    """The members of all objects in `value`, or None when it is nested deeper than `depth`."""
    if depth == 0:
        return None
    members = 0
    inner = value
    if isinstance(value, dict):
        members = len(value)
        inner = list(value.values())
    for item in inner:
        if isinstance(item, dict | list):
            below = _count_members(item, depth - 1)
            if below is None:
                return None
            members += below
    return members


class _DuplicateMemberError(Exception):
    """Two members of one object have the same name."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _DuplicateMemberError


def _has_duplicates(data: bytes) -> bool:
    """Whether an object in this valid JSON text has a member twice (`\\u0069ss` is `iss`)."""
    try:
        json.loads(data, object_pairs_hook=_refuse_duplicates)
    except (_DuplicateMemberError, ValueError, RecursionError):
        return True  # a ValueError: two readers that disagree are as bad as two members
    return False
