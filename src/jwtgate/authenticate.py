"""The request's straight line: credential → parse → issuer → key → verify → claims → status
→ requirements → identity.

`Authenticator` does no I/O and knows no clock; the validator, `jwtgate explain`, the fuzzer and the benchmark all
call it. What it lacks it says: `NeedKeys` asks for an issuer's keys, and the caller, who can wait, has them
fetched and calls again. When none have come it is over, and `settled` is the outcome.
`NeedStatus` is the same for a status list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from jwtgate.identity import compile_identity
from jwtgate.keys import Key
from jwtgate.policy import AUTHORIZATION, NO_REQUEST, compile_requirement
from jwtgate.reasons import DENIALS, Reason
from jwtgate.revocation.standing import NeedList, Standing
from jwtgate.tokens import (
    ClaimRules,
    UnverifiedToken,
    VerifiedToken,
    VerifiedTokens,
    check_claims,
    parse,
    token_digest,
    unverified_issuer,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jwtgate.identity import Identity
    from jwtgate.keys import KeySet
    from jwtgate.plan import Issuer, Plan, Policy
    from jwtgate.policy import Compiled, Request


# Structs of msgspec, as in tokens/: made for every request, and a frozen dataclass takes ten times as long. For
# the same reason a result is asked whether it is what was hoped for: `isinstance` of an enum takes five times as
# long.
class Credential(msgspec.Struct, frozen=True, gc=False):
    """A token as the request brought it; `bare` when its header named no scheme.

    `digest` is always that of the token, whatever it is made with.
    """

    token: str
    bare: bool = False
    digest: bytes = b""

    def __post_init__(self) -> None:
        force_setattr(self, "digest", token_digest(self.token))

    def __repr__(self) -> str:
        """Without the token."""
        return f"Credential(bare={self.bare})"


class Step(StrEnum):
    """The steps in their order. A denial says at which one it happened."""

    POLICY = "policy"
    CREDENTIAL = "credential"
    PARSE = "parse"
    ISSUER = "issuer"
    KEY = "key"
    VERIFY = "verify"
    CLAIMS = "claims"
    STATUS = "status"
    REQUIREMENTS = "requirements"
    IDENTITY = "identity"


class Allow(msgspec.Struct, frozen=True):
    """Let it through, as this issuer's token says; without `token` and `issuer`: as anonymous.

    `identity` are request headers for the service. The decision holds at least until the end of the second
    `cacheable_until` (Unix time); 0 says that it may not be repeated at all. `tolerated` is why a token was not
    valid, where the policy lets such requests through. `comes_back`: whether the token is seen so often that a
    decision which is kept would be asked for.
    """

    token: VerifiedToken | None
    issuer: Issuer | None
    identity: tuple[tuple[str, str], ...]
    cacheable_until: int
    tolerated: Reason | None = None
    comes_back: bool = True


class Deny(msgspec.Struct, frozen=True):
    """Do not let it through. `position` names the requirement of the policy that was not met."""

    reason: Reason
    step: Step
    issuer: Issuer | None = None  # with `token`: whose signature was good
    token: VerifiedToken | None = None
    position: str | None = None


class NeedKeys(msgspec.Struct, frozen=True):
    """The issuer's keys are not here, or a key with this `kid` is not among them.

    Without a `kid`, the key that is here may have been replaced.
    """

    issuer: str
    kid: str | None
    otherwise: Allow | Deny

    def settled(self, *, answered: bool) -> Allow | Deny:
        """What it comes to when the keys did not come. `answered`: the issuer was asked and has said which it
        has; without that nothing is known about the token."""
        return self.otherwise if answered else Deny(Reason.ISSUER_UNAVAILABLE, Step.KEY)


class NeedStatus(msgspec.Struct, frozen=True):
    """The status list at `uri`, one of the issuer's, is not here."""

    issuer: str
    uri: str
    otherwise: Deny


# The public codes of what is wrong with a token, as opposed to what is wrong with us.
_INVALID = frozenset(("invalid_token", "invalid_request"))

Outcome = Allow | Deny | NeedKeys | NeedStatus


@dataclass(frozen=True, slots=True)
class _Trust:
    """What a policy asks of one issuer's tokens. `requirement` is None where a token that holds is enough."""

    issuer: Issuer
    rules: ClaimRules
    requirement: Compiled | None


@dataclass(frozen=True, slots=True)
class _Trusted:
    """A policy made ready: its issuers by `iss` and by name, the largest token that any of them allows, what it
    requires of a request without a token, and the identity headers that it makes.

    `worthwhile`: a token that was not seen for more seconds will not come back before its decision has ended.
    """

    issuers: Mapping[str, _Trust]
    by_name: Mapping[str, _Trust]
    max_token_bytes: int
    anonymous: Compiled | None
    identity: Identity
    worthwhile: float


class Authenticator:
    """A Plan made ready for requests. Holds nothing that changes but the cache of verified tokens.

    `standing` is what others keep up to date about revoked tokens; None: nothing is known.
    """

    __slots__ = ("_by_policy", "_policies", "_standing", "_verified")

    def __init__(self, plan: Plan, verified: VerifiedTokens, standing: Standing | None = None) -> None:
        self._policies = plan.policies
        self._verified = verified
        self._standing = Standing() if standing is None else standing
        self._by_policy = {
            policy.id: _trusted(policy, [plan.issuers[name] for name in policy.issuers], plan)
            for policy in plan.policies.values()
        }

    @property
    def declaring(self) -> frozenset[str]:
        """The ids of policies that read more of a request than its `Authorization`."""
        return frozenset(
            policy.id for policy in self._policies.values() if policy.inputs or policy.sources != AUTHORIZATION
        )

    def __call__(  # noqa: C901 - one line of sight is worth more here than short functions
        self,
        keysets: Mapping[str, KeySet],
        policy_id: str,
        credential: Credential | Reason,
        now: float,
        request: Request = NO_REQUEST,
        *,
        required: bool = False,
    ) -> Outcome:
        """Decide about one request.

        `keysets` are by issuer name; an issuer without usable keys is absent. `credential` is what the request
        brought, or why that is nothing to look at. `now` is Unix time in seconds. `request` has the inputs that
        the policy declares. `required`: a token is needed even where the policy could do without.
        """
        policy = self._policies.get(policy_id)
        if policy is None:
            return Deny(Reason.POLICY_UNKNOWN, Step.POLICY)
        if policy.presence != "required" and not required:
            return self._optional(keysets, policy, credential, now, request)
        if not isinstance(credential, Credential):
            return Deny(credential, Step.CREDENTIAL)
        if credential.bare and not policy.bare_token:
            return Deny(Reason.HEADER_INVALID, Step.CREDENTIAL)
        trusted = self._by_policy[policy.id]
        text = credential.token
        digest = credential.digest
        remembered = self._remembered(keysets, trusted, text, digest, now)
        if remembered is not None:
            return _decide(*remembered, trusted, policy, request, now, self._standing)
        token = parse(text, max_bytes=trusted.max_token_bytes)
        if not isinstance(token, UnverifiedToken):
            return Deny(token, Step.PARSE)
        claimed = unverified_issuer(token)
        if isinstance(claimed, Reason):
            return Deny(claimed, Step.ISSUER)
        if claimed not in trusted.issuers:
            return Deny(Reason.ISSUER_UNKNOWN, Step.ISSUER)
        trust = trusted.issuers[claimed]
        if len(text) > trust.issuer.max_token_bytes:
            return Deny(Reason.TOKEN_TOO_LARGE, Step.ISSUER)
        checked = self._verify(keysets, trust.issuer, digest, token, now)
        if not isinstance(checked, VerifiedToken):
            return checked
        return _decide(trust, checked, 0.0, trusted, policy, request, now, self._standing)

    def _optional(
        self,
        keysets: Mapping[str, KeySet],
        policy: Policy,
        credential: Credential | Reason,
        now: float,
        request: Request,
    ) -> Outcome:
        """Three states, kept apart: no token, a valid one, and one that is not (Envoy CVE-2021-21378)."""
        anonymous = self._by_policy[policy.id].anonymous
        if credential is Reason.TOKEN_MISSING:
            return _anonymous(anonymous, policy, request, now)
        outcome = self(keysets, policy.id, credential, now, request, required=True)
        if policy.presence != "unsafe_tolerate_invalid":
            return outcome
        denied = outcome.otherwise if isinstance(outcome, NeedKeys) else outcome
        # A key that is unknown may only be late.
        if not isinstance(denied, Deny) or denied.reason is Reason.KEY_UNKNOWN:
            return outcome
        if denied.step in (Step.REQUIREMENTS, Step.IDENTITY) or DENIALS[denied.reason].code not in _INVALID:
            return outcome
        passed = _anonymous(anonymous, policy, request, now)
        if not isinstance(passed, Allow):
            return outcome
        tolerated = Allow(None, None, (), 0, denied.reason)
        return NeedKeys(outcome.issuer, None, tolerated) if isinstance(outcome, NeedKeys) else tolerated

    def remembers(self, credential: Credential) -> bool:
        """Whether the signature of this token was checked before: deciding about it will not take long."""
        return credential.digest in self._verified

    def _remembered(
        self, keysets: Mapping[str, KeySet], trusted: _Trusted, text: str, digest: bytes, now: float
    ) -> tuple[_Trust, VerifiedToken, float] | None:
        """The token, when a key of the issuer's present set verified it before and its limits permit it still; and
        for how many seconds it was not seen.

        Whose token it is was settled then, by its `iss`: issuers can share a key set.
        """
        found = self._verified.get(digest, keysets, now)
        if found is None:
            return None
        name, token, unseen = found
        trust = trusted.by_name.get(name)
        if trust is None:  # verified for another policy
            return None
        fits = len(text) <= trust.issuer.max_token_bytes and token.header.algorithm in trust.issuer.algorithms
        return (trust, token, unseen) if fits else None

    def _verify(
        self, keysets: Mapping[str, KeySet], issuer: Issuer, digest: bytes, token: UnverifiedToken, now: float
    ) -> VerifiedToken | Deny | NeedKeys:
        """The token, verified by a key of this issuer and of no other."""
        header = token.header
        if header.algorithm not in issuer.algorithms:
            return Deny(Reason.ALGORITHM_NOT_ALLOWED, Step.KEY)
        keyset = keysets.get(issuer.name)
        if keyset is None:
            return NeedKeys(issuer.name, None, Deny(Reason.ISSUER_UNAVAILABLE, Step.KEY))
        key = keyset.select(algorithm=header.algorithm, kid=header.kid, x5t_s256=header.x5t_s256)
        if key is Reason.KEY_UNKNOWN:
            # A certificate may have been renewed for a key that keeps its name.
            kid = header.kid if header.x5t_s256 is None else None
            return NeedKeys(issuer.name, kid, Deny(Reason.KEY_UNKNOWN, Step.KEY))
        # A key that is not named cannot be told from the one that came in its place.
        unnamed = header.kid is None and header.x5t_s256 is None and not keyset.any_kid
        if not isinstance(key, Key):
            denied = Deny(key, Step.KEY)
            return NeedKeys(issuer.name, None, denied) if unnamed else denied
        verified = verify(token, key)
        if not isinstance(verified, VerifiedToken):
            denied = Deny(verified, Step.VERIFY)
            return NeedKeys(issuer.name, None, denied) if unnamed else denied
        self._verified.put(digest, issuer.name, keyset, verified, now)
        return verified


def _decide(
    trust: _Trust,
    token: VerifiedToken,
    unseen: float,
    trusted: _Trusted,
    policy: Policy,
    request: Request,
    now: float,
    standing: Standing,
) -> Allow | Deny | NeedStatus:
    """What follows a good signature. It is evaluated anew for each request, whatever was remembered."""
    issuer = trust.issuer
    refused = check_claims(token, trust.rules, now)
    if refused is not None:
        return Deny(refused, Step.CLAIMS, issuer, token)
    end = token.claims["exp"] + trust.rules.leeway
    if "status" in token.claims or standing.denied is not None:
        stands = standing.of(issuer, token.claims, now, allow_stale=policy.unsafe_allow_stale_status)
        if isinstance(stands, Reason):
            return Deny(stands, Step.STATUS, issuer, token)
        if isinstance(stands, NeedList):
            unavailable = Deny(Reason.STATUS_UNAVAILABLE, Step.STATUS, issuer, token)
            return NeedStatus(issuer.name, stands.uri, unavailable)
        end = min(end, stands)
    requirement = trust.requirement
    if requirement is not None:
        failure = requirement.check(token.claims, request, now)
        if failure is not None:
            return Deny(failure.reason, Step.REQUIREMENTS, issuer, token, failure.position)
        if requirement.horizon is not None:
            end = min(end, requirement.horizon(token.claims, now))
    identity = trusted.identity(token)
    if identity is None:
        return Deny(Reason.CLAIMS_UNREADABLE, Step.IDENTITY, issuer, token)
    until = _cacheable_until(end, policy.staleness, now)
    return Allow(token, issuer, identity, until, comes_back=unseen <= trusted.worthwhile)


def _anonymous(requirement: Compiled | None, policy: Policy, request: Request, now: float) -> Allow | Deny:
    """A request without a token has no claims; what the policy requires, it requires of it too."""
    end = now + policy.staleness
    if requirement is not None:
        failure = requirement.check({}, request, now)
        if failure is not None:
            broken = failure.reason is Reason.POLICY_ERROR
            # A token could help: the client is asked for one.
            reason = failure.reason if broken else Reason.TOKEN_MISSING
            return Deny(reason, Step.REQUIREMENTS, position=failure.position)
        if requirement.horizon is not None:
            end = min(end, requirement.horizon({}, now))
    return Allow(None, None, (), _cacheable_until(end, policy.staleness, now))


def _cacheable_until(end: float, staleness: int, now: float) -> int:
    """The last whole second during which the decision may be repeated; 0 when there is none.

    NGINX serves an entry during the very second that it ends in, and a token is over *at* `exp` (RFC 7519,
    section 4.1.4), so the last second is the one before.
    """
    second = int(now)
    until = int(min(end, second + staleness)) - 1
    return until if until >= second else 0


def _trusted(policy: Policy, issuers: Sequence[Issuer], plan: Plan) -> _Trusted:
    requirement = policy.requirement
    # Compiled once for all issuers whose tokens have their claims in the same places.
    compiled = {
        names: compile_requirement(requirement, names) if requirement is not None else None
        for names in {issuer.claim_names for issuer in issuers}
    }
    trusts = [_Trust(issuer, _rules(issuer), compiled[issuer.claim_names]) for issuer in issuers]
    return _Trusted(
        {trust.issuer.issuer: trust for trust in trusts},
        {trust.issuer.name: trust for trust in trusts},
        max((issuer.max_token_bytes for issuer in issuers), default=0),
        compile_requirement(requirement) if requirement is not None and policy.presence != "required" else None,
        compile_identity(policy.identity, plan.identity_bytes),
        # What was kept before answered for `staleness`; if nobody asked for as long again, nobody used it. The
        # workers take turns, so each sees a token that much more seldom.
        2.0 * policy.staleness * plan.workers,
    )


def _rules(issuer: Issuer) -> ClaimRules:
    return ClaimRules(
        issuer=issuer.issuer,
        audience=issuer.audience,
        leeway=issuer.leeway,
        required=issuer.required_claims,
        max_lifetime=issuer.max_lifetime,
        types=issuer.types,
        audience_claim=issuer.audience_claim,
        fixed=issuer.fixed_claims,
    )
