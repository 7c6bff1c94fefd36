"""A goal, and by how much it is met or missed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """`value` should be at most `bound` (or, `at_least`, no less). `unit` stands behind both numbers.

    Without a bound it is no goal, but stands beside one.
    """

    what: str
    value: float
    bound: float | None = None
    unit: str = "×"
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is met. What has no bound is."""
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def verdict(self) -> str:
        """Met or missed, and by how much.

        By how much of the bound, in per cent; for what is in per cent itself, or has 0 as its bound, by the
        difference.
        """
        if self.bound is None:
            return ""
        difference = abs(self.value - self.bound)
        word = "met" if self.met else "**missed**"
        if not difference:
            return word
        if self.unit == "%":
            return f"{word} by {_shortly(difference)} points"
        if not self.bound:
            return f"{word} by {_shortly(difference)} {self.unit}".strip()
        return f"{word} by {_shortly(difference / abs(self.bound) * 100)}%"

    def cells(self) -> tuple[str, str, str, str]:
        """What, goal, measured, verdict."""
        sign = "≥" if self.at_least else "≤"
        bound = "" if self.bound is None else f"{sign} {self._text(self.bound)}"
        return self.what, bound, self._text(self.value), self.verdict

    def _text(self, number: float) -> str:
        size = abs(number)
        digits = 0 if size >= 100 or number == int(number) else 1 if size >= 10 else 2 if size >= 0.1 else 3
        return f"{number:,.{digits}f} {self.unit}".strip()


def _shortly(number: float) -> str:
    if number < 0.1:
        return "less than 0.1"
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"
