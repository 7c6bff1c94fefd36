"""The credential of a request, from its headers as NGINX sent them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.authenticate import Credential
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable


def extract(headers: Iterable[tuple[bytes, bytes]]) -> Credential | Reason:
    """The token in `Authorization`, or why there is none to look at. Header names are lower case.

    RFC 6750, section 2.1: `Authorization: Bearer` 1*SP b64token; schemes compare without case (RFC 9110,
    section 11.1). Another scheme is no access token; a single word is a bare token, which a policy may allow.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        return Reason.TOKEN_MISSING
    if len(values) > 1:
        return Reason.CREDENTIALS_AMBIGUOUS
    return parse_authorization(values[0])


def parse_authorization(value: bytes) -> Credential | Reason:
    """One value of the `Authorization` header, as `extract` reads it."""
    try:
        words = value.decode("ascii").strip(" \t").split(" ", 1)
    except UnicodeDecodeError:
        return Reason.HEADER_INVALID
    scheme, token = words[0], words[1].lstrip(" ") if len(words) > 1 else ""
    if not scheme:
        return Reason.TOKEN_MISSING
    if not scheme.isprintable() or not token.isprintable():
        return Reason.HEADER_INVALID
    if scheme.lower() == "bearer":
        if not token:
            return Reason.HEADER_INVALID
        if "," in token:  # a list: the header came more than once, or holds more than one
            return Reason.CREDENTIALS_AMBIGUOUS
        return Reason.HEADER_INVALID if " " in token else Credential(token)
    if token:
        return Reason.TOKEN_MISSING
    return Reason.CREDENTIALS_AMBIGUOUS if "," in scheme else Credential(scheme, bare=True)
