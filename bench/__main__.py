"""Measure the gateway beside what people would use instead, and write the report.

script/bench                  everything: about 25 minutes, writes docs/benchmarks/gateway.md and its plots
script/bench flood zipf       these scenarios only; the report keeps the others' figures of the same day
script/bench --resume         what has no figures of this day yet
script/bench --report         the report from the figures that there are
script/bench --quick          the harness in half a minute; prints, writes nothing
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench import report, results
from bench.machine import description
from bench.minting import KEPT
from bench.scenarios import SCENARIOS, costs
from bench.workbench import set_up

_RESULTS = KEPT / "results"
_A_DAY = 24 * 3600


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of one run")
    parser.add_argument("--json", type=Path, help="with --quick: write the figures there")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}. There are {', '.join(SCENARIOS)}")
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("the benchmark needs two cores")
    if options.quick:
        _quick(options.json)
        return
    _RESULTS.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    for name in [] if options.report else options.scenarios or SCENARIOS:
        if options.resume and _known(name):
            continue
        about = results.provenance(rounds=options.rounds, seconds=options.seconds, machine=description())
        saved = results.Saved(_RESULTS / f"{name}.unfinished.json", about)
        if not options.resume:
            saved.forget()
        data = _measure(name, console, rounds=options.rounds, seconds=options.seconds, saved=saved)
        results.write(_file(name), {**about, "data": data})
        saved.forget()
        console.print(Markdown(SCENARIOS[name].markdown(data)))
    found = {name: known for name in SCENARIOS if (known := _known(name))}
    report.write(found, Path("docs/benchmarks"))
    console.print(report.goals_table(found))


def _measure(name: str, console: Console, *, rounds: int, seconds: int, saved: results.Saved | None = None) -> Any:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name)

        def step(what: str) -> None:
            progress.update(task, description=f"{name}: {what}")
            if not console.is_terminal:
                print(f"{time.strftime('%H:%M:%S')} {name}: {what}", flush=True)

        with set_up(rounds=rounds, seconds=seconds, step=step, quick=saved is None, saved=saved) as ready:
            return SCENARIOS[name].measure(ready)


def _quick(output: Path | None) -> None:
    data = _measure("costs", Console(stderr=True), rounds=2, seconds=1)
    Console().print(Markdown(costs.markdown(data)))
    if output:
        output.write_text(json.dumps(data))


def _file(name: str) -> Path:
    return _RESULTS / f"{name}.json"


def _known(name: str) -> dict[str, Any] | None:
    """The figures of a scenario, when they are not older than a day."""
    if not _file(name).exists():
        return None
    found: dict[str, Any] = json.loads(_file(name).read_text())
    return found if found["made"] > time.time() - _A_DAY else None


if __name__ == "__main__":
    main()
