"""One request to the validator: asked at most twice, keys fetched at most once, the clock read each time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from jwtgate import generate_signing_key, mint, read_jwks
from jwtgate.authenticate import Authenticator
from jwtgate.config import load_text
from jwtgate.jwks import KeyStore, StatusStore
from jwtgate.revocation import Standing
from jwtgate.tokens import VerifiedTokens
from jwtgate.validator.app import Validator
from support.answers import taken_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jwtgate.keys import KeySet, SigningKey

NOW = 1_000_000
KEY = generate_signing_key("ES256")
OTHER = generate_signing_key("ES256")


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.public_jwk() for key in keys]}).encode()


class Keys(KeyStore):
    """A store whose keys change when they are asked for."""

    def __init__(
        self, before: Mapping[str, KeySet], after: Mapping[str, KeySet], *, answered: bool = True
    ) -> None:
        super().__init__([])
        self.answered = answered
        self.held = before
        self.after = after
        self.needed: list[tuple[str, str | None]] = []
        self.tried: KeySet | None = None

    @property
    def keysets(self) -> Mapping[str, KeySet]:
        return self.held

    async def need(self, issuer: str, kid: str | None, tried: KeySet | None = None) -> bool:
        self.needed.append((issuer, kid))
        self.tried = tried
        self.held = self.after
        return self.answered


PLAN = load_text(
    """
version: 1
listen: 8000
issuers:
  main: {issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: us, algorithms: [ES256],
         leeway: 0s}
policies: {caller: {issuer: main}}
upstreams: {app: http://127.0.0.1:1}
routes: [{path: /, upstream: app, policy: caller}]
""",
    "gateway.yaml",
    {},
).plan
(POLICY,) = PLAN.policies
NONE: dict[str, KeySet] = {}
GOOD = {"main": read_jwks(jwks(KEY))}
WRONG = {"main": read_jwks(jwks(OTHER))}
TOKEN = mint({"iss": "https://issuer.example", "aud": "us", "exp": NOW + 100}, KEY)


def ask(
    store: Keys,
    *,
    path: str = f"/{POLICY}",
    headers: Iterable[tuple[bytes, bytes]] = ((b"authorization", b"Bearer " + TOKEN.encode()),),
    room: bool = True,
    clock: Callable[[], float] = lambda: NOW,
) -> tuple[int, dict[bytes, bytes]]:
    """The status and headers of an answer; that it has no body is asserted."""
    statuses = StatusStore([], store, Standing())
    validator = Validator(Authenticator(PLAN, VerifiedTokens(0)), store, statuses, room=lambda: room, clock=clock)
    question = validator.read(path, list(headers))
    answer = validator.answer(question)
    if not isinstance(answer, bytes):
        answer = asyncio.run(answer)
    status, found = taken_apart(answer)
    return status, dict(found)


def test_keys_that_come_before_they_are_waited_for_are_used() -> None:
    store = Keys(NONE, GOOD)
    statuses = StatusStore([], store, Standing())
    authenticator = Authenticator(PLAN, VerifiedTokens(0))
    validator = Validator(authenticator, store, statuses, room=lambda: True, clock=lambda: NOW)
    answer = validator.answer(validator.read(f"/{POLICY}", [(b"authorization", b"Bearer " + TOKEN.encode())]))
    assert not isinstance(answer, bytes)
    store.held = GOOD  # by another task, in the same turn of the loop
    assert taken_apart(asyncio.run(answer))[0] == 200
    assert store.tried is None, "what was there when it was decided"


def test_the_first_set_that_a_worker_has_may_be_older_than_the_tokens_key() -> None:
    """It is that of another worker, from before the issuer published the key."""

    class InSteps(Keys):
        async def need(self, issuer: str, kid: str | None, tried: KeySet | None = None) -> bool:
            answered = await super().need(issuer, kid, tried)
            self.after = GOOD
            return answered

    store = InSteps(NONE, WRONG)
    assert ask(store)[0] == 200
    assert store.needed == [("main", None), ("main", KEY.kid)]
    assert store.tried is WRONG["main"]


def test_known_keys_are_not_asked_for() -> None:
    store = Keys(GOOD, NONE)
    status, headers = ask(store)
    assert (status, store.needed) == (200, [])
    assert headers[b"x-accel-expires"] == b"@%d" % (NOW + 9)


def test_a_token_waits_for_its_keys_once() -> None:
    store = Keys(NONE, GOOD)
    assert ask(store)[0] == 200
    assert store.needed == [("main", None)]


def test_an_unknown_key_is_looked_for_once() -> None:
    store = Keys(WRONG, GOOD)
    assert ask(store)[0] == 200
    assert store.needed == [("main", KEY.kid)]


def test_keys_that_do_not_come_deny() -> None:
    for before, after, answered, reason in (
        (NONE, NONE, True, b"issuer_unavailable"),
        (WRONG, WRONG, True, b"key_unknown"),
        (NONE, WRONG, True, b"key_unknown"),
        (WRONG, NONE, True, b"issuer_unavailable"),
        (WRONG, WRONG, False, b"issuer_unavailable"),
        (NONE, NONE, False, b"issuer_unavailable"),
    ):
        store = Keys(before, after, answered=answered)
        status, headers = ask(store)
        assert (status, headers[b"x-jwtgate-reason"]) == (401, reason)
        assert len(store.needed) == (2 if (before, after) == (NONE, WRONG) else 1)
        assert headers[b"x-accel-expires"] == b"0"


def test_a_key_that_came_although_the_issuer_fails_now_is_used() -> None:
    assert ask(Keys(WRONG, GOOD, answered=False))[0] == 200


def test_a_token_that_ends_while_its_keys_are_fetched_is_denied() -> None:
    times = iter([NOW, NOW + 100])
    status, headers = ask(Keys(NONE, GOOD), clock=lambda: next(times))
    assert (status, headers[b"x-jwtgate-reason"]) == (401, b"token_expired")


def test_nothing_is_cacheable_when_the_cache_is_full() -> None:
    assert ask(Keys(GOOD, NONE), room=False)[1][b"x-accel-expires"] == b"0"


def test_a_decision_is_not_kept_for_who_will_not_ask_again_in_time() -> None:
    """Staleness is 10 s: who was not here for longer than twice that had a decision that nobody asked for."""
    times = [NOW, NOW + 20, NOW + 45, NOW + 46]
    clock = iter(times)
    store = Keys(GOOD, NONE)
    validator = Validator(
        Authenticator(replace(PLAN, workers=1), VerifiedTokens(10_000)),
        store,
        StatusStore([], store, Standing()),
        room=lambda: True,
        clock=lambda: next(clock),
    )
    question = validator.read(f"/{POLICY}", [(b"authorization", b"Bearer " + TOKEN.encode())])
    expires = []
    for _ in times:
        answer = validator.answer(question)
        assert isinstance(answer, bytes)
        expires.append(dict(taken_apart(answer)[1])[b"x-accel-expires"])
    assert expires == [b"@%d" % (NOW + 9), b"@%d" % (NOW + 29), b"0", b"@%d" % (NOW + 55)]


def test_only_the_path_names_the_policy() -> None:
    named = [(b"x-policy", POLICY.encode()), (b"x-original-uri", f"/{POLICY}".encode())]
    for path in ("/", "/nosuch", f"/{POLICY}/", f"//{POLICY}", f"/{POLICY.upper()}"):
        status, headers = ask(Keys(GOOD, NONE), path=path, headers=named)
        assert (status, headers[b"x-jwtgate-reason"]) == (401, b"policy_unknown")


def test_a_token_whose_signature_was_checked_is_quick_and_so_is_none() -> None:
    store = Keys(GOOD, NONE)
    statuses = StatusStore([], store, Standing())
    authenticator = Authenticator(PLAN, VerifiedTokens(10_000))
    validator = Validator(authenticator, store, statuses, room=lambda: True, clock=lambda: NOW)
    question = validator.read(f"/{POLICY}", [(b"authorization", b"Bearer " + TOKEN.encode())])
    assert not validator.is_quick(question)
    validator.answer(question)
    assert validator.is_quick(question)
    assert validator.is_quick(validator.read(f"/{POLICY}", []))


def test_no_token_is_denied_without_keys() -> None:
    store = Keys(NONE, NONE)
    status, headers = ask(store, headers=[])
    assert (status, headers[b"x-jwtgate-reason"], store.needed) == (401, b"token_missing", [])
