"""The credential of a request, and the inputs that its policy declares, from the headers that NGINX sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.authenticate import Credential
from jwtgate.policy import Request
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable


# RFC 6750, section 2.1: what a b64token consists of.
_B64TOKEN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

TOKEN_HEADER = b"x-jwtgate-token"
PAGE_HEADER = b"x-jwtgate-page"
INPUT_HEADER = b"x-jwtgate-input-"  # and then method, path, host, or header- and the name of a header


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


def extract_declared(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Credential | Reason, Request]:
    """Like `extract`, for policies that read tokens elsewhere too, or something else of the request.

    RFC 6750, section 2: "Clients MUST NOT use more than one method to transmit the token in each request".
    """
    found: list[Credential | Reason] = []
    inputs = {"method": "", "path": "", "host": ""}
    declared: dict[str, str] = {}
    for name, value in headers:
        if name == b"authorization":
            found.append(parse_authorization(value))
        elif name == TOKEN_HEADER:
            found.append(parse_token(value))
        elif name.startswith(INPUT_HEADER):
            # What is not UTF-8 stays what it is: equal to no claim, and an error to CEL.
            text = value.decode(errors="surrogateescape")
            kind = name[len(INPUT_HEADER) :].decode()
            if kind in inputs:
                inputs[kind] = text
            else:
                declared[kind.removeprefix("header-")] = text
    brought = [each for each in found if each is not Reason.TOKEN_MISSING]
    request = Request(inputs["method"], inputs["path"], inputs["host"], declared)
    if len(brought) > 1:
        return Reason.CREDENTIALS_AMBIGUOUS, request
    return (brought[0] if brought else Reason.TOKEN_MISSING), request


def page_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The URL that a browser asked for, if NGINX would send it to a login page; empty otherwise."""
    return next((value for name, value in headers if name == PAGE_HEADER), b"")


def parse_token(value: bytes) -> Credential | Reason:
    """A token that came elsewhere than in `Authorization`: alone, or after `Bearer`.

    NGINX sends a comma in place of a cookie, parameter or sub-protocol that is there more than once.
    """
    try:
        text = value.decode("ascii").strip(" \t")
    except UnicodeDecodeError:
        return Reason.HEADER_INVALID
    if "," in text:
        return Reason.CREDENTIALS_AMBIGUOUS
    if text[:7].lower() == "bearer ":
        text = text[7:].lstrip(" ")
    if not text:
        return Reason.TOKEN_MISSING
    return Reason.HEADER_INVALID if " " in text or not text.isprintable() else Credential(text)


def parse_authorization(value: bytes) -> Credential | Reason:
    """One value of the `Authorization` header, as `extract` reads it."""
    # The usual case in a third of the time; what follows would come to the same.
    token = value[7:]
    if value[:7] == b"Bearer " and token and not token.translate(None, _B64TOKEN):
        return Credential(token.decode())
    return _parse_unusual(value)


def _parse_unusual(value: bytes) -> Credential | Reason:
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
