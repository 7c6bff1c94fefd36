"""An outcome → the answer that NGINX's `auth_request` understands: 200 or 401, headers, never a body.

Everything but the status travels in headers that never leave the gateway: `X-Jwtgate-Reason`, what the log wants
to know, and the identity headers. `X-Accel-Expires` says how long NGINX may repeat an allow; denials are never
repeated. Keep-alive between NGINX and a validator survives only when the answer has no body.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from jwtgate.authenticate import Allow, Deny
    from jwtgate.plan import Issuer
    from jwtgate.tokens import VerifiedToken

_ALLOWED = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Accel-Expires: "
_END = "\r\n\r\n"

_DENIALS = {
    reason: f"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nX-Accel-Expires: 0\r\nX-Jwtgate-Reason: {reason}"
    for reason in Reason
}
_DENIALS_WHOLE = {reason: (denial + _END).encode() for reason, denial in _DENIALS.items()}


_MAX_PAGE = 1024  # bytes of a URL to return to; encoded they are three times as many


def deny(outcome: Deny, page: bytes = b"", *, tells_who: bool = True) -> bytes:
    """The answer to a request that is denied. `page` is where its browser wants to return to, if there is one.

    `tells_who`: with whose token it came, for the log.
    """
    head, headers = _DENIALS[outcome.reason], 3
    if page:
        # Encoded whole, so that it is one value, and never a second parameter of the login page's.
        head += f"\r\nX-Jwtgate-Return: {quote(page, safe='') if len(page) <= _MAX_PAGE else ''}"
        headers += 1
    if not tells_who or outcome.issuer is None or outcome.token is None:
        return _answer(head, headers) if page else _DENIALS_WHOLE[outcome.reason]
    return _answer(head + _for_the_log(outcome.issuer, outcome.token), headers + 3)


def allow(outcome: Allow, *, cacheable: bool, tells_who: bool = True) -> bytes:
    """The answer to a request that may pass. `cacheable`: whether NGINX is to keep it.

    `tells_who`: with whose token it came, for the log.
    """
    until = outcome.cacheable_until if cacheable else 0
    head = f"{_ALLOWED}@{until}" if until else _ALLOWED + "0"
    headers = 2 + len(outcome.identity)
    if outcome.issuer is not None and outcome.token is not None:
        if tells_who:
            head += _for_the_log(outcome.issuer, outcome.token)
            headers += 3
    elif outcome.tolerated is not None:  # why the token that it came with is none
        head += f"\r\nX-Jwtgate-Reason: {outcome.tolerated}"
        headers += 1
    for name, value in outcome.identity:
        head += f"\r\nX-Jwtgate-Identity-{name}: {value}"
    return _answer(head, headers)


def plain(status: int, body: bytes = b"") -> bytes:
    """An answer to one of our own parts."""
    return b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def _answer(head: str, headers: int) -> bytes:
    """The bytes of an answer with so many headers, whose values were made printable where they came in.

    Should one ever hold the end of a line, nobody is let through by what stands after it.
    """
    if not head.count("\n") == head.count("\r") == headers:
        return _DENIALS_WHOLE[Reason.INTERNAL_ERROR]
    return (head + _END).encode()


def _for_the_log(issuer: Issuer, token: VerifiedToken) -> str:
    return (
        f"\r\nX-Jwtgate-Issuer: {issuer.name}\r\nX-Jwtgate-Key: {token.kid or ''}"
        f"\r\nX-Jwtgate-Subject: {subject_digest(issuer.issuer, token.claims.get('sub'))}"
    )


def subject_digest(issuer: str, subject: object) -> str:
    """Who it was, for the log: the same for the same subject of the same issuer, and not the subject itself."""
    if not isinstance(subject, str):
        return ""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()[:16]
