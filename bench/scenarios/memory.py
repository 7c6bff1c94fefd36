"""Memory of the whole gateway as ever more distinct tokens come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.goals import Goal
from bench.interleaved import CONNECTIONS
from bench.load import run
from bench.markdown import table
from bench.processes import memory_bytes, tree
from bench.systems import jwtgate

if TYPE_CHECKING:
    from bench.load import Tokens
    from bench.workbench import Bench

TITLE = "Memory"

STEPS = (0, 25_000, 50_000, 100_000, 150_000, 200_000)


def measure(bench: Bench) -> list[dict[str, float]]:
    """For each step: tokens so far, bytes of NGINX, of the validator, of the decision cache's files."""
    tokens = bench.fresh("ES256", STEPS[-1] + 60_000, 1)
    setting = bench.setting(staleness=10)
    found: list[dict[str, float]] = []
    with jwtgate.serve(jwtgate.configuration(setting, top=""), setting.directory("memory")) as gateway:
        sent = 0
        for step in STEPS:
            while sent < step:
                bench.step(f"{sent:,} tokens")
                sent += _send(gateway.address, tokens, sent)
            found.append({"tokens": sent, **_parts(tree(gateway.pid))})
    return found


def _send(address: str, tokens: Tokens, offset: int) -> int:
    load = run(f"http://{address}/es256/", tokens, connections=CONNECTIONS, seconds=3, offset=offset)
    if load.failed or load.refused:
        raise SystemExit(f"some tokens were refused: {load}")
    return load.requests


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
    at = {int(step): _total(row) for step, row in zip(STEPS, data, strict=True)}
    return [
        Goal(
            "memory: growth from 100,000 to 200,000 distinct tokens",
            (at[200_000] / at[100_000] - 1) * 100,
            10,
            "%",
        )
    ]


def markdown(data: list[dict[str, float]]) -> str:
    """A table."""
    return "\n\n".join(
        [
            "Proportional share of memory (Pss) after so many distinct ES256 tokens, one validator, defaults. The "
            "memory of verified tokens holds 64 MiB for each validator.",
            table(
                ("tokens", "NGINX MB", "validator MB", "supervisor MB", "all MB"),
                [
                    (
                        f"{row['tokens']:,.0f}",
                        *(f"{row[part] / 1e6:,.0f}" for part in ("nginx", "validator", "other")),
                        f"{_total(row) / 1e6:,.0f}",
                    )
                    for row in data
                ],
            ),
        ]
    )


def _total(row: dict[str, float]) -> float:
    return row["nginx"] + row["validator"] + row["other"]
