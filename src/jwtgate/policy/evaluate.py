"""A tree of requirements becomes one function, made once and called for every request.

Rules: the function returns the first failure, or None. Failures are made when the tree is compiled. `any` passes
if one of its parts does, and an evaluation error is a part that does not; `not` never passes on an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Any, Final, NamedTuple, assert_never

from jwtgate.policy.claims import DEFAULT_CLAIM_NAMES, ClaimNames, ClaimPath, claim_at
from jwtgate.policy.expression import compile_expression
from jwtgate.policy.operators import OPERATORS, Operator
from jwtgate.policy.requirement import (
    AcrValues,
    All,
    AnyOf,
    Claim,
    Expression,
    MaxAge,
    Members,
    Methods,
    Not,
    Nothing,
    Requirement,
    Scopes,
    parts,
    walk,
)
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jwtgate.policy.request import Request


class Failure(NamedTuple):
    """Why a requirement is not met, and the position of the one that it was."""

    reason: Reason
    position: str


# What could not be evaluated: neither met nor not met.
_ERRORS: Final = (Reason.POLICY_ERROR, Reason.HEADER_INVALID)

# (claims, request, now) → the first failure, or None when all is met. `now` is Unix time in seconds.
if TYPE_CHECKING:
    Check = Callable[[Mapping[str, Any], Request, float], Failure | None]
    # The end of what was decided now: Unix time before which the same claims and request meet the same.
    Horizon = Callable[[Mapping[str, Any], float], float]
else:
    Check = Horizon = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A requirement as functions. `horizon` is None where nothing depends on the time."""

    check: Check
    horizon: Horizon | None


def compile_requirement(requirement: Requirement, names: ClaimNames = DEFAULT_CLAIM_NAMES) -> Compiled:
    """The requirement for tokens of an issuer whose claims are named so."""
    horizons = tuple(filter(None, map(_horizon, walk(requirement))))

    def nearest(claims: Mapping[str, Any], now: float) -> float:
        return min(horizon(claims, now) for horizon in horizons)

    return Compiled(_check(requirement, names), nearest if horizons else None)


def trace(
    requirement: Requirement,
    claims: Mapping[str, Any],
    request: Request,
    now: float,
    names: ClaimNames = DEFAULT_CLAIM_NAMES,
) -> Iterator[tuple[Requirement, Failure | None]]:
    """Every requirement of the tree by itself, outermost first, and its failure: for people, not for requests.

    Of what each method needs, only what this one does.
    """
    yield requirement, _check(requirement, names)(claims, request, now)
    inner = parts(requirement)
    if isinstance(requirement, Methods):
        inner = tuple(filter(None, [_case(dict(requirement.cases), request.method)]))
    for part in inner:
        yield from trace(part, claims, request, now, names)


def _case(cases: Mapping[str, Requirement], method: str) -> Requirement | None:
    return cases.get(method) or (cases.get("GET") if method == "HEAD" else None)


def _check(requirement: Requirement, names: ClaimNames) -> Check:  # noqa: C901 - one line for each kind
    match requirement:
        case All(_, inner):
            return _all(tuple(_check(each, names) for each in inner))
        case AnyOf(position, inner):
            return _any(tuple(_check(each, names) for each in inner), position)
        case Not(position, one):
            return _not(_check(one, names), Failure(Reason.REQUIREMENT_FAILED, position))
        case Nothing():
            return lambda _claims, _request, _now: None
        case Scopes(position, wanted, quantifier):
            return _scopes(names.scopes, wanted, quantifier == "all", Failure(Reason.SCOPE_MISSING, position))
        case Members(position, kind, wanted, quantifier, path):
            where = path or (names.roles if kind == "roles" else names.groups)
            return _members(where, wanted, quantifier == "all", Failure(Reason.ROLE_MISSING, position))
        case Claim(position, path, operator, value):
            test = OPERATORS[operator].test(value)
            return _claim(path, test, Failure(Reason.REQUIREMENT_FAILED, position))
        case AcrValues(position, values):
            accepted = OPERATORS[Operator.ONE_OF].test(values)
            return _claim(("acr",), accepted, Failure(Reason.STEP_UP_REQUIRED, position))
        case MaxAge(position, seconds):
            return _max_age(seconds, Failure(Reason.STEP_UP_REQUIRED, position))
        case Methods(position, cases):
            checks = {method: _check(each, names) for method, each in cases}
            return _methods(checks, Failure(Reason.REQUIREMENT_FAILED, position))
        case Expression(position, text):
            return _expression(text, position)
        case other:
            assert_never(other)


def _all(checks: tuple[Check, ...]) -> Check:
    def check(claims: Mapping[str, Any], request: Request, now: float) -> Failure | None:
        for each in checks:
            failure = each(claims, request, now)
            if failure is not None:
                return failure
        return None

    return check


def _any(checks: tuple[Check, ...], position: str) -> Check:
    failures = {reason: Failure(reason, position) for reason in Reason}

    def check(claims: Mapping[str, Any], request: Request, now: float) -> Failure | None:
        reasons = set()
        for each in checks:
            failure = each(claims, request, now)
            if failure is None:
                return None
            reasons.add(failure.reason)
        # What all of them say; an error before any other reason.
        for error in _ERRORS:
            if error in reasons:
                return failures[error]
        return failures[reasons.pop() if len(reasons) == 1 else Reason.REQUIREMENT_FAILED]

    return check


def _not(inner: Check, failed: Failure) -> Check:
    def check(claims: Mapping[str, Any], request: Request, now: float) -> Failure | None:
        failure = inner(claims, request, now)
        if failure is None:
            return failed
        return failure if failure.reason in _ERRORS else None

    return check


def _claim(path: ClaimPath, test: Callable[[Any], bool], failed: Failure) -> Check:
    find = claim_at(path)

    def check(claims: Mapping[str, Any], _request: Request, _now: float) -> Failure | None:
        return None if test(find(claims)) else failed

    return check


def _scopes(path: ClaimPath | None, names: tuple[str, ...], every: bool, failed: Failure) -> Check:
    wanted = frozenset(names)
    find = claim_at(path or ("scope",))
    find_other = claim_at(("scp",)) if path is None else find

    def check(claims: Mapping[str, Any], _request: Request, _now: float) -> Failure | None:
        found = find(claims)
        if found is None:
            found = find_other(claims)
        if type(found) is str:
            # RFC 6749, section 3.3: space-delimited, case-sensitive.
            found = found.split(" ")
        elif type(found) is not list:
            return failed
        return None if _are_there(wanted, found, every) else failed

    return check


def _members(path: ClaimPath, names: tuple[str, ...], every: bool, failed: Failure) -> Check:
    wanted = frozenset(names)
    find = claim_at(path)

    def check(claims: Mapping[str, Any], _request: Request, _now: float) -> Failure | None:
        found = find(claims)
        if type(found) is str:  # some issuers write an array of one as its only item
            found = [found]
        elif type(found) is not list:
            return failed
        return None if _are_there(wanted, found, every) else failed

    return check


def _are_there(wanted: frozenset[str], found: list[Any], every: bool) -> bool:
    try:
        return wanted.issubset(found) if every else not wanted.isdisjoint(found)
    except TypeError:  # an object or an array among them cannot be looked up
        texts = [item for item in found if type(item) is str]
        return wanted.issubset(texts) if every else not wanted.isdisjoint(texts)


def _max_age(seconds: int, failed: Failure) -> Check:
    def check(claims: Mapping[str, Any], _request: Request, now: float) -> Failure | None:
        since = _auth_time(claims)
        return None if since is not None and now < since + seconds else failed

    return check


def _methods(checks: Mapping[str, Check], not_named: Failure) -> Check:
    if "GET" in checks:
        # RFC 9110, section 9.3.2: HEAD is GET without the content of the answer.
        checks = {"HEAD": checks["GET"], **checks}

    def check(claims: Mapping[str, Any], request: Request, now: float) -> Failure | None:
        case = checks.get(request.method)
        return not_named if case is None else case(claims, request, now)

    return check


def _expression(text: str, position: str) -> Check:
    evaluate = compile_expression(text)
    failed, broken = Failure(Reason.REQUIREMENT_FAILED, position), Failure(Reason.POLICY_ERROR, position)
    # Then it is the client that has to mend something, and nobody has to be woken for it.
    unreadable = Failure(Reason.HEADER_INVALID, position)

    def check(claims: Mapping[str, Any], request: Request, now: float) -> Failure | None:
        value = evaluate(claims, request, now)
        if value is True:
            return None
        if value is False:
            return failed
        return broken if request.is_text else unreadable

    return check


def _horizon(requirement: Requirement) -> Horizon | None:
    """When the requirement by itself may turn from met to not met or back; None: never."""
    match requirement:
        case MaxAge(_, seconds):
            return _authentication_end(seconds)
        case Expression(reads_now=True):
            # It sees whole seconds, so it says the same until the next one begins.
            return lambda _claims, now: floor(now) + 1
        case _:
            return None


def _authentication_end(seconds: int) -> Horizon:
    def end(claims: Mapping[str, Any], now: float) -> float:
        since = _auth_time(claims)
        return since + seconds if since is not None and since + seconds > now else float("inf")

    return end


def _auth_time(claims: Mapping[str, Any]) -> float | None:
    """`auth_time` (OpenID Connect Core, section 2), where it is a date; not every number fits a float."""
    value = claims.get("auth_time")
    if type(value) is float:
        return value
    return value if type(value) is int and 0 <= value < 1 << 53 else None
