"""`require:` → a tree of requirements. Every mistake in it, each at its place.

A mapping is all of its keys; a list is all of its items. What a key may be stands in one table, `_KEYS`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from jwtgate.config.claim_paths import claim_path
from jwtgate.config.headers import request_header
from jwtgate.config.operands import operand
from jwtgate.config.places import Place, WrongError, tell
from jwtgate.config.problems import Fault, nearest
from jwtgate.config.values import duration
from jwtgate.policy import (
    AcrValues,
    All,
    AnyOf,
    Claim,
    Expression,
    ExpressionError,
    MaxAge,
    Members,
    Methods,
    Not,
    Nothing,
    Operator,
    Scopes,
    check_expression,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jwtgate.config.document import Path
    from jwtgate.config.report import Report
    from jwtgate.policy import ClaimPath, Requirement
    from jwtgate.policy.requirement import Quantifier

# RFC 6749, section 3.3: scope-token.
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")
_METHOD: Final = re.compile(r"[A-Z][A-Z_-]{0,31}")  # what NGINX takes for a method
_OPERATORS: Final = tuple(operator.value for operator in Operator)
_MAX_AGE: Final = 366 * 86400

_Names = tuple[tuple[str, ...], "Quantifier"]


def compile_require(value: Any, path: Path, report: Report) -> Requirement | None:
    """The tree that stands at `path`; None when it is wrong, which is then reported."""
    return _read(Place(report.document, path, "", value), report)


def _read(place: Place, report: Report) -> Requirement | None:
    """What stands at a place: a mapping of requirements, or a list of such."""
    try:
        if isinstance(place.value, list):
            return _all(place, report)
        return _combined(place.position, [_guarded(read, at, report) for read, at in _keys(place)])
    except WrongError as error:
        tell(error, report)
        return None


def _guarded(
    read: Callable[[Place, Report], Requirement | None], place: Place, report: Report
) -> Requirement | None:
    """So that one mistake does not hide those beside it."""
    try:
        return read(place, report)
    except WrongError as error:
        tell(error, report)
        return None


def _keys(place: Place) -> Iterator[tuple[Callable[[Place, Report], Requirement | None], Place]]:
    value = place.value
    if not isinstance(value, dict):
        hint = "write {scopes: …}, {roles: {any: […]}}, {claim: …, equals: …}, or a list of such"
        raise place.wrong("a requirement must be a mapping or a list, not {value}", hint)
    if not value:
        hint = "write what the token must bring; without `require`, being valid is enough"
        raise place.wrong("this requirement is empty", hint)
    for key in value:
        if key == "claim":
            yield partial(_claim, place), place.at(key)
        elif key not in _OPERATORS:
            yield _KEYS.get(key, partial(_unknown, "claim" in value)), place.at(key)
        elif "claim" not in value:
            yield _no_claim, place.at(key)


def _unknown(beside_claim: bool, place: Place, _report: Report) -> None:
    noun, known = ("operator of a claim", _OPERATORS) if beside_claim else ("requirement", (*_KEYS, "claim"))
    raise place.wrong(f"unknown {noun} {place.key}", nearest(str(place.path[-1]), known), at_key=True)


def _no_claim(place: Place, _report: Report) -> None:
    message = f'{place.key} says how a claim compares, and there is no "claim" beside it'
    raise place.wrong(message, f"write {{claim: department, {place.path[-1]}: …}}", at_key=True)


def _all(place: Place, report: Report) -> Requirement | None:
    inner = _list(place, report)
    return None if inner is None else All(place.position, inner)


def _any(place: Place, report: Report) -> Requirement | None:
    inner = _list(place, report)
    return None if inner is None else AnyOf(place.position, inner)


def _list(place: Place, report: Report) -> tuple[Requirement, ...] | None:
    if not isinstance(place.value, list):
        hint = "write one requirement per line, each after a dash"
        raise place.wrong(f"{place.key} must be a list of requirements, not {{value}}", hint)
    if not place.value:
        raise place.wrong(f"{place.key} is empty", "name at least one requirement, or leave it out")
    return _whole([_read(place.item(index), report) for index in range(len(place.value))])


def _not(place: Place, report: Report) -> Requirement | None:
    inner = _read(place, report)
    return None if inner is None else Not(place.position, inner)


def _scopes(place: Place, _report: Report) -> Requirement:
    names, quantifier = _names(place)
    for name in names:
        if not _SCOPE.fullmatch(name):
            hint = "a scope is printable ASCII without spaces, quotes and backslashes (RFC 6749, section 3.3)"
            raise place.wrong(f'"{name}" cannot be a scope', hint)
    return Scopes(place.position, names, quantifier)


def _members(kind: Literal["roles", "groups"], place: Place, _report: Report) -> Requirement:
    names, quantifier = _names(place, "claim")
    where: ClaimPath | None = None
    if isinstance(place.value, dict) and "claim" in place.value:
        where = _claim_path(place.at("claim"), array=True)
    return Members(place.position, kind, names, quantifier, where)


def _names(place: Place, *more: str) -> _Names:
    """Names, and whether all or any of them: `a`, `[a]`, `{all: [a, b]}`, `{any: [a, b]}`."""
    value = place.value
    if isinstance(value, list) and len(value) > 1:
        hint = "write {all: […]} or {any: […]}"
        raise place.wrong(f"{place.key} is a list, which could mean all of them or any", hint)
    if not isinstance(value, dict):
        return place.texts(), "all"
    known = ("all", "any", *more)
    for key in value:
        if key not in known:
            raise place.at(key).wrong(f'unknown key "{key}" in {place.key}', nearest(key, known), at_key=True)
    match ("all" in value, "any" in value):
        case (True, False):
            return place.at("all").texts(), "all"
        case (False, True):
            return place.at("any").texts(), "any"
        case (both, _):
            message = f'{place.key} has {"both" if both else "neither"} "all" {"and" if both else "nor"} "any"'
            hint = "write {any: [a, b]} if one of them is enough, else {all: [a, b]}"
            raise place.wrong(message, hint, at_key=True)


def _claim(around: Place, place: Place, report: Report) -> Requirement | None:
    """A claim and the operators beside it in `around`."""
    where = _claim_path(place)
    operators = [Operator(key) for key in around.value if key in _OPERATORS]
    if not operators and all(key == "claim" or key in _KEYS for key in around.value):
        hint = f"write one of {', '.join(_OPERATORS)} beside it"
        raise place.wrong("nothing says how the claim compares", hint, at_key=True)

    def read(operator: Operator, at: Place, _report: Report) -> Requirement:
        return Claim(f"{place.position}.{operator}", where, operator, operand(operator, at))

    found = [_guarded(partial(read, operator), around.at(operator), report) for operator in operators]
    return _combined(place.position, found)


def _claim_path(place: Place, *, array: bool = False) -> ClaimPath:
    found = claim_path(place.value, array=array)
    if isinstance(found, Fault):
        raise place.faulty(found)
    return found


def _acr_values(place: Place, _report: Report) -> Requirement:
    return AcrValues(place.position, place.texts())


def _max_age(place: Place, _report: Report) -> Requirement:
    seconds = duration(place.value)
    if isinstance(seconds, Fault):
        raise place.faulty(seconds)
    if not 1 <= seconds <= _MAX_AGE:
        raise place.wrong(f"{place.key} must be from 1 second to 366 days, not {{value}}", "write 15m")
    return MaxAge(place.position, seconds)


def _methods(place: Place, report: Report) -> Requirement | None:
    if not isinstance(place.value, dict) or not place.value:
        hint = "write {GET: true, POST: {roles: editor}}"
        raise place.wrong(f"{place.key} must be a mapping of methods, not {{value}}", hint)
    cases = {method: _guarded(_method, place.at(method), report) for method in place.value}
    whole = tuple((method, each) for method, each in cases.items() if each is not None)
    return Methods(place.position, whole) if len(whole) == len(cases) else None


def _method(place: Place, report: Report) -> Requirement | None:
    if not _METHOD.fullmatch(str(place.path[-1])):
        raise place.wrong(
            f"{place.key} cannot be a method", "methods are written in capitals: GET, POST", at_key=True
        )
    if place.value is True:
        return Nothing(place.position)
    if place.value in (False, None):
        hint = "write true if the token is enough, or what else this method needs; leave it out to deny it"
        raise place.wrong(f"{place.path[-1]} must be a requirement or true, not {{value}}", hint)
    return _read(place, report)


def _cel(place: Place, _report: Report) -> Requirement:
    if not isinstance(place.value, str) or not place.value.strip():
        raise place.wrong(
            f"{place.key} must be an expression, not {{value}}", 'put it in quotes: "claims.level > 3"'
        )
    try:
        reads = check_expression(place.value)
    except ExpressionError as error:
        where = f" (line {error.line}, column {error.column} of the expression)" if error.line else ""
        message = f"this expression is refused: {error}{where}"
        raise place.wrong(message, _CEL, inside=(error.line, error.column)) from None
    for header in reads.inputs.headers:
        if (fault := request_header(header)) is not None:
            raise place.wrong(fault.message, fault.hint)
    return Expression(place.position, place.value, reads.inputs, reads.now)


_CEL: Final = "it may read claims, request.method, request.path, request.host, request.headers['x-name'] and now"

_KEYS: Final[dict[str, Callable[[Place, Report], Requirement | None]]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    "scopes": _scopes,
    "roles": partial(_members, "roles"),
    "groups": partial(_members, "groups"),
    "acr_values": _acr_values,
    "max_age": _max_age,
    "methods": _methods,
    "cel": _cel,
}


def _whole(found: list[Requirement | None]) -> tuple[Requirement, ...] | None:
    whole = tuple(each for each in found if each is not None)
    return whole if len(whole) == len(found) else None


def _combined(position: str, found: list[Requirement | None]) -> Requirement | None:
    """All of these as one; None when one of them is wrong."""
    inner = _whole(found)
    if not inner:
        return None
    return inner[0] if len(inner) == 1 else All(position, inner)
