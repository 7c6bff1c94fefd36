"""Runs that take turns: each row of a table once, then each once more, so that all see the same machine."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.load import Load, Tokens, run
from bench.processes import Usage, tree, usage_by_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.results import Saved
    from bench.systems import Running

CONNECTIONS: Final = 32

REPEATS: Final = 2  # of a sample that says nothing
_LEAST: Final = 0.25  # of its time, for a sample that ended because its tokens were used up


@dataclass(frozen=True, slots=True)
class Row:
    """A system, a path of it, and the tokens that are sent there.

    `warm`: seconds of the same load beforehand, in the first round; in later ones a second at most. `prepare` is
    called before each sample; `check` after it, with the time at which it began (seconds since the epoch) and what
    it came to, and says what was wrong with it, or nothing.
    """

    system: str
    label: str
    running: Running
    path: str
    tokens: Tokens
    warm: int = 0
    seconds: int | None = None
    prepare: Callable[[], None] | None = None
    check: Callable[[float, Load], str] | None = None

    @property
    def url(self) -> str:
        """Where its requests go."""
        return f"http://{self.running.address}{self.path}"


class BadSampleError(Exception):
    """A run whose figures say nothing, and why."""


def usage(pid: int) -> dict[int, Usage]:
    """What a process and all below it have used."""
    return usage_by_process(tree(pid))


def measure(
    rows: Sequence[Row],
    *,
    rounds: int,
    seconds: int,
    step: Callable[[str], None],
    saved: Saved | None = None,
    send: Callable[..., Load] = run,
    used_by: Callable[[int], dict[int, Usage]] = usage,
) -> list[dict[str, Any]]:
    """A dictionary for each row: `system`, `label`, `samples`, `repeated`.

    Each sample has `cpu`, microseconds a request, `parts` of it by kind of process, and wrk's own figures.
    `repeated` are the reasons why samples were taken once more. With `saved`, those that it has are not taken
    again, and each is saved as it comes. SystemExit if a sample still says nothing after having been repeated.
    """
    found: list[dict[str, Any]] = [
        {"system": row.system, "label": row.label, "samples": [], "repeated": []} for row in rows
    ]
    if saved:
        saved.restore(found)
    used: dict[tuple[str, str], int] = defaultdict(int)  # fresh tokens that a system has seen
    for number in range(rounds):
        for row, known in zip(rows, found, strict=True):
            if len(known["samples"]) > number:
                continue
            step(f"{row.system}: {row.label}")
            warm = row.warm if number == 0 else min(row.warm, 1)
            for attempt in range(1 + REPEATS):
                try:
                    known["samples"].append(_sample(row, used, seconds, warm, send, used_by))
                    break
                except BadSampleError as bad:
                    said = f"{row.system}: {row.label}, round {number + 1}: {bad}"
                    if attempt == REPEATS:
                        raise SystemExit(f"{said}; it was repeated {REPEATS} times") from None
                    known["repeated"].append(str(bad))
                    step(f"once more: {said}")
            if saved:
                saved.save(found)
    return found


def _sample(
    row: Row,
    used: dict[tuple[str, str], int],
    seconds: int,
    warm: int,
    send: Callable[..., Load],
    used_by: Callable[[int], dict[int, Usage]],
) -> dict[str, Any]:
    if row.prepare:
        row.prepare()
    if warm and not row.tokens.fresh:
        send(row.url, row.tokens, connections=CONNECTIONS, seconds=warm)
    place = (row.running.address, row.tokens.file.name)
    wanted = row.seconds or seconds
    begin = time.time()
    before = used_by(row.running.pid)
    load = send(row.url, row.tokens, connections=CONNECTIONS, seconds=wanted, offset=used[place])
    after = used_by(row.running.pid)
    if row.tokens.fresh:
        used[place] += load.taken
    if wrong := _wrong(row, load, wanted) or (row.check(begin, load) if row.check else ""):
        raise BadSampleError(wrong)
    # What a process that ended or began meanwhile has used would be missing.
    if before.keys() != after.keys():
        raise BadSampleError("the system's processes are not the same as before")
    return as_sample(load, [(before[pid], after[pid]) for pid in before])


def _wrong(row: Row, load: Load, seconds: int) -> str:
    """Why these figures say nothing, or nothing."""
    if load.failed or load.refused or not load.requests:
        return f"{load.failed} failed and {load.refused} refused of {load.requests} requests"
    if not (row.tokens.fresh or row.tokens.once):
        return ""
    if load.taken > row.tokens.distinct:
        return f"{load.taken} requests with {row.tokens.distinct} tokens, none of which should come twice"
    if load.seconds < _LEAST * seconds:
        return f"{row.tokens.distinct} tokens were used up after {load.seconds:.2f} s"
    return ""


def as_sample(load: Load, used: Sequence[tuple[Usage, Usage]]) -> dict[str, Any]:
    """wrk's figures, and CPU time in microseconds a request; `used`: each of the processes, before and after."""
    spent = sum(after.user + after.system - had.user - had.system for had, after in used)
    return {
        "cpu": spent / load.requests * 1e6,
        "rps": load.per_second,
        **dataclasses.asdict(load),
        "parts": _parts(used, load.requests),
    }


def _parts(used: Sequence[tuple[Usage, Usage]], requests: int) -> dict[str, dict[str, float]]:
    """By kind of process, for each request: microseconds in user and system mode, switches to another process."""
    parts: dict[str, dict[str, float]] = {}
    for had, after in used:
        kind = after.name.rstrip("0123456789-")
        part = parts.setdefault(kind, {"user": 0.0, "system": 0.0, "switches": 0.0})
        part["user"] += (after.user - had.user) / requests * 1e6
        part["system"] += (after.system - had.system) / requests * 1e6
        part["switches"] += (after.switches - had.switches) / requests
    return parts


def median(row: dict[str, Any], figure: str = "cpu") -> float:
    """The median of a figure over a row's samples."""
    return float(statistics.median(sample[figure] for sample in row["samples"]))


def find(rows: list[dict[str, Any]], system: str, label: str) -> dict[str, Any]:
    """The row of a system and a label. KeyError when it is not there."""
    for row in rows:
        if (row["system"], row["label"]) == (system, label):
            return row
    raise KeyError(f"{system}: {label}")
