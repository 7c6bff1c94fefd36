"""Shadow policies: what they would have decided is counted and logged in samples, and changes no answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate import generate_signing_key, mint, read_jwks
from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedKeys
from jwtgate.config import load_text
from jwtgate.jwks import KeyStore, StatusStore
from jwtgate.policy import Request
from jwtgate.reasons import Reason
from jwtgate.revocation import Standing
from jwtgate.tokens import VerifiedTokens
from jwtgate.validator.app import Question, Validator
from jwtgate.validator.measured import ShadowCount
from jwtgate.validator.shadows import Shadows, shadows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys import KeySet
    from jwtgate.plan import Plan, Policy

NOW = 1_000_000
KEY = generate_signing_key("ES256")
KEYS = {"main": read_jwks(json.dumps({"keys": [KEY.public_jwk()]}).encode())}

POLICIES = """
  caller: {issuer: main}
  writer: {issuer: main, require: {scopes: write}}
  stranger: {issuer: other}
  optional: {issuer: main, optional: true}
  poster: {issuer: main, require: {methods: {GET: true, POST: {scopes: write}}}}
  tenant: {issuer: main, require: {cel: "request.headers['x-tenant'] == 'a'"}}
  broken: {issuer: main, require: {cel: "claims.level > 3"}}
"""


def plan(route: str) -> Plan:
    return load_text(
        f"""
version: 1
listen: 8000
issuers:
  main: {{issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: us, algorithms: [ES256]}}
  other: {{issuer: https://other.example, jwks: https://other.example/jwks, audience: us, algorithms: [ES256]}}
policies: {POLICIES}
upstreams: {{app: http://127.0.0.1:1}}
routes: [{{path: /, upstream: app, {route}}}]
""",
        "gateway.yaml",
        {},
    ).plan


def only(made: Plan) -> Policy:
    (policy,) = made.policies.values()
    return policy


def token(**claims: object) -> Credential:
    good = {"iss": "https://issuer.example", "aud": "us", "sub": "alice", "exp": NOW + 10_000}
    return Credential(mint(good | claims, KEY))


class Tried:
    """A route with a shadow, asked as a worker asks."""

    def __init__(self, route: str, keysets: Mapping[str, KeySet] = KEYS) -> None:
        self.plan = plan(route)
        self.verified = VerifiedTokens(1 << 20)
        self.keysets = keysets
        self.answered = True
        self.enforced = Authenticator(self.plan, self.verified)
        found = shadows_of(self.plan, self.verified, Standing())
        assert found is not None
        self.shadows: Shadows = found

    def ask(self, credential: Credential | Reason, now: float = NOW, method: str = "GET") -> Allow | Deny:
        question = Question(only(self.plan).id, credential, Request(method, headers={"x-tenant": ""}))
        outcome = self.enforced(self.keysets, question.policy_id, credential, now, question.request)
        if isinstance(outcome, NeedKeys):
            outcome = outcome.settled(answered=self.answered)
        assert isinstance(outcome, Allow | Deny)
        self.shadows.see(self.keysets, question, outcome, now)
        return outcome

    @property
    def counted(self) -> set[tuple[str, str, int]]:
        return {(each.enforced, each.would_be, each.count) for each in self.shadows.counts}


# The plan


def test_a_plan_without_shadows_has_nothing_to_ask() -> None:
    assert shadows_of(plan("policy: caller"), VerifiedTokens(0), Standing()) is None


def test_nobody_can_ask_for_a_shadow_by_name() -> None:
    made = plan("policy: caller, shadow: writer")
    shadow = only(made).shadow
    assert shadow is not None
    outcome = Authenticator(made, VerifiedTokens(0))(KEYS, shadow.id, token(scope="write"), NOW)
    assert isinstance(outcome, Deny)
    assert outcome.reason is Reason.POLICY_UNKNOWN


def test_a_shadow_changes_the_policys_id_and_with_it_the_caches_key() -> None:
    ids = {only(plan(f"policy: caller{more}")).id for more in ("", ", shadow: writer", ", shadow: optional")}
    assert len(ids) == 3


def test_what_the_shadow_reads_of_a_request_is_sent_and_stands_in_the_key() -> None:
    assert only(plan("policy: caller, shadow: tenant")).inputs.headers == ("x-tenant",)
    assert only(plan("policy: tenant, shadow: poster")).inputs.method
    assert only(plan("policy: tenant, shadow: poster")).inputs.headers == ("x-tenant",)


def test_a_shadow_has_the_routes_settings_and_brings_its_issuers() -> None:
    made = plan("policy: caller, shadow: stranger, staleness: 0, bare_token: true, identity: {X-User: sub}")
    policy = only(made)
    assert policy.shadow is not None
    assert policy.shadow.name == "stranger"
    assert policy.shadow.shadow is None
    for name in ("staleness", "bare_token", "identity", "sources"):
        assert getattr(policy.shadow, name) == getattr(policy, name)
    assert set(made.issuers) == {"main", "other"}


# Counts


@pytest.mark.parametrize(
    ("route", "credential", "enforced", "would_be"),
    [
        ("policy: caller, shadow: writer", token(scope="write"), "allowed", "allowed"),
        ("policy: caller, shadow: writer", token(scope="read"), "allowed", "scope_missing"),
        ("policy: writer, shadow: caller", token(scope="read"), "scope_missing", "allowed"),
        ("policy: caller, shadow: optional", Reason.TOKEN_MISSING, "token_missing", "allowed"),
        ("policy: optional, shadow: caller", Reason.TOKEN_MISSING, "allowed", "token_missing"),
        ("policy: caller, shadow: stranger", token(exp=NOW - 100), "token_expired", "issuer_unknown"),
        ("policy: caller, shadow: tenant", token(), "allowed", "requirement_failed"),
        ("policy: caller, shadow: broken", token(), "allowed", "policy_error"),
    ],
)
def test_both_verdicts_are_counted(
    route: str, credential: Credential | Reason, enforced: str, would_be: str
) -> None:
    tried = Tried(route)
    outcome = tried.ask(credential)
    assert ("allowed" if isinstance(outcome, Allow) else outcome.reason) == enforced
    assert tried.counted == {(enforced, would_be, 1)}


def test_the_shadow_gets_the_inputs_of_the_request() -> None:
    tried = Tried("policy: caller, shadow: poster")
    for method in ("GET", "POST", "POST"):
        tried.ask(token(), method=method)
    assert tried.counted == {("allowed", "allowed", 1), ("allowed", "scope_missing", 2)}


def test_keys_that_only_the_shadow_needs_are_not_waited_for() -> None:
    foreign = generate_signing_key("ES256")
    tried = Tried("policy: caller, shadow: stranger")
    tried.ask(Credential(mint({"iss": "https://other.example", "aud": "us", "exp": NOW + 100}, foreign)))
    assert tried.counted == {("issuer_unknown", "issuer_unavailable", 1)}


@pytest.mark.parametrize(("answered", "said"), [(True, "key_unknown"), (False, "issuer_unavailable")])
def test_a_key_that_is_unknown_to_both_is_no_disagreement(answered: bool, said: str) -> None:
    tried = Tried("policy: caller, shadow: writer")
    tried.answered = answered
    stranger = generate_signing_key("ES256")
    tried.ask(Credential(mint({"iss": "https://issuer.example", "aud": "us", "exp": NOW + 100}, stranger)))
    assert tried.counted == {(said, said, 1)}


def test_the_remembered_token_is_used_and_not_counted_twice() -> None:
    tried = Tried("policy: caller, shadow: writer")
    known = token()
    for _ in range(3):
        tried.ask(known)
    assert (tried.verified.hits, len(tried.verified)) == (2, 1)


def test_counts_are_by_the_names_in_the_file() -> None:
    tried = Tried("policy: caller, shadow: writer")
    tried.ask(token())
    assert tried.shadows.counts == (ShadowCount("caller", "writer", "allowed", "scope_missing", 1),)


# Never enforced


@pytest.mark.parametrize("route", ["policy: caller, shadow: writer", "policy: writer, shadow: caller"])
@pytest.mark.parametrize("scope", ["read", "write"])
def test_the_answer_is_the_same_to_the_byte(route: str, scope: str) -> None:
    tried = Tried(route)
    store = Store(KEYS)
    answers = []
    for shadows in (None, tried.shadows):
        statuses = StatusStore([], store, Standing())
        validator = Validator(
            tried.enforced, store, statuses, room=lambda: True, clock=lambda: NOW, shadows=shadows
        )
        answers.append(validator.answer(Question(only(tried.plan).id, token(scope=scope), Request())))
    assert isinstance(answers[0], bytes)
    assert answers[0] == answers[1]
    assert len(tried.shadows.counts) == 1


def test_a_fault_in_the_shadow_harms_nobody() -> None:
    tried = Tried("policy: caller, shadow: writer")
    broken: dict[str, KeySet] = Broken(KEYS)
    question = Question(only(tried.plan).id, token(), Request())
    tried.shadows.see(broken, question, tried.ask(Reason.TOKEN_MISSING), NOW)
    assert ("token_missing", "internal_error", 1) in tried.counted


# The log


def test_the_first_disagreements_of_a_kind_are_logged_and_then_one_a_minute() -> None:
    tried = Tried("policy: caller, shadow: writer")
    known = token()
    with capture_logs() as lines:
        for second in range(200):
            tried.ask(known, NOW + second)
        tried.ask(Reason.TOKEN_MISSING)  # they agree
    assert [line["decisions"] for line in lines] == [1, 2, 3, 63, 123, 183]


def test_another_kind_is_logged_at_once() -> None:
    tried = Tried("policy: caller, shadow: poster")
    other = Tried("policy: caller, shadow: stranger")
    with capture_logs() as lines:
        tried.ask(token(), method="POST")
        other.ask(token())
    assert [line["would_be"] for line in lines] == ["scope_missing", "issuer_unknown"]


def test_the_log_has_a_digest_of_the_subject_and_no_token() -> None:
    tried = Tried("policy: caller, shadow: writer")
    known = token()
    with capture_logs() as lines:
        tried.ask(known)
    (line,) = lines
    assert line["event"] == "shadow_disagrees"
    assert (line["policy"], line["shadow"], line["issuer"]) == ("caller", "writer", "main")
    assert len(line["subject"]) == 16
    assert "alice" not in str(line)
    assert not any(part in str(line) for part in known.token.split("."))


class Store(KeyStore):
    """A store with these keys."""

    def __init__(self, keysets: Mapping[str, KeySet]) -> None:
        super().__init__([])
        self.held = keysets

    @property
    def keysets(self) -> Mapping[str, KeySet]:
        return self.held


class Broken(dict[str, "KeySet"]):
    """Keys that cannot be looked at."""

    def get(self, *_: object) -> KeySet:
        raise RuntimeError("broken")
