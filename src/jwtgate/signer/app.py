"""What the signer answers: its public keys, its health and, for a demo only, a token for whoever asks.

Every answer is JSON, a refusal too (RFC 9457). The key set is the same bytes for as long as the process runs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from jwtgate.plan import SignerSettings
    from jwtgate.signer.key_directory import SignerKeys

# RFC 7517, section 8.5.2: the registered media type of a JWK Set. Verifiers that look at the type at all know
# it; application/json would say less.
JWKS_MEDIA_TYPE = "application/jwk-set+json"

_NO_STORE = {"Cache-Control": "no-store"}
# RFC 9110, section 8.8.3: an entity tag is quoted. The W/ of a weak one stands before the quotes.
_ENTITY_TAG = re.compile(r'"[^"]*"')


def create_app(
    settings: SignerSettings,
    keys: SignerKeys,
    *,
    unsafe_example_token: bool = False,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The signer as an ASGI application.

    `unsafe_example_token` adds `/example-token`, which gives a valid token to anyone. `clock` gives Unix
    time.
    """
    jwks = json.dumps({"keys": [key.public_jwk() for key in keys.published]}, separators=(",", ":")).encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(jwks).digest()).rstrip(b"=").decode()
    jwks_headers = {"Cache-Control": f"public, max-age={settings.jwks_max_age}", "ETag": f'"{digest}"'}

    async def publish(request: Request) -> Response:
        if _is_known(request.headers.getlist("if-none-match"), jwks_headers["ETag"]):
            # RFC 9110, section 15.4.5: a 304 repeats Cache-Control and ETag.
            return Response(status_code=304, headers=jwks_headers)
        return Response(jwks, media_type=JWKS_MEDIA_TYPE, headers=jwks_headers)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    async def example_token(_request: Request) -> Response:
        token = mint(_example_claims(settings, now=int(clock())), keys.signing)
        return JSONResponse({"token": token}, headers=_NO_STORE)

    routes = [
        Route("/jwk", publish),
        Route("/.well-known/jwks.json", publish),
        Route("/health", health),
    ]
    if unsafe_example_token:
        routes.append(Route("/example-token", example_token))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _problem})
    # A redirect from `/jwk/` would be built from the client's Host header.
    app.router.redirect_slashes = False
    return app


def _example_claims(settings: SignerSettings, *, now: int) -> dict[str, object]:
    return {
        "iss": settings.issuer,
        # RFC 7519, section 4.1.3: one audience may be a string, several are an array.
        "aud": settings.audience[0] if len(settings.audience) == 1 else list(settings.audience),
        "sub": "example-user",
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + settings.token_lifetime,
        "example-claim": "hello :)))",
    }


def _is_known(conditions: list[str], entity_tag: str) -> bool:
    """Whether the client has this version already. RFC 9110, section 13.1.2: compared weakly, `*` is any."""
    return any(
        condition.strip() == "*" or entity_tag in _ENTITY_TAG.findall(condition) for condition in conditions
    )


def _problem(_request: Request, error: Exception) -> Response:
    """RFC 9457: a refusal that a program can read. The `type` is left at its default, about:blank."""
    if not isinstance(error, HTTPException):  # Starlette calls it with nothing else
        raise error
    return JSONResponse(
        {"status": error.status_code, "title": error.detail},
        status_code=error.status_code,
        media_type="application/problem+json",
        headers=error.headers,
    )
