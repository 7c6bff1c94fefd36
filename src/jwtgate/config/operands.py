"""What stands after an operator of a claim: `equals: sales`, `at_least: 3`."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from jwtgate.policy import OPERATORS, Operator
from jwtgate.policy.operators import check_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwtgate.config.places import Place
    from jwtgate.policy.operators import Operand


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str) or _is_finite(value)


def _is_finite(value: Any) -> bool:
    """No NaN or Infinity: JSON has none (RFC 8259, section 6), and nothing is less, more or equal to NaN."""
    return isinstance(value, int) or (isinstance(value, float) and isfinite(value))


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of operand: how it is recognised, what a person calls it, what to write."""

    fits: Callable[[Any], bool]
    noun: str
    hint: str


_KINDS: Final[dict[Operand, _Kind]] = {
    "scalar": _Kind(
        _is_scalar,
        "text, a number, true or false",
        "write one value; for a claim that is absent or null write present: false",
    ),
    "scalars": _Kind(
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_scalar, value)),
        "a list of texts or numbers",
        "write [a, b]",
    ),
    "text": _Kind(
        lambda value: isinstance(value, str) and bool(value), "text that is not empty", 'put it in quotes: "…"'
    ),
    "pattern": _Kind(
        lambda value: isinstance(value, str) and bool(value), "a regular expression", 'put it in quotes: "…"'
    ),
    "number": _Kind(
        lambda value: _is_finite(value) and not isinstance(value, bool),
        "a number",
        "write digits, without quotes",
    ),
    "flag": _Kind(lambda value: isinstance(value, bool), "true or false", "write true or false, without quotes"),
}


def operand(operator: Operator, place: Place) -> Any:
    """The operand that stands at a place. Raises WrongError."""
    kind = _KINDS[OPERATORS[operator].operand]
    value = place.value
    if not kind.fits(value) or (value == "" and place.document.is_hole(place.path)):
        raise place.wrong(f"{place.key} must be {kind.noun}, not {{value}}", kind.hint)
    if operator is Operator.MATCHES:
        try:
            check_pattern(value)
        except ValueError as error:
            hint = "RE2 knows no look-around and no back-references; the whole claim has to match"
            raise place.wrong(f"RE2 refuses this regular expression: {error}", hint) from None
    return tuple(value) if isinstance(value, list) else value
