"""`jwtgate up`: a whole gateway on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jwtgate.cli.options import Config, NginxOption, RunDir, load_plan, nginx_text, require_routes
from jwtgate.cli.view import Terminal, show
from jwtgate.gateway import run_gateway
from jwtgate.nginx import find_nginx
from jwtgate.run_directory import default_run_dir
from jwtgate.supervisor import Program

if TYPE_CHECKING:
    from jwtgate.nginx import Nginx, Site
    from jwtgate.plan import Plan


def up(
    config: Config,
    nginx: NginxOption = None,
    run_dir: RunDir = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Log lines on a terminal too, instead of the live view.")
    ] = False,
) -> None:
    """Start NGINX, the validators and, if configured, the signer, and keep them running.

    It ends on Ctrl-C or SIGTERM, after the requests that are under way. Parts that die are restarted. On a
    terminal it shows what goes on; elsewhere it writes log lines.

    The environment variable JWTGATE_LOG is how much it tells of itself: debug, info (default: keys that came and
    went, what failed and recovered), warning or error. Requests stand in the access log.

    Example: [bold]jwtgate up gateway.yaml[/bold]
    """
    plan = load_plan(config)
    require_routes(plan)
    found = find_nginx(nginx)
    where = run_dir or plan.run_dir or default_run_dir()

    def say(site: Site) -> None:
        typer.echo(f"jwtgate: {_headline(plan, found)}, run_dir {site.run_dir})", err=True)

    def run(beside: list[Program]) -> int:
        return run_gateway(plan, found, run_dir=where, load=lambda: load_plan(config), beside=beside, on_ready=say)

    if plain or not (sys.stdout.isatty() and sys.stderr.isatty()):
        raise typer.Exit(run([]))
    terminal = Terminal()
    with terminal.taken() as file:
        headline = f"jwtgate {_headline(plan, found)})"
        code = run([Program("view", lambda: show(where, headline, file, terminal.tail))])
    raise typer.Exit(code)


def _headline(plan: Plan, nginx: Nginx) -> str:
    addresses = ", ".join(listener.address for listener in plan.listeners)
    return f"serving on {addresses} ({nginx_text(nginx)}, {plan.workers} validators"
