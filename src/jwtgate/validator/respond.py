"""An outcome → the answer that NGINX's `auth_request` understands: 200 or 401, headers, never a body.

Everything but the status travels in headers that never leave the gateway: `X-Jwtgate-Reason`, what the log wants
to know, and the identity headers. `X-Accel-Expires` says how long NGINX may repeat an allow; denials are never
repeated. Keep-alive between NGINX and a validator survives only when the answer has no body.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from jwtgate.authenticate import Allow, Deny
    from jwtgate.plan import Issuer
    from jwtgate.tokens import VerifiedToken

Headers = list[tuple[bytes, bytes]]

_EMPTY = (b"content-length", b"0")
_NOT_CACHED = (b"x-accel-expires", b"0")
_IDENTITY = b"x-jwtgate-identity-"

BODY: dict[str, Any] = {"type": "http.response.body", "body": b""}

_DENIALS: dict[Reason, dict[str, Any]] = {
    reason: {
        "type": "http.response.start",
        "status": 401,
        "headers": [_EMPTY, _NOT_CACHED, (b"x-jwtgate-reason", reason.encode())],
    }
    for reason in Reason
}


def deny(outcome: Deny) -> dict[str, Any]:
    """The ASGI message that starts a denial's answer."""
    message = _DENIALS[outcome.reason]
    if outcome.issuer is None or outcome.token is None:
        return message
    return message | {"headers": [*message["headers"], *_for_the_log(outcome.issuer, outcome.token)]}


def allow(outcome: Allow, *, cacheable: bool) -> dict[str, Any]:
    """The ASGI message that starts an allow's answer. `cacheable`: whether there is room for it in the cache."""
    until = outcome.cacheable_until if cacheable else 0
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            _EMPTY,
            (b"x-accel-expires", b"@%d" % until) if until else _NOT_CACHED,
            *(
                _for_the_log(outcome.issuer, outcome.token)
                if outcome.issuer and outcome.token
                else _anonymous(outcome)
            ),
            *((_IDENTITY + name.lower().encode(), value.encode()) for name, value in outcome.identity),
        ],
    }


def _anonymous(outcome: Allow) -> Headers:
    """What the log says of a request without a valid token: why it was not valid, if there was one."""
    return [] if outcome.tolerated is None else [(b"x-jwtgate-reason", outcome.tolerated.encode())]


def _for_the_log(issuer: Issuer, token: VerifiedToken) -> Headers:
    return [
        (b"x-jwtgate-issuer", issuer.name.encode()),
        (b"x-jwtgate-key", (token.kid or "").encode()),
        (b"x-jwtgate-subject", subject_digest(issuer.issuer, token.claims.get("sub"))),
    ]


def subject_digest(issuer: str, subject: object) -> bytes:
    """Who it was, for the log: the same for the same subject of the same issuer, and not the subject itself."""
    if not isinstance(subject, str):
        return b""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()[:16].encode()
