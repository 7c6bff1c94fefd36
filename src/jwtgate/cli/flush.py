"""`jwtgate flush`: forget all cached decisions."""

from __future__ import annotations

import typer

from jwtgate.cli.options import OptionalConfig, RunDir, running_in
from jwtgate.control.client import ask_gateway


def flush(config: OptionalConfig = None, run_dir: RunDir = None) -> None:
    """Make a running gateway forget every decision that it has cached.

    When it returns, each request is decided anew: at the cost of one check for each token.

    Example: [bold]jwtgate flush gateway.yaml[/bold]
    """
    typer.echo(ask_gateway(running_in(config, run_dir), "flush"))
