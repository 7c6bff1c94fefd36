"""How the fetches from one place went."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from jwtgate.jwks import report


@dataclass(slots=True)
class Asked:
    """How the fetches went: how many this process made, and the last fault, ours or another worker's.

    `asked_at`: when the last fetch that has ended began, ours or another worker's (the steady clock); `whole_at`:
    that of the last one that a person asked for. `error`: how the last one ended, None if that was good.
    `last_error_at` is wall-clock seconds, when it last happened.
    """

    fetches: int = 0
    failures: int = 0
    asked_at: float = -inf
    whole_at: float = -inf
    error: str | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    outage: report.Outage = field(default_factory=report.Outage)

    def ended(self, began: float, *, whole: bool) -> None:
        """A fetch of ours has ended, well or not."""
        self.asked_at = began
        if whole:
            self.whole_at = began
        elif self.error is not None:
            self.whole_at = -inf  # the error may have been its own, which is told no longer

    def heard(self, error: str | None, at: float) -> None:
        """How the last fetch ended, ours or another worker's, and when."""
        if error is not None:
            self.last_error, self.last_error_at = error, at
        self.error = error
        if error is None:
            self.outage.ends()
