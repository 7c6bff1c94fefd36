"""`jwtgate shadow`: what policies that are only tried would have decided."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jwtgate.cli.options import OptionalConfig, RunDir, running_in
from jwtgate.control.client import ask_gateway

_WIDTH = 120  # columns that the table may take, also where nobody looks


def shadow(
    config: OptionalConfig = None,
    run_dir: RunDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything there is to say, as JSON.")] = False,
) -> None:
    """Show where shadow policies (`shadow:` of a route) differ from those that a running gateway enforces.

    Counted since the gateway started or was reloaded. A decision that NGINX repeats from its cache counts once.

    Example: [bold]jwtgate shadow gateway.yaml[/bold]
    """
    told = ask_gateway(running_in(config, run_dir), "shadow")
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    if not told["shadows"]:
        console.print("no route has a shadow policy: write shadow: POLICY beside its policy: POLICY")
        return
    console.print(_table(told["shadows"]))
    if told["answering"] < told["workers"]:
        missing = told["workers"] - told["answering"]
        console.print(Text(f"{missing} of {told['workers']} validators did not answer", "red"))


def _table(shadows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("policy", "shadow", "seen", "agreed", "would be denied", "would be allowed", "other reason"):
        table.add_column(heading)
    for each in shadows:
        differing = each["disagreements"]
        table.add_row(
            Text(each["policy"]),
            Text(each["shadow"]),
            f"{each['seen']} {each['counted']}",
            str(each["agreed"]),
            _lines((d["would_be"], d["count"]) for d in differing if d["enforced"] == "allowed"),
            _lines((d["enforced"], d["count"]) for d in differing if d["would_be"] == "allowed"),
            _lines(
                (f"{d['enforced']} → {d['would_be']}", d["count"])
                for d in differing
                if "allowed" not in (d["enforced"], d["would_be"])
            ),
        )
    return table


def _lines(counted: Iterable[tuple[str, int]]) -> Text:
    return Text("\n".join(f"{count} {reason}" for reason, count in counted) or "0")
