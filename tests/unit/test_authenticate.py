"""The request's straight line: each step's denial, their order, what is asked for, how long an answer holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate import SigningKey, generate_signing_key, mint, read_jwks
from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedKeys, Step
from jwtgate.config import load_text
from jwtgate.keys.encoding import encode_base64url
from jwtgate.policy import Request
from jwtgate.reasons import Reason
from jwtgate.tokens import VerifiedToken, VerifiedTokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.authenticate import Outcome
    from jwtgate.keys import KeySet
    from jwtgate.plan import Plan

NOW = 1_000_000

PLAN = load_text(
    """
version: 1
listen: 8000
issuers:
  one: {issuer: https://one.example, jwks: https://one.example/jwks, audience: us, algorithms: [ES256], leeway: 0s}
  two: {issuer: https://two.example, jwks: https://two.example/jwks, audience: us, algorithms: [ES256, EdDSA],
        leeway: 5s, max_token_bytes: 1024, claims: {roles: realm_access.roles}}
policies:
  one: {issuer: one}
  both: {issuers: [one, two]}
  editor: {issuers: [one, two], require: {scopes: write, roles: {any: [editor, admin]}}}
  fresh: {issuer: one, require: {max_age: 60s}}
  optional: {issuer: one, optional: true}
  tolerant: {issuer: one, unsafe_tolerate_invalid: true, require: {not: {roles: banned}}}
  optional-reader: {issuer: one, optional: true, require: {scopes: read}}
  by-method: {issuer: one, require: {methods: {GET: true, POST: {roles: editor}}}}
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /, upstream: app, policy: one, identity: {X-User: sub, X-Roles: roles}}
  - {path: /both/, upstream: app, policy: both}
  - {path: /bare/, upstream: app, policy: one, bare_token: true}
  - {path: /uncached/, upstream: app, policy: one, staleness: 0}
  - {path: /editor/, upstream: app, policy: editor}
  - {path: /fresh/, upstream: app, policy: fresh}
  - {path: /by-method/, upstream: app, policy: by-method}
  - {path: /optional/, upstream: app, policy: optional}
  - {path: /tolerant/, upstream: app, policy: tolerant, identity: {X-Long: long}}
  - {path: /optional-reader/, upstream: app, policy: optional-reader}
""",
    "gateway.yaml",
    {},
).plan


def policy_of(path: str) -> str:
    (found,) = (route.policy for route in PLAN.routes if route.path == path)
    assert found is not None
    return found


ONE, BOTH, BARE, UNCACHED = map(policy_of, ("/", "/both/", "/bare/", "/uncached/"))

KEY = generate_signing_key("ES256")
SECOND = generate_signing_key("ES256")
KEYS_OF_TWO = generate_signing_key("ES256")
ED = generate_signing_key("EdDSA")


def keyset(*keys: SigningKey) -> KeySet:
    return read_jwks(json.dumps({"keys": [key.public_jwk() for key in keys]}).encode())


KEYS = {"one": keyset(KEY), "two": keyset(KEYS_OF_TWO, ED)}


def claims(**changes: object) -> dict[str, object]:
    good = {"iss": "https://one.example", "aud": "us", "sub": "alice", "exp": NOW + 300}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(key: SigningKey = KEY, **changes: object) -> str:
    return mint(claims(**changes), key)


def signed(payload: bytes, key: SigningKey = KEY, **header: object) -> str:
    members = {"alg": key.algorithm, "kid": key.kid} | header
    head = encode_base64url(json.dumps({n: value for n, value in members.items() if value is not None}).encode())
    signing_input = head + b"." + encode_base64url(payload)
    return (signing_input + b"." + encode_base64url(key.sign(signing_input))).decode()


def ask(
    credential: Credential | Reason | str,
    policy: str = ONE,
    *,
    keys: Mapping[str, KeySet] = KEYS,
    now: float = NOW,
    authenticate: Authenticator | None = None,
) -> Outcome:
    given = (
        Credential(credential)
        if isinstance(credential, str) and not isinstance(credential, Reason)
        else credential
    )
    return (authenticate or Authenticator(PLAN, VerifiedTokens(0)))(keys, policy, given, now)


def test_a_good_token_is_allowed_with_its_identity() -> None:
    outcome = ask(token(roles=["a", "b"]))
    assert isinstance(outcome, Allow)
    assert isinstance(outcome.token, VerifiedToken)
    assert outcome.issuer is PLAN.issuers["one"]
    assert outcome.identity == (("X-Roles", '["a","b"]'), ("X-User", "alice"))


def test_each_issuer_of_a_policy_is_taken_by_its_own_rules() -> None:
    for key in (KEYS_OF_TWO, ED):
        outcome = ask(token(key, iss="https://two.example", exp=NOW - 4), BOTH)
        assert isinstance(outcome, Allow)
        assert outcome.issuer is PLAN.issuers["two"]
    assert isinstance(ask(token(), BOTH), Allow)


SURROGATE = b'{"iss": "https://one.example", "sub": "\\ud800"}'
FORGED = token().rpartition(".")[0] + "." + token(SECOND).rpartition(".")[2]

# In the order of the steps: what a request brings, on which policy, where it is denied, why.
DENIED = {
    "unknown policy": (token(), "nosuch-00000000", Step.POLICY, Reason.POLICY_UNKNOWN),
    "no token": (Reason.TOKEN_MISSING, ONE, Step.CREDENTIAL, Reason.TOKEN_MISSING),
    "two tokens": (Reason.CREDENTIALS_AMBIGUOUS, ONE, Step.CREDENTIAL, Reason.CREDENTIALS_AMBIGUOUS),
    "bare token": (Credential(token(), bare=True), ONE, Step.CREDENTIAL, Reason.HEADER_INVALID),
    "malformed": ("x", ONE, Step.PARSE, Reason.TOKEN_MALFORMED),
    "too large": (token(pad="x" * 9000), ONE, Step.PARSE, Reason.TOKEN_TOO_LARGE),
    "header": (signed(b"{}", typ=1), ONE, Step.PARSE, Reason.HEADER_INVALID),
    "crit": (signed(b"{}", crit=["exp"]), ONE, Step.PARSE, Reason.CRIT_UNSUPPORTED),
    "alg none": (signed(b"{}", alg="none"), ONE, Step.PARSE, Reason.ALGORITHM_NOT_ALLOWED),
    "not an object": (signed(b"[]"), ONE, Step.ISSUER, Reason.TOKEN_MALFORMED),
    "lone surrogate": (
        signed(b'{"iss": "https://one.example", "sub": "\\ud800"}'),
        ONE,
        Step.ISSUER,
        Reason.TOKEN_MALFORMED,
    ),
    "no issuer": (token(iss=None), ONE, Step.ISSUER, Reason.ISSUER_UNKNOWN),
    "unknown issuer": (token(iss="https://evil.example"), ONE, Step.ISSUER, Reason.ISSUER_UNKNOWN),
    "issuer of another policy": (
        token(KEYS_OF_TWO, iss="https://two.example"),
        ONE,
        Step.ISSUER,
        Reason.ISSUER_UNKNOWN,
    ),
    "too large for its issuer": (
        token(KEYS_OF_TWO, iss="https://two.example", pad="x" * 1024),
        BOTH,
        Step.ISSUER,
        Reason.TOKEN_TOO_LARGE,
    ),
    "algorithm of another issuer": (token(ED), BOTH, Step.KEY, Reason.ALGORITHM_NOT_ALLOWED),
    "forged": (FORGED, ONE, Step.VERIFY, Reason.SIGNATURE_INVALID),
    "expired": (token(exp=NOW), ONE, Step.CLAIMS, Reason.TOKEN_EXPIRED),
    "audience": (token(aud="them"), ONE, Step.CLAIMS, Reason.AUDIENCE_MISMATCH),
    "too much identity": (token(sub="x" * 5000), ONE, Step.IDENTITY, Reason.CLAIMS_UNREADABLE),
}


@pytest.mark.parametrize(("credential", "policy", "step", "reason"), DENIED.values(), ids=DENIED.keys())
def test_each_step_denies_for_its_reasons(
    credential: Credential | Reason | str, policy: str, step: Step, reason: Reason
) -> None:
    outcome = ask(credential, policy)
    assert isinstance(outcome, Deny)
    assert (outcome.step, outcome.reason) == (step, reason)
    # Who it was is told only when the signature was good.
    known = step in (Step.CLAIMS, Step.IDENTITY)
    assert (outcome.issuer is not None, outcome.token is not None) == (known, known)


def test_the_steps_are_in_their_order() -> None:
    """Each of these is wrong in two ways: the earlier step denies."""
    table = [
        (ask(Reason.TOKEN_MISSING, "nosuch-00000000"), Step.POLICY),
        (ask(Credential("x", bare=True)), Step.CREDENTIAL),
        (ask("x" * 9000), Step.PARSE),
        (ask(token(ED, iss="https://evil.example")), Step.ISSUER),
        (ask(token(ED), keys={}), Step.KEY),
        (ask(FORGED, now=NOW + 1000), Step.VERIFY),
        (ask(token(exp=1, sub="x" * 5000)), Step.CLAIMS),
    ]
    assert [outcome.step for outcome, _ in table if isinstance(outcome, Deny)] == [step for _, step in table]


def test_a_bare_token_is_taken_where_the_route_says_so() -> None:
    assert isinstance(ask(Credential(token(), bare=True), BARE), Allow)
    assert isinstance(ask(Credential(token()), BARE), Allow)


# Keys


def test_an_issuer_without_keys_is_asked_for_and_otherwise_unavailable() -> None:
    assert ask(token(), keys={"two": KEYS["two"]}) == NeedKeys(
        "one", None, Deny(Reason.ISSUER_UNAVAILABLE, Step.KEY)
    )


def test_an_unknown_kid_is_asked_for_and_otherwise_denied() -> None:
    assert ask(token(SECOND)) == NeedKeys("one", SECOND.kid, Deny(Reason.KEY_UNKNOWN, Step.KEY))
    assert isinstance(ask(token(SECOND), keys={"one": keyset(KEY, SECOND)}), Allow)


def test_a_key_of_one_issuer_never_verifies_a_token_of_another() -> None:
    stolen = token(KEYS_OF_TWO)  # says that it is of one, signed by a key of two
    assert ask(stolen, BOTH) == NeedKeys("one", KEYS_OF_TWO.kid, Deny(Reason.KEY_UNKNOWN, Step.KEY))
    # Not even when it has been seen as a token of two.
    authenticate = Authenticator(PLAN, VerifiedTokens(1 << 20))
    assert isinstance(ask(token(KEYS_OF_TWO, iss="https://two.example"), BOTH, authenticate=authenticate), Allow)
    assert isinstance(ask(stolen, BOTH, authenticate=authenticate), NeedKeys)


@pytest.mark.parametrize("published", ["with a kid", "without"])
def test_a_key_that_the_token_does_not_name_may_have_been_replaced(published: str) -> None:
    jwk = KEY.public_jwk() if published == "with a kid" else unnamed(KEY)
    keys = {"one": read_jwks(json.dumps({"keys": [jwk]}).encode())}
    asked = ask(signed(json.dumps(claims()).encode(), SECOND, kid=None), keys=keys)
    assert asked == NeedKeys("one", None, Deny(Reason.SIGNATURE_INVALID, Step.VERIFY))
    # A name that was published is a promise: a bad signature by it is one.
    forged = signed(json.dumps(claims()).encode(), SECOND, kid=KEY.kid)
    assert ask(forged) == Deny(Reason.SIGNATURE_INVALID, Step.VERIFY)


def unnamed(key: SigningKey) -> dict[str, Any]:
    return {name: value for name, value in key.public_jwk().items() if name != "kid"}


def test_a_renewed_certificate_is_asked_for_though_its_key_keeps_its_name() -> None:
    renewed = signed(json.dumps(claims()).encode(), KEY, **{"x5t#S256": encode_base64url(bytes(32)).decode()})
    published = KEY.public_jwk() | {"x5t#S256": encode_base64url(bytes(range(32))).decode()}
    keys = {"one": read_jwks(json.dumps({"keys": [published]}).encode())}
    assert ask(renewed, keys=keys) == NeedKeys("one", None, Deny(Reason.KEY_UNKNOWN, Step.KEY))


def test_several_fitting_keys_may_be_one_by_now() -> None:
    keys = {"one": read_jwks(json.dumps({"keys": [unnamed(KEY), unnamed(SECOND)]}).encode())}
    assert keys["one"].notes == ("2 keys have no kid: a token that names none is refused",)
    outcome = ask(signed(json.dumps(claims()).encode(), kid=KEY.kid), keys=keys)
    assert isinstance(outcome, NeedKeys)  # by its kid there is none
    assert ask(signed(json.dumps(claims()).encode(), kid=None), keys=keys) == NeedKeys(
        "one", None, Deny(Reason.KEY_AMBIGUOUS, Step.KEY)
    )


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"required_claims": ("client_id",)}, Reason.CLAIM_MISSING),
        ({"max_lifetime": 1}, Reason.TOKEN_TOO_OLD),
        ({"types": ("at+jwt",)}, Reason.TYPE_MISMATCH),
        ({"audience": ("others",)}, Reason.AUDIENCE_MISMATCH),
        ({"audience_claim": "client_id"}, Reason.AUDIENCE_MISMATCH),
        ({"fixed_claims": (("token_use", "access"),)}, Reason.TYPE_MISMATCH),
    ],
    ids=str,
)
def test_what_the_issuers_section_asks_for_is_asked(rule: dict[str, Any], reason: Reason) -> None:
    text = token(iat=NOW)
    assert isinstance(ask(text), Allow)
    issuers = {**PLAN.issuers, "one": replace(PLAN.issuers["one"], **rule)}
    stricter = ask(text, authenticate=Authenticator(replace(PLAN, issuers=issuers), VerifiedTokens(0)))
    assert isinstance(stricter, Deny)
    assert stricter.reason is reason


# The memory of verified tokens


def remembering() -> Authenticator:
    return Authenticator(PLAN, VerifiedTokens(1 << 20))


def test_a_remembered_token_still_ends() -> None:
    authenticate, text = remembering(), token()
    assert isinstance(ask(text, authenticate=authenticate), Allow)
    late = ask(text, now=NOW + 300, authenticate=authenticate)
    assert isinstance(late, Deny)
    assert late.reason is Reason.TOKEN_EXPIRED
    assert isinstance(ask(text, now=NOW + 299, authenticate=authenticate), Allow)


def test_a_token_signed_by_a_removed_key_is_denied_although_it_is_remembered() -> None:
    authenticate, text = remembering(), token()
    assert isinstance(ask(text, authenticate=authenticate), Allow)
    assert isinstance(ask(text, keys={"one": keyset(SECOND)}, authenticate=authenticate), NeedKeys)
    assert isinstance(ask(text, keys={}, authenticate=authenticate), NeedKeys)
    assert isinstance(ask(text, authenticate=authenticate), Allow)


def test_a_remembered_token_meets_each_policy_anew() -> None:
    authenticate, text = remembering(), token(KEYS_OF_TWO, iss="https://two.example")
    assert isinstance(ask(text, BOTH, authenticate=authenticate), Allow)
    elsewhere = ask(text, ONE, authenticate=authenticate)
    assert isinstance(elsewhere, Deny)
    assert elsewhere.reason is Reason.ISSUER_UNKNOWN


def test_a_remembered_token_meets_the_limits_of_a_plan_that_came_later() -> None:
    memory, text = VerifiedTokens(1 << 20), token()
    assert isinstance(ask(text, authenticate=Authenticator(PLAN, memory)), Allow)
    for limit, reason in (
        ({"max_token_bytes": len(text) - 1}, Reason.TOKEN_TOO_LARGE),
        ({"algorithms": ("ES384",)}, Reason.ALGORITHM_NOT_ALLOWED),
    ):
        issuers = {**PLAN.issuers, "one": replace(PLAN.issuers["one"], **limit)}
        later = ask(text, authenticate=Authenticator(replace(PLAN, issuers=issuers), memory))
        assert isinstance(later, Deny)
        assert later.reason is reason


def test_a_remembered_token_gives_the_same_answer() -> None:
    authenticate, text = remembering(), token()
    first, second = ask(text, authenticate=authenticate), ask(text, authenticate=authenticate)
    assert isinstance(first, Allow)
    assert isinstance(second, Allow)
    assert (first.identity, first.cacheable_until) == (second.identity, second.cacheable_until)
    assert first.token is not None
    assert second.token is not None
    assert dict(first.token.claims) == dict(second.token.claims)


def test_issuers_that_share_their_keys_stay_two_issuers() -> None:
    """Tenants of one provider: the same key set, another `iss`."""
    shared = {"one": keyset(KEY), "two": keyset(KEY)}
    authenticate = remembering()
    texts = {name: token(iss=f"https://{name}.example") for name in ("one", "two")}
    for _ in range(2):
        for name, text in texts.items():
            outcome = ask(text, BOTH, keys=shared, authenticate=authenticate)
            assert isinstance(outcome, Allow), outcome
            assert outcome.issuer is not None
            assert outcome.issuer.name == name


def test_a_denial_is_not_remembered() -> None:
    authenticate = remembering()
    assert isinstance(ask(FORGED, authenticate=authenticate), Deny)
    assert isinstance(ask(FORGED, authenticate=authenticate), Deny)
    assert isinstance(ask(token(), authenticate=authenticate), Allow)


# How long NGINX may repeat an allow. It serves an entry during the whole second that is named.

UNTIL = {
    "staleness ends first": (ONE, NOW + 300, NOW, NOW + 9),
    "the fraction of the second is not given away": (ONE, NOW + 300, NOW + 0.9, NOW + 9),
    "exp ends first": (ONE, NOW + 4, NOW, NOW + 3),
    "exp is now over in a second": (ONE, NOW + 1, NOW, NOW),
    "exp is over in less than a second": (ONE, NOW + 1, NOW + 0.999, NOW),
    "a fractional exp ends before its second": (ONE, NOW + 4.5, NOW, NOW + 3),
    "a fractional exp in this second": (ONE, NOW + 0.5, NOW, 0),
    "a fractional exp in the next second": (ONE, NOW + 1.5, NOW + 0.7, NOW),
    "staleness 0": (UNCACHED, NOW + 300, NOW, 0),
    "leeway counts": (BOTH, NOW + 1, NOW, NOW + 5),
    "leeway, after exp": (BOTH, NOW - 4, NOW, NOW),
    "an exp of any size": (ONE, 10**300, NOW, NOW + 9),
}


@pytest.mark.parametrize(("policy", "exp", "now", "until"), UNTIL.values(), ids=UNTIL.keys())
def test_how_long_a_decision_may_be_repeated(policy: str, exp: float, now: float, until: int) -> None:
    two = policy == BOTH
    text = token(KEYS_OF_TWO if two else KEY, iss="https://two.example" if two else "https://one.example", exp=exp)
    outcome = ask(text, policy, now=now)
    assert isinstance(outcome, Allow)
    assert outcome.cacheable_until == until
    if until:
        leeway = PLAN.issuers["two" if two else "one"].leeway
        assert int(now) <= until < exp + leeway
        assert until + 1 <= exp + leeway, "never during a second in which the token ends"
        assert until + 1 <= now + PLAN.policies[policy].staleness


# Requirements


REQUIRED = {
    "all there": ({"scope": "read write", "roles": ["admin"]}, None, None),
    "no scope": ({"roles": ["admin"]}, Reason.SCOPE_MISSING, "scopes"),
    "no role": ({"scope": "write"}, Reason.ROLE_MISSING, "roles"),
    "roles where another issuer has them": (
        {"scope": "write", "realm_access": {"roles": ["admin"]}},
        Reason.ROLE_MISSING,
        "roles",
    ),
}


@pytest.mark.parametrize(("more", "reason", "position"), REQUIRED.values(), ids=REQUIRED.keys())
@pytest.mark.parametrize("memory", [0, 1 << 20], ids=["verified each time", "remembered"])
def test_a_token_must_meet_what_the_policy_requires(
    memory: int, more: dict[str, object], reason: Reason | None, position: str | None
) -> None:
    authenticate = Authenticator(PLAN, VerifiedTokens(memory))
    text = mint(claims(**more), KEY)
    for _ in range(3):
        outcome = ask(text, policy_of("/editor/"), authenticate=authenticate)
        if reason is None:
            assert isinstance(outcome, Allow)
        else:
            assert isinstance(outcome, Deny)
            assert (outcome.reason, outcome.step, outcome.position) == (reason, Step.REQUIREMENTS, position)
            assert outcome.token is not None


def test_each_issuer_has_its_roles_where_it_says() -> None:
    def of_two(**more: object) -> str:
        return token(KEYS_OF_TWO, iss="https://two.example", scope="write", **more)

    assert isinstance(ask(of_two(realm_access={"roles": ["editor"]}), policy_of("/editor/")), Allow)
    refused = ask(of_two(roles=["editor"]), policy_of("/editor/"))
    assert isinstance(refused, Deny)
    assert refused.reason is Reason.ROLE_MISSING


def test_claims_are_checked_before_requirements() -> None:
    refused = ask(token(aud="somebody else"), policy_of("/editor/"))
    assert isinstance(refused, Deny)
    assert refused.step is Step.CLAIMS


def test_a_token_of_another_policy_has_to_meet_this_one_too() -> None:
    authenticate = remembering()
    text = token()
    assert isinstance(ask(text, ONE, authenticate=authenticate), Allow)
    assert isinstance(ask(text, policy_of("/editor/"), authenticate=authenticate), Deny)


def test_a_requirement_about_time_ends_the_decision() -> None:
    fresh = policy_of("/fresh/")
    outcome = ask(token(auth_time=NOW - 55), fresh)
    assert isinstance(outcome, Allow)
    assert outcome.cacheable_until == NOW + 4
    late = ask(token(auth_time=NOW - 60), fresh)
    assert isinstance(late, Deny)
    assert late.reason is Reason.STEP_UP_REQUIRED


def test_needs_differ_by_method() -> None:
    authenticate = Authenticator(PLAN, VerifiedTokens(0))
    policy = policy_of("/by-method/")

    def by(method: str, text: str) -> bool:
        return isinstance(authenticate(KEYS, policy, Credential(text), NOW, Request(method)), Allow)

    reader, editor = token(), token(roles=["editor"])
    assert [by(method, reader) for method in ("GET", "HEAD", "POST", "DELETE")] == [True, True, False, False]
    assert [by(method, editor) for method in ("GET", "POST", "DELETE")] == [True, True, False]
    assert isinstance(ask(editor, policy), Deny), "a method that nobody told is none that is named"


# No token, a valid one, one that is not

EXPIRED = Reason.TOKEN_EXPIRED
# policy, what the request brings, denied why, tolerated why; None and None: allowed
STATES: dict[str, tuple[str, Credential | Reason | str, Reason | None, Reason | None]] = {
    "optional, none": ("/optional/", Reason.TOKEN_MISSING, None, None),
    "optional, valid": ("/optional/", token(), None, None),
    "optional, expired": ("/optional/", token(exp=1), EXPIRED, None),
    "optional, unknown issuer": ("/optional/", token(iss="https://x.example"), Reason.ISSUER_UNKNOWN, None),
    "optional, unparsable": ("/optional/", "x", Reason.TOKEN_MALFORMED, None),
    "optional, not a header": ("/optional/", Reason.HEADER_INVALID, Reason.HEADER_INVALID, None),
    "optional, two": ("/optional/", Reason.CREDENTIALS_AMBIGUOUS, Reason.CREDENTIALS_AMBIGUOUS, None),
    "optional, requirement not met": ("/optional-reader/", token(), Reason.SCOPE_MISSING, None),
    "optional, none, requirement not met": (
        "/optional-reader/",
        Reason.TOKEN_MISSING,
        Reason.TOKEN_MISSING,
        None,
    ),
    "tolerant, none": ("/tolerant/", Reason.TOKEN_MISSING, None, None),
    "tolerant, valid": ("/tolerant/", token(), None, None),
    "tolerant, expired": ("/tolerant/", token(exp=1), None, EXPIRED),
    "tolerant, unparsable": ("/tolerant/", "x", None, Reason.TOKEN_MALFORMED),
    "tolerant, valid and not permitted": (
        "/tolerant/",
        token(roles=["banned"]),
        Reason.REQUIREMENT_FAILED,
        None,
    ),
    "tolerant, valid and too much identity": (
        "/tolerant/",
        token(long="x" * 5000),
        Reason.CLAIMS_UNREADABLE,
        None,
    ),
}


@pytest.mark.parametrize(("path", "brought", "denied", "tolerated"), STATES.values(), ids=STATES.keys())
def test_no_token_a_valid_one_and_an_invalid_one_are_three_states(
    path: str, brought: Credential | Reason | str, denied: Reason | None, tolerated: Reason | None
) -> None:
    outcome = ask(brought, policy_of(path))
    assert isinstance(outcome, Allow | Deny)
    if isinstance(outcome, Deny):
        assert outcome.reason is denied
        return
    assert denied is None
    assert outcome.tolerated is tolerated
    anonymous = brought is Reason.TOKEN_MISSING or tolerated is not None
    assert (outcome.token is None, outcome.issuer is None) == (anonymous, anonymous)
    # Without a token all are alike for the staleness; what was tolerated is asked about each time.
    assert outcome.cacheable_until == (0 if tolerated else NOW + 9)


def test_keys_that_cannot_be_had_are_not_an_invalid_token() -> None:
    outcome = ask(token(), policy_of("/tolerant/"), keys={})
    assert outcome == NeedKeys("one", None, Deny(Reason.ISSUER_UNAVAILABLE, Step.KEY))


def test_a_bad_signature_is_tolerated_also_where_the_key_is_asked_for() -> None:
    forged = signed(json.dumps(claims()).encode(), SECOND, kid=None)
    outcome = ask(forged, policy_of("/tolerant/"))
    assert isinstance(outcome, NeedKeys)
    settled = outcome.settled(answered=True)
    assert isinstance(settled, Allow)
    assert (settled.token, settled.tolerated) == (None, Reason.SIGNATURE_INVALID)
    assert outcome.settled(answered=False) == Deny(Reason.ISSUER_UNAVAILABLE, Step.KEY)


# What is printed


def test_no_token_is_in_a_repr() -> None:
    text = token()
    for shown in (Credential(text), ask(text), ask(token(exp=1)), ask(FORGED)):
        for part in text.split("."):
            assert part not in repr(shown)
        assert "alice" not in repr(ask(token(exp=1)))


def test_the_authenticator_holds_nothing_else_that_changes() -> None:
    plan: Plan = PLAN
    assert Authenticator.__slots__ == ("_by_policy", "_policies", "_standing", "_verified")
    assert ask(token()) != ask(token(), now=NOW + 1000)
    assert plan == PLAN
