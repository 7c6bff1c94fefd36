"""What script/bench is asked for. Only the standard library: it answers before anything is installed.

`python -m bench.arguments [ARGUMENT…]` prints the commands that such a run needs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

DESCRIPTION = """\
Measure the gateway beside what people would use instead, and write the report.

script/bench                  everything: under 30 minutes, writes docs/benchmarks/gateway.md and its plots
script/bench flood zipf       these scenarios only; the report keeps the others' figures of the same day
script/bench --resume         what has no figures of this day and commit yet
script/bench --report         the report from the figures that there are
script/bench --quick          the harness in half a minute; prints, writes nothing
"""

# The commands that each scenario needs beside those that all do.
NEEDS: Final = {
    "costs": ("haproxy",),
    "zipf": ("haproxy",),
    "flood": ("haproxy",),
    "storing": (),
    "growth": (),
    "policies": (),
    "memory": (),
    "start": (),
}
_ALL_NEED: Final = ("nginx", "wrk")


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """`scenarios` (empty: all), `quick`, `resume`, `report`, `rounds`, `seconds`, `json`.

    Ends with a word on the terminal when the arguments are wrong, or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(NEEDS))
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--quick", action="store_true")
    ways.add_argument("--resume", action="store_true")
    ways.add_argument("--report", action="store_true")
    parser.add_argument("--rounds", type=_at_least_one, default=5, help="of each row (5)")
    parser.add_argument("--seconds", type=_at_least_one, default=2, help="of one run (2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="with --quick: write the figures there")
    options = parser.parse_args(arguments)
    if unknown := set(options.scenarios) - set(NEEDS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}. There are {', '.join(NEEDS)}")
    if options.scenarios and (options.quick or options.report):
        way = "--quick" if options.quick else "--report"
        parser.error(f"{way} takes no scenario: it is about {'the harness' if options.quick else 'all of them'}")
    if options.json and not options.quick:
        parser.error("--json goes with --quick; other runs keep their figures in .bench/results")
    return options


def needs(options: argparse.Namespace) -> list[str]:
    """The commands that must be there."""
    if options.report:
        return []
    scenarios = [] if options.quick else options.scenarios or NEEDS
    return [*_ALL_NEED, *sorted({command for name in scenarios for command in NEEDS[name]})]


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    print(*needs(parsed()))
