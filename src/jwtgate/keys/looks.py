"""What a text that should be a JSON object is instead, in a few words and without any of its content."""

from __future__ import annotations

from typing import Final

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""RFC 8259, section 8.1: parsers "MAY ignore the presence of a byte order mark rather than treating it as an
error"."""

_BEGINNINGS: Final = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "XML or HTML"),
    (b"[", "a JSON array"),
    (b'"', "a JSON string"),
    (b"eyJ", "a JWT"),
    (b"-----begin", "PEM"),
    (b"\x1f\x8b", "compressed data"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def looks_like(data: bytes) -> str | None:
    """`an HTML page`, `plain text`, `empty`, … or None for what begins as a JSON object does."""
    start = data[:1024].removeprefix(BYTE_ORDER_MARK).lstrip()
    if not start:
        return "empty"
    if start.startswith(b"{"):
        return None
    for beginning, name in _BEGINNINGS:
        if start.lower().startswith(beginning.lower()):
            return name
    return "plain text" if start.isascii() else "binary data"
