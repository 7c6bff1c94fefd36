"""`jwtgate reload`: run by what gateway.yaml says now."""

from __future__ import annotations

import typer

from jwtgate.cli.options import OptionalConfig, RunDir, running_in
from jwtgate.control.client import ask_gateway


def reload(config: OptionalConfig = None, run_dir: RunDir = None) -> None:
    """Make a running gateway read its gateway.yaml anew, without failing a request.

    The new configuration is checked, new validators are started, and NGINX answers by it when this returns. If
    anything is wrong with it, the old one serves on, and this says why. SIGHUP to the gateway does the same.

    Example: [bold]jwtgate reload gateway.yaml[/bold]
    """
    typer.echo(ask_gateway(running_in(config, run_dir), "reload"))
