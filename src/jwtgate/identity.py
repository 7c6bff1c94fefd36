"""Verified claims → request headers for the service.

Text stays as it is where it is printable ASCII; everything else, `%` itself and spaces at either end are
percent-encoded as UTF-8 (RFC 3986, section 2.1), so that any service gets the claim back with one `unquote`.
What is neither text nor null is written as JSON first. A claim that is absent or null sets no header, and the
gateway clears what the client sent in its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bytes for all identity headers of a decision, names included. NGINX keeps a decision's key and its headers in
# one buffer, whose size is part of the configuration (nginx.render).
MAX_IDENTITY_BYTES = 4096

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_ENDS = re.compile(r"\A +| +\Z")


def header_value(claim: Any) -> str | None:
    """A claim as a header's value; None when there is nothing to say."""
    if claim is None:
        return None
    text = claim if isinstance(claim, str) else msgspec.json.encode(claim).decode()
    # Printable ASCII is what `quote` below leaves alone.
    if text.isascii() and text.isprintable() and "%" not in text and text == text.strip(" "):
        return text
    return _ENDS.sub(lambda spaces: "%20" * len(spaces[0]), quote(text, safe=_PRINTABLE))


def identity_headers(
    claims: Mapping[str, Any], wanted: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...] | None:
    """(header, value) for each wanted (header, claim) that is there; None when they are more than fits."""
    headers: list[tuple[str, str]] = []
    size = 0
    for header, claim in wanted:
        value = header_value(claims.get(claim))
        if value is not None:
            headers.append((header, value))
            size += len(header) + len(value)
    return tuple(headers) if size <= MAX_IDENTITY_BYTES else None
