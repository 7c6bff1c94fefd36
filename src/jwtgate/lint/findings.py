"""What a rule has to say about a line of somebody's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jwtgate.lint.effective import Directive

# error: somebody gets through who should not, or can. warning: it depends on the service, or on a fault.
# note: true, and often meant so.
Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that deserves a look: where, what it does, what to write instead."""

    rule: str
    level: Level
    file: str
    line: int
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.message} [{self.rule}]\n    help: {self.hint}"


def at(directive: Directive, rule: str, level: Level, message: str, hint: str) -> Finding:
    """A finding about this directive."""
    return Finding(rule, level, directive.file, directive.line, message, hint)
