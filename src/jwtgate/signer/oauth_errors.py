"""What the endpoints refuse, in OAuth's own words: RFC 6749, section 5.2; RFC 8693, section 2.2.2; RFC 8707.

A description is for the client's developer. It never repeats a secret, an assertion or a token.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Literal

ErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "server_error",
    "temporarily_unavailable",
]

# Everything else is 400.
_STATUS: Final[dict[str, int]] = {
    "invalid_client": HTTPStatus.UNAUTHORIZED,
    "server_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "temporarily_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class OAuthError(Exception):
    """A request is refused. It leaves the endpoint as an answer, and never goes further."""

    def __init__(
        self,
        code: ErrorCode,
        description: str,
        *,
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.status = status or _STATUS.get(code, HTTPStatus.BAD_REQUEST)
        self.retry_after = retry_after  # seconds
