"""One request of NGINX's, one decision.

NGINX asks `GET /<policy id>` with the client's credential and what else the policy declares. This is the shell
around `Authenticator`: it reads the clock, and waits for keys when there are none.
"""

from __future__ import annotations

import time
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from jwtgate.authenticate import Allow, Authenticator, Deny, NeedKeys, NeedStatus, Outcome
from jwtgate.policy import NO_REQUEST
from jwtgate.reasons import Reason
from jwtgate.validator.extract import extract, extract_declared, page_of
from jwtgate.validator.measured import Stopwatch
from jwtgate.validator.respond import allow, deny

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from jwtgate.authenticate import Credential
    from jwtgate.jwks import KeyStore, StatusStore
    from jwtgate.keys import KeySet
    from jwtgate.policy import Request
    from jwtgate.validator.connection import Headers
    from jwtgate.validator.shadows import Shadows


_SOON = 1.0  # seconds in which a first set was found; after that its request has waited long enough


class Question(msgspec.Struct, frozen=True, gc=False):
    """May this request with this credential, or without one for this reason, pass by this policy?"""

    policy_id: str
    credential: Credential | Reason
    request: Request
    page: bytes = b""  # the URL that a browser asked for, where a denial sends it to a login page


class Validator:
    """Answers `auth_request`. `room` says whether the decision cache may grow."""

    __slots__ = (
        "_authenticate",
        "_clock",
        "_declaring",
        "_logging_in",
        "_room",
        "_shadows",
        "_statuses",
        "_stopwatch",
        "_store",
        "_tells_who",
    )

    def __init__(
        self,
        authenticate: Authenticator,
        store: KeyStore,
        statuses: StatusStore,
        *,
        room: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        stopwatch: Stopwatch | None = None,
        logging_in: frozenset[str | None] = frozenset(),
        shadows: Shadows | None = None,
        tells_who: bool = True,
    ) -> None:
        self._authenticate = authenticate
        self._declaring = authenticate.declaring | logging_in
        self._logging_in = logging_in
        self._store = store
        self._statuses = statuses
        self._room = room
        self._clock = clock
        self._stopwatch = stopwatch or Stopwatch()
        self._shadows = shadows
        self._tells_who = tells_who

    def read(self, target: str, headers: Headers) -> Question:
        """What NGINX asks by this request."""
        policy_id = target[1:]
        if policy_id in self._declaring:
            page = page_of(headers) if policy_id in self._logging_in else b""
            return Question(policy_id, *extract_declared(headers), page)
        return Question(policy_id, extract(headers), NO_REQUEST)

    def is_quick(self, question: Question) -> bool:
        """Whether no signature has to be checked: the token is known, or there is none."""
        credential = question.credential
        return isinstance(credential, Reason) or self._authenticate.remembers(credential)

    def answer(self, question: Question) -> bytes | Coroutine[None, None, bytes]:
        """The answer; or, when something is to be waited for, a coroutine that will have it."""
        began = perf_counter()
        now = self._clock()
        outcome = self._decide(question, now)
        if isinstance(outcome, NeedKeys | NeedStatus):
            tried = self._store.keysets.get(outcome.issuer)
            return self._wait(outcome, tried, question, began, now)
        self._stopwatch.took(perf_counter() - began)
        return self._say(outcome, question, now)

    def _decide(self, question: Question, now: float) -> Outcome:
        return self._authenticate(
            self._store.keysets, question.policy_id, question.credential, now, question.request
        )

    def _say(self, outcome: Allow | Deny, question: Question, now: float) -> bytes:
        if self._shadows is not None:
            self._shadows.see(self._store.keysets, question, outcome, now)
        if isinstance(outcome, Deny):
            return deny(outcome, question.page, tells_who=self._tells_who)
        if outcome.token is not None:
            self._store.used(outcome.token.key, now)
        cacheable = outcome.comes_back and self._room()
        return allow(outcome, cacheable=cacheable, tells_who=self._tells_who)

    async def _wait(
        self, outcome: Outcome, tried: KeySet | None, question: Question, began: float, now: float
    ) -> bytes:
        """Keys and a status list are waited for. `tried`: the set by which it came to that outcome."""
        while isinstance(outcome, NeedKeys):
            answered = await self._store.need(outcome.issuer, outcome.kid, tried)
            now = self._clock()
            held = self._store.keysets.get(outcome.issuer)
            # By the same keys it would come to the same.
            if held is tried:
                outcome = outcome.settled(answered=answered)
                break
            first, tried = tried is None, held
            outcome = self._decide(question, now)
            # The first set of a worker may be that of another one, and older than the token's key: once more.
            if isinstance(outcome, NeedKeys) and not (first and perf_counter() - began < _SOON):
                outcome = outcome.settled(answered=answered)
        if isinstance(outcome, NeedStatus):
            await self._statuses.need(outcome.issuer, outcome.uri)
            now = self._clock()
            outcome = self._decide(question, now)
        self._stopwatch.took(perf_counter() - began)
        decided = outcome.otherwise if isinstance(outcome, NeedKeys | NeedStatus) else outcome
        return self._say(decided, question, now)
