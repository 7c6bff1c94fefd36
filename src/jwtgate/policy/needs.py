"""What a client should ask its authorization server for, so that a requirement is met: for challenges.

Of alternatives the first that a scope or an authentication could meet is named; what only the token's subject can
change (roles, claims, expressions) is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final

from jwtgate.policy.requirement import AcrValues, All, AnyOf, MaxAge, Methods, Requirement, Scopes, walk

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Needs:
    """`scopes` for RFC 6750, section 3; `acr_values` and `max_age` (seconds) for RFC 9470, section 3."""

    scopes: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None

    def __and__(self, other: Needs) -> Needs:
        ages = [age for age in (self.max_age, other.max_age) if age is not None]
        return Needs(
            tuple(dict.fromkeys((*self.scopes, *other.scopes))),
            self.acr_values or other.acr_values,
            min(ages, default=None),
        )

    def __bool__(self) -> bool:
        return self != NOTHING


NOTHING: Final = Needs()


def needs_by_method(requirement: Requirement | None) -> tuple[tuple[str | None, Needs], ...]:
    """What each method needs; None: every method that is not named."""
    if requirement is None:
        return ((None, NOTHING),)
    parts = requirement.requirements if isinstance(requirement, All) else (requirement,)
    common = _together(map(_needs, parts))
    cases = [case for part in parts if isinstance(part, Methods) for case in part.cases]
    return ((None, common), *((method, common & _needs(case)) for method, case in cases))


def scopes_of(requirement: Requirement | None) -> tuple[str, ...]:
    """Every scope that is named anywhere."""
    if requirement is None:
        return ()
    names = [name for each in walk(requirement) if isinstance(each, Scopes) for name in each.names]
    return tuple(dict.fromkeys(names))


def _needs(requirement: Requirement) -> Needs:
    match requirement:
        case All(_, inner):
            return _together(map(_needs, inner))
        case AnyOf(_, inner):
            return next(filter(None, map(_needs, inner)), NOTHING)
        case Scopes(_, names, quantifier):
            return Needs(names if quantifier == "all" else names[:1])
        case AcrValues(_, values):
            return Needs(acr_values=values)
        case MaxAge(_, seconds):
            return Needs(max_age=seconds)
        case _:
            return NOTHING


def _together(needs: Iterable[Needs]) -> Needs:
    return reduce(lambda left, right: left & right, needs, NOTHING)
