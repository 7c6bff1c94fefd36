"""The figures of all scenarios → docs/benchmarks/gateway.md, plots beside it, and the README's table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from bench import plots
from bench.headline import headline, medians, put_into
from bench.interleaved import CONNECTIONS
from bench.markdown import table
from bench.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.goals import Goal

WHOLE: Final = "docs/benchmarks"
PART: Final = ".bench/report"

_METHOD = f"""\
Made by `script/bench`. All processes of a gateway share one core; the load generator (wrk, one thread,
{CONNECTIONS} connections unless said otherwise) and the service, an NGINX that answers at once, share the other.
The main figure is the CPU time, user and system, of all the gateway's processes for each request, since it does
not depend on how the rest of the machine keeps up. Runs take turns and are repeated, unless said otherwise;
figures are medians, in brackets the least and the most. A run with a request that fails, or during which a
process of the gateway begins or ends, is repeated. p99.9 is given where each run has 10,000 requests. Each
gateway checks signature, `alg`, `iss`, `aud` and `exp`, hands `sub` on as a header, and writes no access log.
Requests to plain NGINX have no token, but where a row says that it passes one on.
[Why](profile.md) the figures are what they are."""


def write(found: Mapping[str, Mapping[str, Any]], root: Path) -> None:
    """Write the report; `found` is what each scenario has found, with its provenance (see `results`).

    Only figures of all scenarios go to docs/ and README.md below `root`; with fewer the report is in .bench/.
    """
    missing = [name for name in SCENARIOS if name not in found or "left_out" in found[name]["data"]]
    directory = root / (PART if missing else WHOLE)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "gateway.md").write_text(_report(found, directory))
    if missing:
        print(f"{directory}/gateway.md: without {', '.join(missing)}, so {WHOLE}/ and README.md stay as they are")
        return
    readme = root / "README.md"
    readme.write_text(put_into(readme.read_text(), headline(medians(found["costs"]["data"]["rows"]))))
    print(f"{directory}/gateway.md, and README.md's table")


def _report(found: Mapping[str, Mapping[str, Any]], directory: Path) -> str:
    parts = [
        "# The gateway, side by side with others",
        _METHOD,
        *origin(found),
        "## Goals",
        table(("goal", "", "measured", ""), [goal.cells() for goal in goals(found)]),
    ]
    for name, scenario in SCENARIOS.items():
        if name in found:
            data = found[name]["data"]
            parts += [f"## {scenario.TITLE}", scenario.markdown(data)]
            if name == "costs":
                parts += [f"![{alt}]({file})" for file, alt in plots.costs(data["rows"], directory)]
    return "\n\n".join(parts) + "\n"


def origin(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """When, on what and of which commit the figures are."""
    commits = {each["commit"] for each in found.values()}
    machines = list({_machine(each): None for each in found.values()})
    parts = []
    if len(commits) > 1:
        parts.append(f"**Not all scenarios were measured at the same commit**: {', '.join(sorted(commits))}.")
    if any(commit.endswith("+") for commit in commits):
        parts.append("`+`: files differed from the commit.")
    if len(machines) > 1:
        parts.append("**Not all scenarios were measured on the same machine:**")
    return [
        *parts,
        *machines,
        table(
            ("scenario", "commit", "begun (UTC)", "rounds", "seconds of a run", "load average then"),
            [
                (
                    SCENARIOS[name].TITLE,
                    each["commit"],
                    time.strftime("%Y-%m-%d %H:%M", time.gmtime(each["made"])),
                    str(each["rounds"]),
                    str(each["seconds"]),
                    f"{each['load_average']:.1f}",
                )
                for name, each in found.items()
            ],
            left=3,
        ),
    ]


def _machine(found: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {what}" for name, what in found["machine"].items() if what) + "."


def goals(found: Mapping[str, Mapping[str, Any]]) -> list[Goal]:
    """All goals of the scenarios that have been measured."""
    return [goal for name, each in found.items() for goal in SCENARIOS[name].goals(each["data"])]


def goals_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """For people at a terminal."""
    shown = Table("goal", "", "measured", "")
    for goal in goals(found):
        shown.add_row(*goal.cells())
    return shown
