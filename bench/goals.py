"""A goal, and by how much it is met or missed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """`value` should be at most `bound` (or, `at_least`, no less). `unit` stands behind both numbers."""

    what: str
    value: float
    bound: float
    unit: str = "×"
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def verdict(self) -> str:
        """Met or missed, and by how much of the bound."""
        word = "met" if self.met else "**missed**"
        if not self.bound:
            return word
        return f"{word} by {abs(self.value / self.bound - 1):.0%}"

    def cells(self) -> tuple[str, str, str, str]:
        """What, goal, measured, verdict."""
        sign = "≥" if self.at_least else "≤"
        return self.what, f"{sign} {self._text(self.bound)}", self._text(self.value), self.verdict

    def _text(self, number: float) -> str:
        digits = 0 if abs(number) >= 100 or number == int(number) else 1 if abs(number) >= 10 else 2
        return f"{number:,.{digits}f} {self.unit}".strip()
