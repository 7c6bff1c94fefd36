"""`jwtgate check`: is this configuration good?"""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from jwtgate.cli.options import Config, NginxOption, load_plan
from jwtgate.nginx import Site, find_nginx, render
from jwtgate.nginx.names import system_names
from jwtgate.nginx.runtime import check as nginx_check
from jwtgate.nginx.runtime import write_configuration


def check(config: Config, nginx: NginxOption = None) -> None:
    """Check gateway.yaml, and let NGINX check what is made of it. Starts nothing.

    Every mistake is listed, with its line and what to write instead.

    Example: [bold]jwtgate check gateway.yaml[/bold]
    """
    plan = load_plan(config)
    found = find_nginx(nginx)
    with tempfile.TemporaryDirectory(prefix="jwtgate-check-") as name:
        directory = Path(name)
        for part in ("sockets", "temp", "cache"):
            (directory / part).mkdir()
        site = Site(
            directory,
            directory / "cache",
            found.version,
            plan.workers,
            generation="check",
            epoch="check",
            names=system_names(),
        )
        write_configuration(render(plan, site), site.configuration)
        nginx_check(found, site.configuration)
    counts = {
        "route": len(plan.routes),
        "policy in use": len(
            {policy.name for policy in plan.policies.values()}
        ),  # routes can differ in its details
        "issuer": len(plan.issuers),
        "upstream": len(plan.upstreams),
    }
    listed = ", ".join(f"{count} {name if count == 1 else _plural(name)}" for name, count in counts.items())
    typer.echo(f"{config}: good. {listed}; NGINX {found.version_text} ({found.path}) accepts it.")


def _plural(name: str) -> str:
    return {"policy in use": "policies in use"}.get(name, name + "s")
