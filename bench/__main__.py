"""`python -m bench`: see arguments.DESCRIPTION."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench import cache_share, report, results
from bench.arguments import parsed
from bench.interrupted import alone, stop_as_by_ctrl_c
from bench.machine import description, two_cores
from bench.minting import KEPT
from bench.scenarios import SCENARIOS, costs
from bench.workbench import set_up

if TYPE_CHECKING:
    from argparse import Namespace

_RESULTS = KEPT / "results"
_A_DAY = 24 * 3600


def main() -> None:
    """Run what was asked for. SystemExit with 130 when it was stopped."""
    options = parsed()
    stop_as_by_ctrl_c()
    try:
        _run(options)
    except KeyboardInterrupt:
        kept = "" if options.quick else " What was measured before is kept for a day: go on with --resume."
        print(f"stopped.{kept}", file=sys.stderr)
        raise SystemExit(130) from None


def _run(options: Namespace) -> None:
    if options.report:
        _report(Console(stderr=True))
        return
    two_cores()
    # The tests are made to run side by side.
    with alone(KEPT, patience=60 if options.quick else 0):
        _measure_all(options)


def _measure_all(options: Namespace) -> None:
    if options.quick:
        _quick(options.json)
        return
    _RESULTS.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    names = options.scenarios or list(SCENARIOS)
    if "storing" in names and (reason := cache_share.obstacle()):
        if options.scenarios:
            raise SystemExit(f"storing cannot be measured here: {reason}")
        print(f"storing will be left out: {reason}", file=sys.stderr)
    for name in names:
        about = results.provenance(rounds=options.rounds, seconds=options.seconds, machine=description())
        saved = results.Saved(_RESULTS / f"{name}.unfinished.json", about)
        if not options.resume:
            saved.forget()
            _file(name).unlink(missing_ok=True)
        elif (known := _known(name)) and results.alike(known, about):
            continue
        data = _measure(name, console, rounds=options.rounds, seconds=options.seconds, saved=saved)
        results.write(_file(name), {**about, "data": data})
        saved.forget()
        console.print(Markdown(SCENARIOS[name].markdown(data)))
    _report(console)


def _report(console: Console) -> None:
    found = {name: known for name in SCENARIOS if (known := _known(name))}
    if not found:
        raise SystemExit(f"there are no figures of the last day in {_RESULTS}: run script/bench first")
    report.write(found, Path())
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
    """The figures of a scenario, when they are not older than a day, and say where they are from."""
    if not _file(name).exists():
        return None
    found: dict[str, Any] = json.loads(_file(name).read_text())
    return found if found["made"] > time.time() - _A_DAY and "commit" in found else None


if __name__ == "__main__":
    main()
