"""Each request of a table through the real `Authenticator`; and what the table has not tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jwtgate.authenticate import Allow, Authenticator, Credential, Deny, NeedKeys, NeedStatus, Step
from jwtgate.policy import AnyOf, Methods, Not, Nothing, Request, trace, walk
from jwtgate.reasons import Reason
from jwtgate.routing import match_route
from jwtgate.tokens import VerifiedTokens
from jwtgate.trial.keys import ThrowAwayKeys
from jwtgate.trial.table import ALLOW, NO_ROUTE, Claims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jwtgate.plan import Issuer, Plan, Policy
    from jwtgate.policy import Requirement
    from jwtgate.trial.table import Request as Tried


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a request. `wrong` says how that differs from what was expected; "" if it does not."""

    request: Tried
    verdict: str
    wrong: str = ""


@dataclass(slots=True)
class Coverage:
    """What a table has seen: requirements passing and failing, by policy and position; routes asked."""

    passed: set[tuple[str, str]] = field(default_factory=set)
    failed: set[tuple[str, str]] = field(default_factory=set)
    routes: set[str] = field(default_factory=set)

    def gaps(self, plan: Plan) -> list[str]:
        """What was not seen, a line each: `never seen failing: editor.roles`."""
        policies = {policy.name: policy.requirement for policy in plan.policies.values()}
        named = [
            (name, each.position) for name, tree in policies.items() if tree is not None for each in _telling(tree)
        ]
        lines = [f"never seen {how}: {name}.{position}"
                 for how, seen in (("failing", self.failed), ("passing", self.passed))
                 for name, position in dict.fromkeys(named) if (name, position) not in seen]  # fmt: skip
        asked = (f"{route.host or ''}{route.path}" for route in plan.routes if route.policy is not None)
        return lines + [f"never asked: {route}" for route in dict.fromkeys(asked) if route not in self.routes]


def _telling(tree: Requirement) -> list[Requirement]:
    """The requirements of which both can be seen: not those that only say "and", nor those that cannot fail.

    Of a choice the alternatives count, and of `not` what it denies.
    """
    return [
        each
        for each in walk(tree)
        if not isinstance(each, AnyOf | Not | Methods | Nothing) and not hasattr(each, "requirements")
    ]


def run(plan: Plan, requests: Sequence[Tried]) -> tuple[list[Result], Coverage]:
    """Decide about each request by itself, in order."""
    gateway = _Gateway(plan)
    return [gateway.result(request) for request in requests], gateway.coverage


class _Gateway:
    def __init__(self, plan: Plan) -> None:
        self.coverage = Coverage()
        self._plan = plan
        self._keys = ThrowAwayKeys()
        self._authenticate = Authenticator(plan, VerifiedTokens(0))

    def result(self, request: Tried) -> Result:
        case = request.case
        route = match_route(self._plan, case.host, case.route)
        if route is None:
            return _compare(request, NO_ROUTE)
        self.coverage.routes.add(f"{route.host or ''}{route.path}")
        if route.policy is None:
            return _compare(request, ALLOW)
        policy = self._plan.policies[route.policy]
        inputs = _inputs(request)
        try:
            credential = self._credential(request, policy)
        except (TypeError, ValueError, LookupError) as error:
            return Result(request, "no token", f"the token cannot be made: {error}")
        outcome = self._authenticate(self._keys.keysets, policy.id, credential, request.now, inputs)
        decided = outcome.otherwise if isinstance(outcome, NeedKeys | NeedStatus) else outcome
        self._note(policy, decided, inputs, request.now)
        if isinstance(decided, Deny):
            where = f" at {decided.position}" if decided.position else ""
            return _compare(request, decided.reason, f"{decided.reason} at step {decided.step}{where}")
        return _compare(request, ALLOW, identity=dict(decided.identity))

    def _credential(self, request: Tried, policy: Policy) -> Credential | Reason:
        match request.token:
            case None:
                return Reason.TOKEN_MISSING
            case Claims(claims, name, header):
                issuer = self._issuer(policy, name, claims)
                return Credential(self._keys.token(issuer, header, claims, request.now))
            case text:
                return Credential(text)

    def _issuer(self, policy: Policy, name: str | None, claims: Mapping[str, object]) -> Issuer:
        """Whose token it is: the issuer that is named, whose `iss` it has, or the policy's first."""
        issuers = self._plan.issuers
        if name is not None:
            if name not in issuers:
                raise LookupError(f"unknown issuer {name}: expected one of {', '.join(issuers)}")
            return issuers[name]
        own = [issuers[each] for each in policy.issuers]
        return next((each for each in own if each.issuer == claims.get("iss")), own[0])

    def _note(self, policy: Policy, decided: Allow | Deny, inputs: Request, now: float) -> None:
        reached = isinstance(decided, Allow) or decided.step in (Step.REQUIREMENTS, Step.IDENTITY)
        if policy.requirement is None or not reached:
            return
        claims = decided.token.claims if decided.token else {}
        names = {"names": decided.issuer.claim_names} if decided.issuer else {}
        for requirement, failure in trace(policy.requirement, claims, inputs, now, **names):
            seen = self.coverage.passed if failure is None else self.coverage.failed
            seen.add((policy.name, requirement.position))


def _inputs(request: Tried) -> Request:
    case = request.case
    headers = {name.lower(): value for name, value in case.headers.items()}
    return Request(case.method, case.route.partition("?")[0], (case.host or "").lower(), headers)


def _compare(request: Tried, verdict: str, shown: str = "", identity: Mapping[str, str] | None = None) -> Result:
    expected = request.case.expect
    if verdict != expected:
        return Result(request, verdict, f"expected {expected}, got {shown or verdict}")
    wanted = request.case.identity or {}
    given = {name.lower(): value for name, value in (identity or {}).items()}
    differ = [
        f"{name}: expected {value!r}, got {given.get(name.lower())!r}"
        for name, value in wanted.items()
        if given.get(name.lower()) != value
    ]
    return Result(request, verdict, "; ".join(differ))
