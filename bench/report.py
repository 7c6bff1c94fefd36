"""The figures of all scenarios → docs/benchmarks/gateway.md, plots beside it, and the README's table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.table import Table

from bench import plots
from bench.interleaved import CONNECTIONS
from bench.markdown import table
from bench.scenarios import SCENARIOS, costs

if TYPE_CHECKING:
    from pathlib import Path

    from bench.goals import Goal

_METHOD = f"""\
Made by `script/bench`, each scenario in one run on one machine. All processes of a gateway share one core;
the load generator (wrk, one thread, {CONNECTIONS} connections unless said otherwise) and the service, an
NGINX that answers at once, share the other. The main figure is the CPU time, user and system, of all the
gateway's processes for each request, since it does not depend on how the rest of the machine keeps up. Runs
take turns and are repeated; figures are medians, in brackets the least and the most. Each gateway checks
signature, `alg`, `iss`, `aud` and `exp`, hands `sub` on as a header, and writes no access log.
[Why](profile.md) the figures are what they are."""


def write(found: dict[str, dict[str, Any]], directory: Path) -> None:
    """Write the report; `found` are data, machine and time of each scenario."""
    if not found:
        return
    directory.mkdir(parents=True, exist_ok=True)
    machine = next(iter(found.values()))["machine"]
    made = time.strftime("%Y-%m-%d", time.gmtime(max(each["made"] for each in found.values())))
    parts = [
        "# The gateway, side by side with others",
        _METHOD,
        f"{made}. " + "; ".join(f"{name} {what}" for name, what in machine.items() if what) + ".",
        "## Goals",
        table(("goal", "", "measured", ""), [goal.cells() for goal in goals(found)]),
    ]
    for name, scenario in SCENARIOS.items():
        if name in found:
            parts += [f"## {scenario.TITLE}", scenario.markdown(found[name]["data"])]
            if name == "costs":
                parts += [f"![{alt}]({file})" for file, alt in plots.costs(found[name]["data"], directory)]
    (directory / "gateway.md").write_text("\n\n".join(parts) + "\n")
    if "costs" in found:
        print(f"\nFor the README:\n\n{costs.headline(found['costs']['data'])}\n")


def goals(found: dict[str, dict[str, Any]]) -> list[Goal]:
    """All goals of the scenarios that have been measured."""
    return [goal for name, each in found.items() for goal in SCENARIOS[name].goals(each["data"])]


def goals_table(found: dict[str, dict[str, Any]]) -> Table:
    """For people at a terminal."""
    shown = Table("goal", "", "measured", "")
    for goal in goals(found):
        shown.add_row(*goal.cells())
    return shown
