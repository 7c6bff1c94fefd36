"""Requirements in words, for `explain`, `test` and `diff`: what each asks for, and what a token has there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from jwtgate.policy.claims import ClaimNames, ClaimPath, claim_at, shown_path
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
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.policy.request import Request

_SHOWN = 120  # characters of a claim's value that a line can hold


def describe(requirement: Requirement | None) -> str:  # noqa: C901 - one line for each kind
    """What it asks for, in one sentence: `scope a, and role b or role c`."""
    match requirement:
        case None | Nothing():
            return "nothing beside the token"
        case All(_, inner):
            return ", and ".join(map(_part, inner))
        case AnyOf(_, inner):
            return " or ".join(map(_part, inner))
        case Not(_, one):
            return f"not {_part(one)}"
        case Scopes(_, names, quantifier):
            return _names("scope", names, quantifier)
        case Members(_, kind, names, quantifier, path):
            where = f" in {shown_path(path)}" if path else ""
            return _names(kind.removesuffix("s"), names, quantifier) + where
        case Claim(_, path, operator, value):
            shown = "" if operator == "present" else f" {_value(value)}"
            return f"{shown_path(path)} {str(operator).replace('_', ' ')}{shown}"
        case AcrValues(_, values):
            return f"acr {' or '.join(values)}"
        case MaxAge(_, seconds):
            return f"an authentication in the last {seconds} s"
        case Methods(_, cases):
            return "; ".join(f"for {method} {describe(each)}" for method, each in cases)
        case Expression(_, text):
            return f"cel {' '.join(text.split())}"
        case other:
            assert_never(other)


def title(requirement: Requirement) -> str:
    """What it asks for, without what it is made of."""
    match requirement:
        case All():
            return "all of these"
        case AnyOf():
            return "one of these"
        case Not():
            return "not this"
        case Methods(_, cases):
            return f"as the method needs: {', '.join(method for method, _ in cases)}"
        case _:
            return describe(requirement)


def found(requirement: Requirement, claims: Mapping[str, Any], request: Request, names: ClaimNames) -> str | None:
    """What the token or the request has where the requirement looks; None for one that looks nowhere itself."""
    match requirement:
        case Scopes():
            paths: tuple[ClaimPath, ...] = (names.scopes,) if names.scopes else (("scope",), ("scp",))
        case Members(_, kind, path=own):
            paths = (own or (names.roles if kind == "roles" else names.groups),)
        case Claim(_, path):
            paths = (path,)
        case AcrValues():
            paths = (("acr",),)
        case MaxAge():
            paths = (("auth_time",),)
        case Methods():
            return f"method {request.method or 'unknown'}"
        case _:
            return None
    there = [(path, claim_at(path)(claims)) for path in paths]
    has = [f"{shown_path(path)} is {_value(value)}" for path, value in there if value is not None]
    return ", ".join(has) or f"no {' or '.join(shown_path(path) for path in paths)}"


def _part(requirement: Requirement) -> str:
    text = describe(requirement)
    return f"({text})" if isinstance(requirement, All | AnyOf | Methods) else text


def _names(noun: str, names: tuple[str, ...], quantifier: str) -> str:
    if len(names) == 1:
        return f"{noun} {names[0]}"
    return f"{'all' if quantifier == 'all' else 'one'} of the {noun}s {', '.join(names)}"


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
