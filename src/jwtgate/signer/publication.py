"""What everybody may read: the key set, the metadata, whether the signer is well. All of it comes from memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jwtgate.signer.answers import NO_STORE, is_known
from jwtgate.signer.metadata import metadata, metadata_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from jwtgate.plan import SignerSettings
    from jwtgate.signer.ring import KeyRing

# RFC 7517, section 8.5.2: the registered media type of a JWK Set. Verifiers that look at the type at all know
# it; application/json would say less.
JWKS_MEDIA_TYPE: Final = "application/jwk-set+json"


@dataclass(frozen=True, slots=True)
class Publication:
    """Answers it. `clock` gives Unix time."""

    settings: SignerSettings
    ring: KeyRing
    clock: Callable[[], float]

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/jwk", self.publish),
            Route("/.well-known/jwks.json", self.publish),
            *(Route(path, self.describe) for path in metadata_paths(self.settings)),
            Route("/health", self.health),
            Route("/ready", self.ready),
        ]

    async def publish(self, request: Request) -> Response:
        """The key set."""
        now = self.clock()
        published = self.ring.published(now)
        max_age = self.ring.max_age(now)
        headers = {
            "Cache-Control": f"public, max-age={max_age}",
            "ETag": published.entity_tag,
            # NGINX as a cache sends no Age: who fetches from it would count the max-age anew. So it keeps the set
            # for no longer than the margin has room for; it takes this header for itself.
            "X-Accel-Expires": str(min(max_age, self.ring.shared_cache_age)),
        }
        if is_known(request.headers.getlist("if-none-match"), published.entity_tag):
            # RFC 9110, section 15.4.5: a 304 repeats Cache-Control and ETag.
            return Response(status_code=304, headers=headers)
        return Response(published.document, media_type=JWKS_MEDIA_TYPE, headers=headers)

    async def describe(self, _request: Request) -> Response:
        """The metadata."""
        headers = {"Cache-Control": f"public, max-age={self.settings.jwks_max_age}"}
        return JSONResponse(metadata(self.settings), headers=headers)

    async def health(self, _request: Request) -> Response:
        """Whether the process lives. It serves the key set even when the database is gone."""
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    async def ready(self, _request: Request) -> Response:
        """Whether it can issue tokens."""
        if self.ring.lags(self.clock()):
            status = "the database cannot be reached"
            return JSONResponse({"status": status}, status_code=503, headers={**NO_STORE, "Retry-After": "2"})
        return JSONResponse({"status": "ok"}, headers=NO_STORE)
