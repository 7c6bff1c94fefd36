"""The validator as an ASGI application: one request, one decision.

NGINX asks `GET /<policy id>` with the client's credential and what else the policy declares. The application is
the shell around `Authenticator`: it reads the clock, and waits for keys when there are none.
"""

from __future__ import annotations

import time
from time import perf_counter
from typing import TYPE_CHECKING

from jwtgate.authenticate import Allow, Authenticator, Deny, NeedKeys, NeedStatus
from jwtgate.policy import NO_REQUEST
from jwtgate.validator.extract import extract, extract_declared
from jwtgate.validator.measured import Stopwatch
from jwtgate.validator.respond import BODY, allow, deny

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from jwtgate.jwks import KeyStore, StatusStore


class Validator:
    """Answers `auth_request`. `room` says whether the decision cache may grow."""

    __slots__ = ("_authenticate", "_clock", "_declaring", "_room", "_statuses", "_stopwatch", "_store")

    def __init__(
        self,
        authenticate: Authenticator,
        store: KeyStore,
        statuses: StatusStore,
        *,
        room: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._declaring = authenticate.declaring
        self._store = store
        self._statuses = statuses
        self._room = room
        self._clock = clock
        self._stopwatch = stopwatch or Stopwatch()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """The ASGI entry, for HTTP."""
        began = perf_counter()
        outcome = await self._decide(scope["path"][1:], scope["headers"])
        self._stopwatch.took(perf_counter() - began)
        if isinstance(outcome, Allow):
            if outcome.token is not None:
                self._store.used(outcome.token.key, self._clock())
            await send(allow(outcome, cacheable=self._room()))
        else:
            await send(deny(outcome))
        await send(BODY)

    async def _decide(self, policy_id: str, headers: list[tuple[bytes, bytes]]) -> Allow | Deny:
        if policy_id in self._declaring:
            credential, request = extract_declared(headers)
        else:
            credential, request = extract(headers), NO_REQUEST
        outcome = self._authenticate(self._store.keysets, policy_id, credential, self._clock(), request)
        if isinstance(outcome, NeedKeys):
            await self._store.need(outcome.issuer, outcome.kid)
            outcome = self._authenticate(self._store.keysets, policy_id, credential, self._clock(), request)
        if isinstance(outcome, NeedStatus):
            await self._statuses.need(outcome.issuer, outcome.uri)
            outcome = self._authenticate(self._store.keysets, policy_id, credential, self._clock(), request)
        return outcome.otherwise if isinstance(outcome, NeedKeys | NeedStatus) else outcome
