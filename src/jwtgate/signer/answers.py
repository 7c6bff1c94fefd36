"""How the signer answers: JSON that nobody keeps, and refusals that programs can read."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Final

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from jwtgate.signer.oauth_errors import OAuthError

_log = structlog.get_logger()

# RFC 6749, section 5.1: tokens are kept by nobody on the way.
NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

# RFC 9110, section 8.8.3: an entity tag is quoted. The W/ of a weak one stands before the quotes.
_ENTITY_TAG: Final = re.compile(r'"[^"]*"')


def is_known(conditions: list[str], entity_tag: str) -> bool:
    """Whether the client has this version already: the values of its If-None-Match, and our entity tag, quoted.

    RFC 9110, section 13.1.2: compared weakly, `*` is any.
    """
    return any(
        condition.strip() == "*" or entity_tag in _ENTITY_TAG.findall(condition) for condition in conditions
    )


def refusal(issuer: str, error: OAuthError) -> Response:
    """OAuth's refusal (RFC 6749, section 5.2)."""
    headers = dict(NO_STORE)
    if error.code == "invalid_client":
        # "the authorization server MUST respond with an HTTP 401 […] and include the "WWW-Authenticate" response
        # header field matching the authentication scheme used by the client."
        headers["WWW-Authenticate"] = f'Basic realm="{_quotable(issuer)}", charset="UTF-8"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = {"error": error.code, "error_description": error.description}
    return JSONResponse(body, status_code=error.status, headers=headers)


def _quotable(text: str) -> str:
    """What a quoted string can hold as it is (RFC 9110, section 5.6.4)."""
    return re.sub(r"[^ !#-\[\]-~]", "", text)


def problem(_request: Request, error: Exception) -> Response:
    """RFC 9457: a refusal that a program can read. The `type` is left at its default, about:blank."""
    if not isinstance(error, HTTPException):  # Starlette calls it with nothing else
        raise error
    return JSONResponse(
        {"status": error.status_code, "title": error.detail},
        status_code=error.status_code,
        media_type="application/problem+json",
        headers=error.headers,
    )


def failure(_request: Request, _error: Exception) -> Response:
    """The same for what must not happen, where OAuth has no words for it. Starlette raises it on: it is logged."""
    return JSONResponse(
        {"status": 500, "title": "Internal Server Error"}, status_code=500, media_type="application/problem+json"
    )


def log_bug(error: Exception) -> None:
    """Log what must not happen: its kind and where it was. Without its text, which may hold somebody's secret."""
    frames = traceback.extract_tb(error.__traceback__)
    _log.error(
        "unexpected error",
        error=type(error).__name__,
        at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )
