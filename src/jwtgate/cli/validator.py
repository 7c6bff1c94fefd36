"""`jwtgate validator`: the validators alone, for people who start NGINX themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from jwtgate.cli.options import Config, RunDir, load_plan
from jwtgate.gateway import run_validators


def validator(
    config: Config,
    run_dir: RunDir = None,
    nginx_user: Annotated[
        str | None,
        typer.Option(
            "--nginx-user",
            metavar="NAME",
            help="Started by root: whom NGINX's workers run as. Default: www-data, nginx or nobody.",
        ),
    ] = None,
) -> None:
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
            nginx_user=nginx_user,
            on_ready=lambda directory: typer.echo(
                f"jwtgate: {plan.workers} validators listen in {directory / 'sockets'}", err=True
            ),
        )
    )
