"""The signer as an ASGI application: its endpoints, and the background task that keeps its keys fresh.

Every answer is JSON, a refusal too: OAuth's errors where OAuth says so, RFC 9457 elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from jwtgate.errors import JwtgateError
from jwtgate.signer.answers import failure, problem
from jwtgate.signer.authentication import Authenticator
from jwtgate.signer.example_token import unsafe_example_token_route
from jwtgate.signer.issue import TokenIssuer
from jwtgate.signer.oauth import OAuthEndpoints
from jwtgate.signer.publication import Publication
from jwtgate.signer.ring import REFRESH
from jwtgate.signer.status import StatusIndexes, forget_expired
from jwtgate.signer.status_publication import StatusPublication

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from jwtgate.plan import SignerSettings
    from jwtgate.signer.ring import KeyRing
    from jwtgate.signer.store import Store

_log = structlog.get_logger()

_CLEAN_EVERY: Final = 600.0  # seconds


def create_app(
    settings: SignerSettings,
    store: Store,
    ring: KeyRing,
    *,
    unsafe_example_token: bool = False,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The signer as an ASGI application. The ring has been refreshed once.

    `unsafe_example_token` adds `/example-token`, which gives a valid token to anyone. `clock` gives Unix
    time.
    """
    issuer = TokenIssuer(settings, store, ring, StatusIndexes(store, settings.token_lifetime))
    # RFC 7523, section 3: the token endpoint's URL names the server as well as its issuer does.
    authenticator = Authenticator(store, (settings.issuer, f"{settings.url}/token"))
    statuses = StatusPublication(settings, store, ring, clock)
    statuses.refresh(clock())
    routes = [
        *Publication(settings, ring, clock).routes(),
        *statuses.routes(),
        *OAuthEndpoints(issuer, authenticator, clock).routes(),
    ]
    if unsafe_example_token:
        routes.append(unsafe_example_token_route(settings, ring, clock))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_keep_fresh(store, ring, statuses, clock))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: problem, Exception: failure}
    )
    # A redirect from `/jwk/` would be built from the client's Host header.
    app.router.redirect_slashes = False
    return app


async def _keep_fresh(
    store: Store, ring: KeyRing, statuses: StatusPublication, clock: Callable[[], float]
) -> None:
    """Rotate what is due, take over what other signers did, and forget what has expired."""
    told = False
    clean_at = clock()
    while True:
        try:
            await anyio.to_thread.run_sync(ring.refresh, clock())
            await anyio.to_thread.run_sync(statuses.refresh, clock())
            if clock() >= clean_at:
                await anyio.to_thread.run_sync(_clean, store, clock())
                clean_at = clock() + _CLEAN_EVERY
            if told:
                _log.warning("the keys are refreshed again")
            told = False
        except Exception as error:  # noqa: BLE001 -- whatever it was: nobody would notice that the task has ended
            if not told:
                reason = str(error) if isinstance(error, JwtgateError) else type(error).__name__
                _log.error("the keys cannot be refreshed; the last ones stay", error=reason)
            told = True
        await asyncio.sleep(REFRESH)


def _clean(store: Store, now: float) -> None:
    with store.write() as connection:
        forget_expired(connection, now)
