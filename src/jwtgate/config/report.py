"""Where the compiler puts what it finds: problems, which stop the load, and warnings, which do not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jwtgate.config.problems import Fault, Problem

if TYPE_CHECKING:
    from jwtgate.config.document import Document, Path


@dataclass(frozen=True, slots=True)
class Report:
    """Collects problems and warnings, each with its place in the document."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def error(
        self,
        path: Path,
        message: str,
        hint: str = "",
        *,
        at_key: bool = False,
        inside: tuple[int, int] = (0, 0),
    ) -> None:
        """Something that must be changed. `inside`: line and column within the text of the value, from 1."""
        self.problems.append(self.document.problem(path, Fault(message, hint), at_key=at_key, inside=inside))

    def error_beside_a_secret(self, path: Path, message: str, hint: str = "") -> None:
        """Like `error`, without the line of the file, on which a secret stands."""
        self.problems.append(replace(self.document.problem(path, Fault(message, hint)), source_line=""))

    def warn(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Something that works, and that a person should know."""
        self.warnings.append(self.document.problem(path, Fault(message, hint), at_key=at_key, warning=True))

    def warn_beside_a_secret(self, path: Path, message: str, hint: str = "") -> None:
        """Like `warn`, without the line of the file, on which a secret stands."""
        found = self.document.problem(path, Fault(message, hint), warning=True)
        self.warnings.append(replace(found, source_line=""))

    def shown(self, path: Path, value: str) -> str:
        """A text as a message shows it: as the file has it, where a variable stands in it."""
        written = self.document.written(path)
        return f'"{value if written is None else written}"'


def in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """Problems in the order of the file, each once."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: (problem.line, problem.column)))
