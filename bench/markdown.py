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

_ENOUGH = 10_000  # requests of a run, so that there are ten beyond p99.9


def load_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """The figures of one row of `interleaved.measure`, for LOAD_COLUMNS."""
    samples = row["samples"]

    def milliseconds(figure: str) -> str:
        return f"{statistics.median(sample[figure] for sample in samples) / 1000:.1f}"

    return (
        spread([sample["cpu"] for sample in samples]),
        f"{statistics.median(sample['rps'] for sample in samples):,.0f}",
        milliseconds("p50"),
        milliseconds("p99"),
        milliseconds("p999") if min(sample["requests"] for sample in samples) >= _ENOUGH else "",
    )


def repeats(rows: list[dict[str, Any]]) -> str:
    """Which samples of `interleaved.measure` were taken once more, and why."""
    found = [f"{title(row['system'])}, {row['label']}: {why}" for row in rows for why in row["repeated"]]
    return "Runs that were repeated: " + ("; ".join(found) or "none") + "."


def title(system: str) -> str:
    """A system's name for people."""
    return TITLES.get(system, system)
