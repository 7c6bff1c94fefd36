"""`jwtgate diff`: what a change of gateway.yaml means for those who ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from jwtgate.cli.options import load_plan
from jwtgate.trial import changes


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The gateway.yaml as it was.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The gateway.yaml as it is to be.")],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when there is a difference.")
    ] = False,
) -> None:
    """Say in words which routes' requirements change: routes opened, closed, added, removed; policies; issuers.

    Example: [bold]jwtgate diff old.yaml gateway.yaml[/bold]

    Since the last commit: [bold]jwtgate diff <(git show HEAD:./gateway.yaml) gateway.yaml[/bold]
    """
    # Of the old file nobody mends anything any more.
    before, after = load_plan(old, warn=False), load_plan(new)
    found = changes(before, after)
    console = Console(highlight=False, soft_wrap=True)
    width = max((len(change.whose) for change in found), default=0)
    for change in found:
        console.print(Text.assemble((change.whose.ljust(width), "bold"), "  ", change.text))
    if not found:
        others = "" if before == after else "; other settings differ"
        console.print(f"no difference in what routes require{others}")
    if found and exit_code:
        raise typer.Exit(1)
