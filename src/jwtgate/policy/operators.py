"""How a claim is compared with what a policy wants: one table.

Nothing is converted: a number is never equal to a text, nor `true` to 1. A claim of another type than the
operator is about does not meet it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any, Final, Literal

import re2  # type: ignore[import-untyped]  # it ships no types

if TYPE_CHECKING:
    from collections.abc import Callable

Operand = Literal["scalar", "scalars", "text", "pattern", "number", "flag"]


@unique
class Operator(StrEnum):
    """The operators, by their names in gateway.yaml."""

    EQUALS = "equals"
    ONE_OF = "one_of"
    CONTAINS = "contains"
    PREFIX = "prefix"
    MATCHES = "matches"
    GREATER_THAN = "greater_than"
    AT_LEAST = "at_least"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an operator takes, and the test that it makes of that."""

    operand: Operand
    test: Callable[[Any], Callable[[Any], bool]]
    words: str  # between the claim's name and the operand, for people


# Words of RE2's that say nothing to who wrote the pattern.
_SAID: Final = dict.fromkeys(
    ("failed to compile Set", "no memory left", "pattern too large - compile failed"),
    "it is too large: fewer or shorter repetitions, or a smaller class of characters",
)


def check_pattern(pattern: str) -> None:
    """Raises ValueError, with RE2's words, when RE2 refuses the pattern.

    RE2 needs time linear in the text, whatever the pattern, and no more memory than it takes for the first text:
    one for which that is too little is refused here, and none fails later.
    """
    try:
        re2.compile(pattern, _options())
        _full_match(pattern)("")
    except re2.error as error:
        words = error.args[0]
        said = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
        raise ValueError(_SAID.get(said, said)) from None


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def _full_match(pattern: str) -> Callable[[str], bool]:
    """Whether the whole text matches. As a set of RE2, which makes no match object and takes a sixth of the time.

    A set says nothing both when it does not match and when it has no memory left; the second pattern, which
    matches everything, tells the one from the other.
    """
    patterns = re2.Set.FullMatchSet(_options())
    patterns.Add(pattern)
    patterns.Add("(?s).*")
    patterns.Compile()
    find: Callable[[str], list[int] | None] = patterns.Match

    def match(text: str) -> bool:
        found = find(text)
        if found is None:
            raise re2.error("no memory left")
        return found[0] == 0

    return match


def _equals(wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, bool):
        return lambda claim: claim is wanted
    if isinstance(wanted, str):
        return lambda claim: bool(claim == wanted)  # no other JSON value equals a text
    return lambda claim: _is_number(claim) and claim == wanted


def _one_of(wanted: tuple[Any, ...]) -> Callable[[Any], bool]:
    if all(isinstance(value, str) for value in wanted):
        texts = frozenset(wanted)
        return lambda claim: type(claim) is str and claim in texts
    tests = tuple(map(_equals, wanted))
    return lambda claim: any(test(claim) for test in tests)


def _contains(wanted: Any) -> Callable[[Any], bool]:
    if isinstance(wanted, str):
        return lambda claim: type(claim) is list and wanted in claim
    test = _equals(wanted)
    return lambda claim: type(claim) is list and any(map(test, claim))


def _prefix(wanted: str) -> Callable[[Any], bool]:
    return lambda claim: type(claim) is str and claim.startswith(wanted)


def _matches(pattern: str) -> Callable[[Any], bool]:
    match = _full_match(pattern)
    return lambda claim: type(claim) is str and match(claim)


def _present(wanted: bool) -> Callable[[Any], bool]:
    return (lambda claim: claim is not None) if wanted else (lambda claim: claim is None)


def _is_number(claim: Any) -> bool:
    return type(claim) is int or type(claim) is float


OPERATORS: Final[dict[Operator, Meaning]] = {
    Operator.EQUALS: Meaning("scalar", _equals, "is"),
    Operator.ONE_OF: Meaning("scalars", _one_of, "is one of"),
    Operator.CONTAINS: Meaning("scalar", _contains, "contains"),
    Operator.PREFIX: Meaning("text", _prefix, "begins with"),
    Operator.MATCHES: Meaning("pattern", _matches, "matches"),
    Operator.GREATER_THAN: Meaning(
        "number", lambda least: lambda claim: _is_number(claim) and claim > least, "is greater than"
    ),
    Operator.AT_LEAST: Meaning(
        "number", lambda least: lambda claim: _is_number(claim) and claim >= least, "is at least"
    ),
    Operator.LESS_THAN: Meaning(
        "number", lambda most: lambda claim: _is_number(claim) and claim < most, "is less than"
    ),
    Operator.AT_MOST: Meaning(
        "number", lambda most: lambda claim: _is_number(claim) and claim <= most, "is at most"
    ),
    Operator.PRESENT: Meaning("flag", _present, "is present"),
}
