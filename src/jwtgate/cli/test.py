"""`jwtgate test`: do the policies decide as they should?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from jwtgate.cli.options import load_plan
from jwtgate.trial import junit, read_table, run

if TYPE_CHECKING:
    from jwtgate.trial import Result

_GAPS_SHOWN = 30


def test(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files of requests.")],
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit's XML, for CI.")
    ] = None,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="Fail also when a requirement was not seen both passing and failing."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List the requests that pass too.")] = False,
) -> None:
    """Decide about the requests of FILE… as the gateway would, and compare with what they expect.

    Claims are signed with throw-away keys that stand in for the issuers'; nothing is fetched, nothing is started.
    Exit code 0: all as expected; 1: not.

    Example: [bold]jwtgate test policies.test.yaml --junit results.xml[/bold]
    """
    console = Console(highlight=False, soft_wrap=True)
    everything: dict[str, list[Result]] = {}
    gaps: list[str] = []
    for file in files:
        table = read_table(file, os.environ)
        plan = load_plan(table.gateway)
        results, coverage = run(plan, table.requests)
        everything[str(file)] = results
        _print(console, file, results, verbose=verbose)
        own = coverage.gaps(plan)
        for gap in own[:_GAPS_SHOWN]:
            console.print(Text(f"  {gap}", "yellow"))
        if len(own) > _GAPS_SHOWN:
            console.print(Text(f"  and {len(own) - _GAPS_SHOWN} more", "yellow"))
        gaps += own
    if junit_file is not None:
        try:
            junit_file.write_bytes(junit(everything))
        except OSError as error:
            raise typer.BadParameter(f"{junit_file}: {error.strerror}", param_hint="--junit") from None
    failed = sum(bool(result.wrong) for results in everything.values() for result in results)
    count = sum(map(len, everything.values()))
    console.print(Text(f"{count - failed} of {count} requests as expected", "red" if failed else "green"))
    if failed or (complete and gaps):
        raise typer.Exit(1)


def _print(console: Console, file: Path, results: list[Result], *, verbose: bool) -> None:
    console.print(Text(str(file), "bold"))
    for result in results:
        if result.wrong:
            console.print(Text(f"  ✗ {result.request.name}: {result.wrong}", "red"))
            console.print(Text(f"    {result.request.place}", "dim"))
        elif verbose:
            console.print(Text.assemble(("  ✓ ", "green"), f"{result.request.name}: {result.verdict}"))
