"""`jwtgate render`: the NGINX configuration, to read or to run it yourself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from jwtgate.cli.options import Config, NginxOption, RunDir, load_plan
from jwtgate.nginx import Site, find_nginx
from jwtgate.nginx import render as render_configuration
from jwtgate.nginx.names import system_names
from jwtgate.nginx.runtime import write_configuration
from jwtgate.run_directory import default_run_dir, unprivileged_account


def render(
    config: Config,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there in one step. Default: print it."),
    ] = None,
    nginx: NginxOption = None,
    run_dir: RunDir = None,
) -> None:
    """Print the NGINX configuration that gateway.yaml stands for.

    For people who start NGINX themselves, beside [bold]jwtgate validator[/bold]: give both the same
    configuration and the same --run-dir.

    Example: [bold]jwtgate render gateway.yaml | less[/bold]
    """
    plan = load_plan(config)
    directory = run_dir or plan.run_dir or default_run_dir()
    account = unprivileged_account()
    generation = hashlib.sha256(repr(plan).encode()).hexdigest()[:16]
    site = Site(
        run_dir=directory,
        cache_dir=directory / "cache",
        nginx_version=find_nginx(nginx).version,
        workers=plan.workers,
        generation=generation,
        epoch=generation,
        account=(account.user, account.group) if account else None,
        names=system_names(),
    )
    text = render_configuration(plan, site)
    if output is None:
        typer.echo(text, nl=False)
    else:
        try:
            write_configuration(text, output)
        except OSError as error:
            raise typer.BadParameter(
                f"cannot write {output}: {error.strerror}. Name a file in a directory that exists and is yours",
                param_hint="--output",
            ) from error
