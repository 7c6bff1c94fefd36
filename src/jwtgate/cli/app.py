"""The commands, in the order in which `jwtgate --help` lists them, each in the module of its name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import typer

from jwtgate.cli.help_text import help_text
from jwtgate.cli.version import version_option

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "demo",
    "up",
    "reload",
    "flush",
    "keys",
    "revoke",
    "check",
    "render",
    "lint",
    "explain",
    "test",
    "diff",
    "shadow",
    "verify",
    "schema",
    "validator",
    "signer",
)
# Nothing in these logs, so they do without structlog: importing it takes longer than asking a gateway.
SILENT = frozenset({"reload", "flush", "keys", "revoke", "check", "shadow", "verify", "schema"})


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """The program; with one command only where `arguments` begin with it: importing all takes half a second."""
    app = typer.Typer(
        name="jwtgate",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="JWT authentication for microservices, done once, in the NGINX gateway in front of them.",
        epilog="Exit codes: 0 done; 1 it did not work, and the message says why, or the token was denied; "
        "2 the command line or gateway.yaml is wrong. First steps: [bold]jwtgate demo[/bold]",
    )
    app.callback()(version_option)
    for name in arguments[:1] if set(arguments[:1]) & set(COMMANDS) else COMMANDS:
        command = getattr(import_module(f"jwtgate.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(help=help_text(command))(command)
    return app
