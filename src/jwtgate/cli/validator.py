"""`jwtgate validator`: the validators alone, for people who start NGINX themselves."""

from __future__ import annotations

import typer

from jwtgate.cli.options import Config, RunDir, load_plan
from jwtgate.gateway import run_validators


def validator(config: Config, run_dir: RunDir = None) -> None:
    """Start the validators alone: NGINX is started elsewhere, with what [bold]jwtgate render[/bold] printed.

    Give both the same configuration and the same --run-dir, and start this one first: it makes the
    directories.

    Example: [bold]jwtgate validator gateway.yaml --run-dir /run/jwtgate[/bold]
    """
    plan = load_plan(config)
    raise typer.Exit(
        run_validators(
            plan,
            run_dir=run_dir,
            on_ready=lambda directory: typer.echo(
                f"jwtgate: {plan.workers} validators listen in {directory / 'sockets'}", err=True
            ),
        )
    )
