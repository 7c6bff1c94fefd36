"""`jwtgate render`: the NGINX configuration, to read or to run it yourself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jwtgate.cli.options import Config, NginxOption, RunDir, load_plan, require_routes
from jwtgate.errors import StartError
from jwtgate.nginx import Site, find_nginx
from jwtgate.nginx import render as render_configuration
from jwtgate.nginx.names import system_names
from jwtgate.nginx.render import render_include
from jwtgate.nginx.runtime import write_configuration
from jwtgate.run_directory import default_run_dir, unprivileged_account

if TYPE_CHECKING:
    from jwtgate.plan import Plan


def render(
    config: Config,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there in one step. Default: print it."),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(
            "--include",
            metavar="DIR",
            help="Write files for your own nginx.conf there: http.conf, server.conf, public.conf, and one for "
            "each entry of `include:`.",
        ),
    ] = None,
    nginx: NginxOption = None,
    run_dir: RunDir = None,
) -> None:
    """Print the NGINX configuration that gateway.yaml stands for.

    For people who start NGINX themselves, beside [bold]jwtgate validator[/bold]: give both the same
    configuration and the same --run-dir.

    Example: [bold]jwtgate render gateway.yaml | less[/bold]

    For an nginx.conf of your own: [bold]jwtgate render gateway.yaml --include /etc/nginx/jwtgate[/bold]
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
    if include is not None:
        _write_include(plan, site, include)
        return
    require_routes(plan)
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


def _write_include(plan: Plan, site: Site, directory: Path) -> None:
    """Write the files, each in one step, and remove those of entries that are gone."""
    if not plan.included:
        raise StartError(
            "this gateway.yaml has no `include:`, so there is nothing for a location to include.\n"
            "Add one entry for each kind of location: include: {orders: {policy: caller}}"
        )
    files = render_include(plan, site)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_configuration(text, directory / name, mode=0o644)
        for old in directory.glob("*.conf"):
            if old.name not in files and old.read_text(errors="replace").startswith("# Made by jwtgate "):
                old.unlink()
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {directory}: {error.strerror}. Name a directory that is yours", param_hint="--include"
        ) from error
    _warn_of_routes(plan)
    typer.echo(f"In the http block of your nginx.conf:\n    include {directory}/http.conf;")
    typer.echo(f"In each server block with protected locations:\n    include {directory}/server.conf;")
    typer.echo("In each location, one of:")
    for name in (*(each.name for each in plan.included), "public"):
        typer.echo(f"    include {directory}/{name}.conf;")
    typer.echo("Then: nginx -t && nginx -s reload; nginx -T | jwtgate lint -")


def _warn_of_routes(plan: Plan) -> None:
    """Routes are no part of what is included. Who has some may believe that they are."""
    if not plan.routes:
        return
    facts = (
        ("cors", lambda route: route.cors is not None),
        ("login_redirect", lambda route: route.login is not None),
        ("resource", lambda route: route.resource is not None),
    )
    lost = [name for name, has in facts if any(map(has, plan.routes))]
    typer.echo("warning: routes are not included; only the entries of include: are", err=True)
    if lost:
        typer.echo(
            f"warning: {', '.join(lost)} of these routes: an nginx.conf of your own does not get that", err=True
        )
