"""`jwtgate up`: a whole gateway on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from jwtgate.cli.options import Config, NginxOption, RunDir, load_plan, nginx_text
from jwtgate.gateway import run_gateway
from jwtgate.nginx import find_nginx

if TYPE_CHECKING:
    from jwtgate.nginx import Site


def up(config: Config, nginx: NginxOption = None, run_dir: RunDir = None) -> None:
    """Start NGINX, the validators and, if configured, the signer, and keep them running.

    It ends on Ctrl-C or SIGTERM, after the requests that are under way. Parts that die are restarted.

    Example: [bold]jwtgate up gateway.yaml[/bold]
    """
    plan = load_plan(config)
    found = find_nginx(nginx)

    def say(site: Site) -> None:
        addresses = ", ".join(listener.address for listener in plan.listeners)
        typer.echo(
            f"jwtgate: serving on {addresses} "
            f"({nginx_text(found)}, {plan.workers} validators, run_dir {site.run_dir})",
            err=True,
        )

    raise typer.Exit(run_gateway(plan, found, run_dir=run_dir, load=lambda: load_plan(config), on_ready=say))
