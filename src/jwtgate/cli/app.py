"""The commands, in the order in which `jwtgate --help` lists them."""

from __future__ import annotations

import typer

from jwtgate.cli.check import check
from jwtgate.cli.demo import demo
from jwtgate.cli.explain import explain
from jwtgate.cli.flush import flush
from jwtgate.cli.options import help_text
from jwtgate.cli.render import render
from jwtgate.cli.schema import schema
from jwtgate.cli.signer import signer
from jwtgate.cli.up import up
from jwtgate.cli.validator import validator
from jwtgate.cli.verify import verify
from jwtgate.cli.version import version_option

COMMANDS = (demo, up, flush, check, render, explain, verify, schema, validator)

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
for command in COMMANDS:
    app.command(help=help_text(command))(command)
app.add_typer(signer, name="signer")
