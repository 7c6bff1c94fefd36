"""The endpoints that clients authenticate to. Each is a row: a path, and a function of client, form and time.

A request goes one way: form → credentials → client → answer. The form is read asynchronously,
the rest is one function in a thread: it waits for the database, for argon2 and for the signature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jwtgate.errors import StoreError
from jwtgate.signer.answers import NO_STORE, log_bug, refusal
from jwtgate.signer.authentication import Authenticator, read_credentials
from jwtgate.signer.forms import Form, read_form
from jwtgate.signer.grants import grant_token
from jwtgate.signer.oauth_errors import OAuthError
from jwtgate.signer.token_state import introspect, revoke_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from jwtgate.signer.clients import Client
    from jwtgate.signer.issue import TokenIssuer

_log = structlog.get_logger()

_THREADS: Final = 16  # requests that wait for database and signature at a time
_RETRY_AFTER: Final = 2  # seconds, while the database is gone

Work: TypeAlias = "Callable[[TokenIssuer, Client, Form, float], dict[str, Any] | None]"

ENDPOINTS: Final[Mapping[str, Work]] = {
    "/token": grant_token,
    "/introspect": introspect,
    "/revoke": revoke_token,
}


@dataclass(frozen=True, slots=True)
class OAuthEndpoints:
    """Answers them. `clock` gives Unix time."""

    issuer: TokenIssuer
    authenticator: Authenticator
    clock: Callable[[], float]
    _threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_THREADS))

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route(path, partial(self._answer, work), methods=["POST"], name=path)
            for path, work in ENDPOINTS.items()
        ]

    async def _answer(self, work: Work, request: Request) -> Response:
        try:
            form = await read_form(request)
            authorization = request.headers.getlist("authorization")
            body = await anyio.to_thread.run_sync(self._work, work, form, authorization, limiter=self._threads)
        except OAuthError as error:
            return refusal(self.issuer.settings.issuer, error)
        except StoreError as error:
            _log.error("the database cannot be used", error=str(error))
            unavailable = OAuthError("temporarily_unavailable", "try again in a moment", retry_after=_RETRY_AFTER)
            return refusal(self.issuer.settings.issuer, unavailable)
        except Exception as error:  # noqa: BLE001 -- whatever it was: clients read JSON, and learn no details
            log_bug(error)
            return refusal(self.issuer.settings.issuer, OAuthError("server_error", "the signer's log says more"))
        return Response(headers=NO_STORE) if body is None else JSONResponse(body, headers=NO_STORE)

    def _work(self, work: Work, form: Form, authorization: list[str]) -> dict[str, Any] | None:
        client = self.authenticator.authenticate(read_credentials(form, authorization), self.clock())
        # Checking a secret can take seconds when many are checked: a token is of the time at which it is made.
        return work(self.issuer, client, form, self.clock())
