"""`/example-token`: a valid token for whoever asks. Only the demo has it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jwtgate.signer.answers import NO_STORE
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from jwtgate.plan import SignerSettings
    from jwtgate.signer.ring import KeyRing


def unsafe_example_token_route(settings: SignerSettings, ring: KeyRing, clock: Callable[[], float]) -> Route:
    """The endpoint. `clock` gives Unix time."""

    async def example_token(_request: Request) -> Response:
        now = clock()
        token = mint(_claims(settings, now=int(now)), ring.signing(now))
        return JSONResponse({"token": token}, headers=NO_STORE)

    return Route("/example-token", example_token)


def _claims(settings: SignerSettings, *, now: int) -> dict[str, object]:
    return {
        "iss": settings.issuer,
        "aud": settings.audience[0] if len(settings.audience) == 1 else list(settings.audience),
        "sub": "example-user",
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + settings.token_lifetime,
        "example-claim": "hello :)))",
    }
