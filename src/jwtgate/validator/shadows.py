"""Shadow policies: evaluated beside the policy that is enforced, counted, and otherwise without effect.

A shadow decides about the same credential, inputs and moment, after the decision that counts. The token is
remembered by then, so it costs a look at claims and requirements, unless the signature is not good. What NGINX
repeats from its cache is not seen: these are decisions, and not requests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from jwtgate.authenticate import Allow, Authenticator, Deny, NeedKeys, NeedStatus
from jwtgate.reasons import Reason
from jwtgate.validator.measured import ShadowCount
from jwtgate.validator.respond import subject_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys import KeySet
    from jwtgate.plan import Plan
    from jwtgate.revocation import Standing
    from jwtgate.tokens import VerifiedTokens
    from jwtgate.validator.app import Question

_log = structlog.get_logger("jwtgate.shadow")

ALLOWED = "allowed"
_FIRST = 3  # disagreements of one kind that are logged, each
_INTERVAL = 60.0  # seconds between two after that


@dataclass(slots=True)
class _Logged:
    times: int = 0
    last: float = 0.0


def shadows_of(plan: Plan, verified: VerifiedTokens, standing: Standing) -> Shadows | None:
    """The shadows of a Plan; None where there are none."""
    policies = {
        policy.id: replace(policy.shadow, id=policy.id)
        for policy in plan.policies.values()
        if policy.shadow is not None
    }
    return Shadows(plan, replace(plan, policies=policies), verified, standing) if policies else None


class Shadows:
    """Decides by `shadows`: the same Plan with the shadow in the place of each policy that has one."""

    __slots__ = ("_authenticate", "_counts", "_logged", "_names", "_verified")

    def __init__(self, plan: Plan, shadows: Plan, verified: VerifiedTokens, standing: Standing) -> None:
        self._authenticate = Authenticator(shadows, verified, standing)
        self._verified = verified
        self._names = {id_: (plan.policies[id_].name, shadow.name) for id_, shadow in shadows.policies.items()}
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        self._logged: dict[tuple[str, str, str, str], _Logged] = {}

    @property
    def counts(self) -> tuple[ShadowCount, ...]:
        """What was seen so far, agreement too."""
        return tuple(ShadowCount(*kind, count) for kind, count in self._counts.items())

    def see(self, keysets: Mapping[str, KeySet], question: Question, enforced: Allow | Deny, now: float) -> None:
        """Count what the shadow would have decided. Never raises: what is enforced stands."""
        names = self._names.get(question.policy_id)
        if names is None:
            return
        hits = self._verified.hits
        try:
            outcome = self._authenticate(keysets, question.policy_id, question.credential, now, question.request)
            # What a shadow lacks is not waited for; what is enforced may have been.
            answered = not (isinstance(enforced, Deny) and enforced.reason is Reason.ISSUER_UNAVAILABLE)
            would_be = _verdict(outcome.settled(answered=answered) if isinstance(outcome, NeedKeys) else outcome)
        except Exception:  # noqa: BLE001 - a fault of what is only tried must deny nobody
            would_be = str(Reason.INTERNAL_ERROR)
        self._verified.hits = hits  # a request counts once
        kind = (*names, _verdict(enforced), would_be)
        self._counts[kind] += 1
        if kind[2] != would_be:
            self._sample(kind, enforced, now)

    def _sample(self, kind: tuple[str, str, str, str], enforced: Allow | Deny, now: float) -> None:
        logged = self._logged.setdefault(kind, _Logged())
        if logged.times >= _FIRST and now < logged.last + _INTERVAL:
            return
        logged.times += 1
        logged.last = now
        issuer, token = enforced.issuer, enforced.token
        policy, shadow, verdict, would_be = kind
        _log.warning(
            "shadow_disagrees",
            policy=policy,
            shadow=shadow,
            enforced=verdict,
            would_be=would_be,
            decisions=self._counts[kind],
            issuer=issuer.name if issuer else "",
            subject=subject_digest(issuer.issuer, token.claims.get("sub")) if issuer and token else "",
        )


def _verdict(outcome: Allow | Deny | NeedStatus) -> str:
    """`allowed`, or why not."""
    if isinstance(outcome, Allow):
        return ALLOWED
    return str(outcome.otherwise.reason if isinstance(outcome, NeedStatus) else outcome.reason)
