"""Tables in Markdown."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench.systems import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """The first `left` columns are text, the others numbers."""
    lines = ["| " + " | ".join(columns) + " |"]
    lines.append("|" + "".join(" --- |" if number < left else " ---: |" for number in range(len(columns))))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, in brackets the least and the most."""
    middle, least, most = statistics.median(values), min(values), max(values)
    if len(values) == 1:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"


LOAD_COLUMNS = ("CPU µs a request", "requests/s", "p50 ms", "p99 ms", "p99.9 ms")


def load_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """The figures of one row of `interleaved.measure`, for LOAD_COLUMNS."""

    def milliseconds(figure: str) -> str:
        return f"{statistics.median(sample[figure] for sample in row['samples']) / 1000:.1f}"

    return (
        spread([sample["cpu"] for sample in row["samples"]]),
        f"{statistics.median(sample['rps'] for sample in row['samples']):,.0f}",
        *map(milliseconds, ("p50", "p99", "p999")),
    )


def title(system: str) -> str:
    """A system's name for people."""
    return TITLES.get(system, system)
