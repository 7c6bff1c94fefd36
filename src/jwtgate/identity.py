"""Verified claims → request headers for the service.

Text stays as it is where it is printable ASCII; everything else, `%` itself and spaces at either end are
percent-encoded as UTF-8 (RFC 3986, section 2.1), so that any service gets the claim back with one `unquote`.
What is neither text nor null is written as JSON first, or, if it is an array and the header wants it so, as a list
with commas, in whose items a comma is encoded too. A claim that is absent or null sets no header, and the gateway
clears what the client sent in its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from jwtgate.keys.encoding import encode_base64url
from jwtgate.policy import claim_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwtgate.plan import IdentityHeader
    from jwtgate.tokens import VerifiedToken

# (header, value) of each header that has something to say; None when they are more than fits.
if TYPE_CHECKING:
    Identity = Callable[[VerifiedToken], tuple[tuple[str, str], ...] | None]

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_IN_A_LIST = _PRINTABLE.replace(",", "")
_PLAIN = re.compile(r"[!-$&-~]+(?: +[!-$&-~]+)*\Z")
_PLAIN_IN_A_LIST = re.compile(r"[!-$&-+\--~]+(?: +[!-$&-+\--~]+)*\Z")
_ENDS = re.compile(r"\A +| +\Z")


def header_value(claim: Any) -> str | None:
    """A claim as a header's value; None when there is nothing to say."""
    if claim is None:
        return None
    text = claim if isinstance(claim, str) else msgspec.json.encode(claim).decode()
    if _PLAIN.match(text):
        return text
    return _encoded(text, _PRINTABLE)


def list_value(claim: Any) -> str | None:
    """The same, with an array as a list with commas."""
    if claim is None:
        return None
    return ",".join(map(_item, claim if isinstance(claim, list) else [claim]))


def _item(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if _PLAIN_IN_A_LIST.match(text) else _encoded(text, _IN_A_LIST)


def _encoded(text: str, safe: str) -> str:
    return _ENDS.sub(lambda spaces: "%20" * len(spaces[0]), quote(text, safe=safe))


def compile_identity(headers: tuple[IdentityHeader, ...], max_bytes: int) -> Identity:
    """A function that makes the headers of a token.

    `max_bytes` is for all of them, names included: NGINX keeps a decision's key and its headers in one buffer,
    whose size is part of the configuration (nginx.render). One that may be omitted is, when it does not fit.
    """
    if not headers:
        return lambda _token: ()
    wanted = [(each.header, _value_of(each), each.omit) for each in headers]

    def identity(token: VerifiedToken) -> tuple[tuple[str, str], ...] | None:
        made: list[tuple[str, str]] = []
        room = max_bytes
        for header, value_of, omit in wanted:
            value = value_of(token)
            if value is None:
                continue
            size = len(header) + len(value)
            if size <= room:
                made.append((header, value))
                room -= size
            elif not omit:
                return None
        return tuple(made)

    return identity


def _value_of(header: IdentityHeader) -> Callable[[VerifiedToken], str | None]:
    if header.claim is None:
        return lambda token: encode_base64url(token.payload).decode()
    find = claim_at(header.claim)
    write = list_value if header.comma_list else header_value
    return lambda token: write(find(token.claims))
