"""Whether a token stands: by the deny-list, by its issuer's status list, and when neither can be asked."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate import generate_signing_key, mint, read_jwks
from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedStatus, Step
from jwtgate.config import load_text
from jwtgate.reasons import Reason
from jwtgate.revocation import Denied, DenyList, HeldList, NeedList, Standing, pack
from jwtgate.tokens import VerifiedTokens

if TYPE_CHECKING:
    from jwtgate.authenticate import Outcome
    from jwtgate.plan import Issuer

NOW = 1_000_000
URI = "https://issuer.example/statuslists/1"
SHARD = "https://issuer.example/shards/7"
KEYS = "jwks: https://issuer.example/jwks, audience: us, algorithms: [ES256], leeway: 0s"
PLAN = load_text(
    f"""
version: 1
listen: 8000
issuers:
  main: {{issuer: https://issuer.example, {KEYS}, status_lists: [{URI}, "https://issuer.example/shards/*"]}}
  plain: {{issuer: https://plain.example, {KEYS}}}
policies:
  caller: {{issuer: main}}
  both: {{issuers: [main, plain]}}
  tolerant: {{issuer: main, unsafe_tolerate_invalid: true}}
upstreams: {{app: http://127.0.0.1:1}}
routes:
  - {{path: /, upstream: app, policy: caller}}
  - {{path: /lax/, upstream: app, policy: caller, unsafe_allow_stale_status: true}}
  - {{path: /both/, upstream: app, policy: both}}
  - {{path: /tolerant/, upstream: app, policy: tolerant}}
""",
    "gateway.yaml",
    {},
).plan
MAIN = PLAN.issuers["main"]
STRICT, LAX, BOTH, TOLERANT = (str(route.policy) for route in PLAN.routes)
KEY = generate_signing_key("ES256")
KEYSETS = {name: read_jwks(json.dumps({"keys": [KEY.public_jwk()]}).encode()) for name in PLAN.issuers}


def status(index: object = 0, uri: object = URI) -> dict[str, Any]:
    return {"status": {"status_list": {"idx": index, "uri": uri}}}


def standing(until: float = NOW + 60, statuses: dict[int, int] | None = None, bits: int = 2) -> Standing:
    found = Standing()
    found.lists["main", URI] = HeldList(pack(statuses or {3: 1, 4: 2, 5: 3}, 16, bits), until)
    return found


def of(claims: dict[str, Any], *, lax: bool = False, issuer: Issuer = MAIN, until: float = NOW + 60) -> object:
    return standing(until).of(issuer, claims, NOW, allow_stale=lax)


def test_a_valid_token_stands_as_long_as_its_list_holds() -> None:
    assert of(status()) == NOW + 60


@pytest.mark.parametrize("index", [3, 4, 5])
@pytest.mark.parametrize("until", [NOW + 60, NOW, 0])
@pytest.mark.parametrize("lax", [False, True])
def test_any_status_but_valid_is_revoked_however_old_the_list(index: int, until: float, lax: bool) -> None:
    assert of(status(index), until=until, lax=lax) is Reason.TOKEN_REVOKED


def test_a_list_that_is_too_old_denies_unless_the_route_says_otherwise() -> None:
    assert of(status(), until=NOW + 0.5) == NOW + 0.5
    assert of(status(), until=NOW) is Reason.STATUS_UNAVAILABLE
    assert of(status(), until=NOW, lax=True) == inf


def test_a_list_that_is_not_here_is_asked_for() -> None:
    assert of(status(uri=SHARD)) == NeedList(SHARD)
    assert of(status(uri=SHARD), lax=True) == NeedList(SHARD)


def test_a_list_that_was_asked_for_in_vain_denies_unless_the_route_says_otherwise() -> None:
    known = Standing()
    known.lists["main", URI] = HeldList(None, 0.0)
    assert known.of(MAIN, status(), NOW, allow_stale=False) is Reason.STATUS_UNAVAILABLE
    assert known.of(MAIN, status(), NOW, allow_stale=True) == inf


UNKNOWN = {
    "beyond the end": status(16),
    "another URI": status(uri=URI + "0"),
    "the prefix alone": status(uri="https://issuer.example/shards/"),
    "two segments below it": status(uri="https://issuer.example/shards/a/b"),
    "out of it": status(uri="https://issuer.example/shards/.."),
    "with a query": status(uri="https://issuer.example/shards/a?b"),
    "encoded": status(uri="https://issuer.example/shards/%2e%2e"),
    "another mechanism": {"status": {"identifier_list": {}}},
    "no mechanism": {"status": {}},
}


@pytest.mark.parametrize("claims", UNKNOWN.values(), ids=UNKNOWN.keys())
@pytest.mark.parametrize("lax", [False, True])
def test_a_status_that_cannot_be_looked_up_denies(claims: dict[str, Any], lax: bool) -> None:
    assert of(claims, lax=lax) is Reason.STATUS_UNKNOWN


UNREADABLE = {
    "null": {"status": None},
    "text": {"status": URI},
    "a list as text": {"status": {"status_list": URI}},
    "no idx": {"status": {"status_list": {"uri": URI}}},
    "no uri": {"status": {"status_list": {"idx": 0}}},
    "a negative index": status(-1),
    "an index as text": status("0"),
    "an index with a fraction": status(0.0),
    "an index of true": status(True),
    "a uri that is no text": status(uri=1),
}


@pytest.mark.parametrize("claims", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_status_that_cannot_be_read_denies(claims: dict[str, Any]) -> None:
    assert of(claims, lax=True) is Reason.CLAIMS_UNREADABLE


def test_an_issuer_without_lists_has_no_tokens_with_a_status_unless_it_is_ignored() -> None:
    plain = PLAN.issuers["plain"]
    assert of({}, issuer=plain) == inf
    assert of(status(), issuer=plain) is Reason.STATUS_UNKNOWN
    assert of(status(3), issuer=replace(plain, unsafe_ignore_status=True)) == inf


# In the request's straight line


def token(**changes: Any) -> str:
    return mint({"iss": "https://issuer.example", "aud": "us", "sub": "alice", "exp": NOW + 300} | changes, KEY)


def ask(known: Standing, policy: str = STRICT, *, now: float = NOW, **changes: Any) -> Outcome:
    authenticate = Authenticator(PLAN, VerifiedTokens(0), known)
    return authenticate(KEYSETS, policy, Credential(token(**changes)), now)


def test_a_decision_is_repeated_no_longer_than_the_list_holds() -> None:
    outcome = ask(standing(NOW + 4), **status())
    assert isinstance(outcome, Allow)
    assert outcome.cacheable_until == NOW + 3
    outcome = ask(standing(), **status())
    assert isinstance(outcome, Allow)
    assert outcome.cacheable_until == NOW + 9


def test_a_revoked_token_is_denied_after_its_claims_were_found_good() -> None:
    outcome = ask(standing(), **status(3))
    assert isinstance(outcome, Deny)
    assert (outcome.reason, outcome.step) == (Reason.TOKEN_REVOKED, Step.STATUS)
    assert outcome.token is not None
    expired = ask(standing(), exp=NOW - 1, **status(3))
    assert isinstance(expired, Deny)
    assert expired.reason is Reason.TOKEN_EXPIRED


def test_a_token_that_nobody_can_check_is_not_tolerated_as_an_invalid_one() -> None:
    outcome = ask(standing(NOW), TOLERANT, **status())
    assert isinstance(outcome, Deny)
    assert outcome.reason is Reason.STATUS_UNAVAILABLE
    revoked = ask(standing(NOW), TOLERANT, **status(3))
    assert isinstance(revoked, Allow)
    assert (revoked.token, revoked.tolerated) == (None, Reason.TOKEN_REVOKED)


def test_a_list_of_another_issuer_says_nothing() -> None:
    known = standing()
    outcome = ask(known, BOTH, iss="https://plain.example", **status())
    assert isinstance(outcome, Deny)
    assert outcome.reason is Reason.STATUS_UNKNOWN


def test_a_missing_list_is_needed_and_what_holds_without_it_is_said() -> None:
    outcome = ask(Standing(), **status())
    assert isinstance(outcome, NeedStatus)
    assert (outcome.issuer, outcome.uri) == ("main", URI)
    assert outcome.otherwise.reason is Reason.STATUS_UNAVAILABLE


def test_a_remembered_token_is_revoked_all_the_same() -> None:
    known = standing()
    authenticate = Authenticator(PLAN, VerifiedTokens(1 << 20), known)
    text = Credential(token(**status(7)))
    assert isinstance(authenticate(KEYSETS, STRICT, text, NOW), Allow)
    known.lists["main", URI] = HeldList(pack({7: 1}, 16), NOW + 60)
    outcome = authenticate(KEYSETS, STRICT, text, NOW)
    assert isinstance(outcome, Deny)
    assert outcome.reason is Reason.TOKEN_REVOKED


def test_the_deny_list_comes_before_the_status_list() -> None:
    known = Standing()
    known.denied = DenyList()
    known.denied.add(Denied(iss="https://issuer.example", sub="alice"))
    outcome = ask(known, LAX, **status())
    assert isinstance(outcome, Deny)
    assert (outcome.reason, outcome.step) == (Reason.TOKEN_REVOKED, Step.STATUS)
    assert isinstance(ask(known, LAX, sub="bob"), Allow)
