"""A mistake in gateway.yaml, as a good compiler tells it: where, what, the line, what to write instead.

A `Problem` shows what is written in the file, never what an environment variable held.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

_WINDOW = 100  # columns of a source line that are shown; generated files have lines of any length


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value, without its place: what a parser of values returns instead of a value.

    `{field}` and `{value}` in the message stand for the key and for the value as the file has it.
    """

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, or one warning, and its place.

    `line` and `column` count from 1; line 0 means the file as a whole. `hint` may be empty.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source_line: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        prefix = "warning: " if self.severity == "warning" else ""
        lines = [f"{place}: {prefix}{self.message}"]
        if self.source_line.strip():
            lines += _excerpt(self.source_line, self.column)
        if self.hint:
            lines.append(f"help: {self.hint}")
        return "\n".join(lines)


def _excerpt(source_line: str, column: int) -> list[str]:
    """The part of the line around the column, and a caret below it."""
    # A tab is one column to YAML; anything that a terminal would act on is shown as one question mark.
    shown = "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in source_line)
    caret = column - 1
    start = max(0, caret - _WINDOW // 2) if len(shown) > _WINDOW else 0
    cut = shown[start : start + _WINDOW]
    before = "…" if start else ""
    after = "…" if start + _WINDOW < len(shown) else ""
    return [f"    {before}{cut}{after}", " " * (4 + len(before) + caret - start) + "^"]


def quoted(names: Iterable[str]) -> str:
    """Names as a person lists them: `"a", "b"`."""
    return ", ".join(f'"{name}"' for name in names)


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant; None if none is near."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    match = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[match[0]] if match else None


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint that names the nearest of the valid names, or all of them when none is near and they are few."""
    valid = list(names)
    if match := closest(name, valid):
        return f'did you mean "{match}"?'
    if not valid:
        return ""
    return f"there are: {quoted(valid[:20])}" + (" and more" if len(valid) > 20 else "")
