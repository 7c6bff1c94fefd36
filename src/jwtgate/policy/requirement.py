"""The tree of requirements: frozen, comparable, without functions. A closed union; who handles it handles all.

Each node knows its position, which is its place below `require:` in gateway.yaml: `all[1].roles`. Failures,
`explain` and coverage name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Literal, assert_never

from jwtgate.policy.request import NO_INPUTS, Inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.policy.claims import ClaimPath
    from jwtgate.policy.operators import Operator

Scalar = str | int | float | bool
Quantifier = Literal["all", "any"]


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these, in their order."""

    position: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these."""

    position: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this. What cannot be evaluated is not "not so"."""

    position: str
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing: the policy's token is enough."""

    position: str


@dataclass(frozen=True, slots=True)
class Scopes:
    """All or any of these scopes (RFC 6749, section 3.3)."""

    position: str
    names: tuple[str, ...]
    quantifier: Quantifier


@dataclass(frozen=True, slots=True)
class Members:
    """All or any of these roles or groups, at `path`; None: where the issuer's tokens have them."""

    position: str
    kind: Literal["roles", "groups"]
    names: tuple[str, ...]
    quantifier: Quantifier
    path: ClaimPath | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that compares in this way with this value."""

    position: str
    path: ClaimPath
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class AcrValues:
    """An authentication of one of these classes: `acr` (RFC 9470, section 3)."""

    position: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MaxAge:
    """An authentication not longer ago than these seconds: `auth_time` (RFC 9470, section 3)."""

    position: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Methods:
    """What each method needs. One that is not named is denied; HEAD counts as GET, unless it is named itself."""

    position: str
    cases: tuple[tuple[str, Requirement], ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """A CEL expression that is true. `inputs` and `reads_now` are what its checked form reads."""

    position: str
    text: str
    inputs: Inputs = NO_INPUTS
    reads_now: bool = False


Requirement = All | AnyOf | Not | Nothing | Scopes | Members | Claim | AcrValues | MaxAge | Methods | Expression


def parts(requirement: Requirement) -> tuple[Requirement, ...]:
    """The requirements that this one is made of; none for a leaf."""
    match requirement:
        case All(_, inner) | AnyOf(_, inner):
            return inner
        case Not(_, one):
            return (one,)
        case Methods(_, cases):
            return tuple(each for _, each in cases)
        case Nothing() | Scopes() | Members() | Claim() | AcrValues() | MaxAge() | Expression():
            return ()
        case other:
            assert_never(other)


def walk(requirement: Requirement) -> Iterator[Requirement]:
    """The requirement and all that it is made of, outermost first, in the order of the file."""
    yield requirement
    for part in parts(requirement):
        yield from walk(part)


def inputs_of(requirement: Requirement | None) -> Inputs:
    """What it reads of the request."""
    if requirement is None:
        return NO_INPUTS
    return reduce(or_, map(_own_inputs, walk(requirement)), NO_INPUTS)


def _own_inputs(requirement: Requirement) -> Inputs:
    match requirement:
        case Methods():
            return Inputs(method=True)
        case Expression(inputs=inputs):
            return inputs
        case _:
            return NO_INPUTS
