"""Runs that take turns: each row of a table once, then each once more, so that all see the same machine."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.load import Load, Tokens, run
from bench.processes import tree, usage_by_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.processes import Usage
    from bench.systems import Running

CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Row:
    """A system, a path of it, and the tokens that are sent there.

    `warm`: seconds of the same load beforehand, in the first round; in later ones a second, or none if not
    `warm_again`.
    """

    system: str
    label: str
    running: Running
    path: str
    tokens: Tokens
    warm: int = 0
    warm_again: bool = True
    seconds: int | None = None


def measure(
    rows: Sequence[Row], *, rounds: int, seconds: int, step: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A dictionary for each row: `system`, `label`, `samples`; each sample has `cpu`, microseconds a request, and
    wrk's own figures.
    """
    samples: list[list[dict[str, Any]]] = [[] for _ in rows]
    used: dict[tuple[str, str], int] = defaultdict(int)  # fresh tokens that a system has seen
    for number in range(rounds):
        for row, taken in zip(rows, samples, strict=True):
            step(f"{row.system}: {row.label}")
            taken.append(_sample(row, used, seconds, first=number == 0))
    return [
        {"system": row.system, "label": row.label, "samples": taken}
        for row, taken in zip(rows, samples, strict=True)
    ]


def _sample(row: Row, used: dict[tuple[str, str], int], seconds: int, *, first: bool) -> dict[str, Any]:
    url = f"http://{row.running.address}{row.path}"
    place = (row.running.address, row.tokens.file.name)
    warm = row.warm if first else min(row.warm, int(row.warm_again))
    if warm and not row.tokens.fresh:
        run(url, row.tokens, connections=CONNECTIONS, seconds=warm)
    processes = tree(row.running.pid)
    before = usage_by_process(processes)
    load = run(url, row.tokens, connections=CONNECTIONS, seconds=row.seconds or seconds, offset=used[place])
    used_up = [(before[pid], after) for pid, after in usage_by_process(processes).items() if pid in before]
    spent = sum(after.user + after.system - had.user - had.system for had, after in used_up)
    if load.failed or load.refused or not load.requests:
        raise SystemExit(f"{row.system}, {row.label}: {load}: these figures say nothing")
    if row.tokens.fresh:
        used[place] += load.requests + 2 * CONNECTIONS
        if load.requests > row.tokens.distinct:
            raise SystemExit(f"{row.system}, {row.label}: too few tokens for {load.requests} requests")
    return {**as_sample(load, spent), "parts": _parts(used_up, load.requests)}


def _parts(used_up: Sequence[tuple[Usage, Usage]], requests: int) -> dict[str, dict[str, float]]:
    """By kind of process, for each request: microseconds in user and system mode, switches to another process."""
    parts: dict[str, dict[str, float]] = {}
    for had, after in used_up:
        kind = after.name.rstrip("0123456789-")
        part = parts.setdefault(kind, {"user": 0.0, "system": 0.0, "switches": 0.0})
        part["user"] += (after.user - had.user) / requests * 1e6
        part["system"] += (after.system - had.system) / requests * 1e6
        part["switches"] += (after.switches - had.switches) / requests
    return parts


def as_sample(load: Load, cpu_seconds_spent: float) -> dict[str, Any]:
    """wrk's figures and the gateway's CPU time, in microseconds a request."""
    return {"cpu": cpu_seconds_spent / load.requests * 1e6, "rps": load.per_second, **dataclasses.asdict(load)}


def median(row: dict[str, Any], figure: str = "cpu") -> float:
    """The median of a figure over a row's samples."""
    return float(statistics.median(sample[figure] for sample in row["samples"]))


def find(rows: list[dict[str, Any]], system: str, label: str) -> dict[str, Any]:
    """The row of a system and a label. KeyError when it is not there."""
    for row in rows:
        if (row["system"], row["label"]) == (system, label):
            return row
    raise KeyError(f"{system}: {label}")
