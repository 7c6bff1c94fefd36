"""Memory of the whole gateway as ever more distinct tokens come."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench.goals import Goal
from bench.interleaved import CONNECTIONS
from bench.load import Tokens, run
from bench.markdown import table
from bench.processes import memory_bytes, tree
from bench.scenarios.known import decision_files
from bench.systems import jwtgate

if TYPE_CHECKING:
    from bench.workbench import Bench

TITLE = "Memory"

_PARTS = ("nginx", "validator", "other", "files")
STEPS = (0, 25_000, 50_000, 100_000, 150_000, 200_000)


def measure(bench: Bench) -> list[dict[str, float]]:
    """For each step: tokens so far, bytes of NGINX, validator, supervisor, of the decision cache's files."""
    tokens = bench.fresh("ES256", STEPS[-1], 0)
    setting = bench.setting(staleness=10)
    directory = setting.directory("memory")
    found: list[dict[str, float]] = []
    with jwtgate.serve(jwtgate.configuration(setting, top=""), directory) as gateway:
        files = decision_files(directory)
        sent = 0
        for step in STEPS:
            bench.step(f"{step:,} tokens")
            if sent < step:
                sent += _send(gateway.address, _each_twice(tokens, sent, step, bench.work))
            found.append({"tokens": sent, **_parts(tree(gateway.pid)), "files": _bytes(files)})
    return found


def _each_twice(tokens: Tokens, begin: int, end: int, work: Path) -> Tokens:
    """The tokens from one place to another; the decision about each is kept when it comes again."""
    order = work / "twice.txt"
    order.write_text("".join(f"{line}\n{line}\n" for line in range(1, end - begin + 1)))
    return Tokens(tokens.file, end - begin, order=order, first=begin, once=True)


def _send(address: str, tokens: Tokens) -> int:
    """Send all of them; how many there were."""
    load = run(f"http://{address}/es256/", tokens, connections=CONNECTIONS, seconds=120)
    if load.failed or load.refused:
        raise SystemExit(f"some tokens were refused: {load}")
    return load.requests // 2


def _bytes(directory: Path) -> int:
    """What the files in a directory take."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # NGINX has just removed it
                total += Path(place, name).stat().st_blocks * 512
    return total


def _parts(pids: set[int]) -> dict[str, float]:
    """Bytes by kind of process."""
    parts: dict[str, float] = {"nginx": 0, "validator": 0, "other": 0}
    for pid in pids:
        name = _name(pid)
        kind = "nginx" if name.startswith("nginx") else "validator" if name.startswith("validator") else "other"
        parts[kind] += memory_bytes({pid})
    return parts


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def goals(data: list[dict[str, float]]) -> list[Goal]:
    """Flat after the limits: the second 100,000 tokens take next to nothing."""
    half, whole = data[STEPS.index(100_000)], data[STEPS.index(200_000)]
    return [
        Goal(
            f"memory: growth from {half['tokens']:,.0f} to {whole['tokens']:,.0f} distinct tokens",
            (_total(whole) / _total(half) - 1) * 100,
            10,
            "%",
        )
    ]


def markdown(data: list[dict[str, float]]) -> str:
    """A table."""
    return "\n\n".join(
        [
            "Proportional share of memory (Pss) of the processes, and what the decision cache's files take (in "
            "memory too, on tmpfs), after so many distinct ES256 tokens, each sent twice. One run, one validator, "
            "defaults: verified tokens take 64 MiB at most in each validator, the files 64 MiB (`max_size`).",
            table(
                ("tokens", "NGINX MB", "validator MB", "supervisor and control MB", "files MB", "all MB"),
                [
                    (
                        f"{row['tokens']:,.0f}",
                        *(f"{row[part] / 1e6:,.0f}" for part in _PARTS),
                        f"{_total(row) / 1e6:,.0f}",
                    )
                    for row in data
                ],
            ),
        ]
    )


def _total(row: dict[str, float]) -> float:
    return sum(row[part] for part in _PARTS)
