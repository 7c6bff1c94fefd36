"""`jwtgate signer …`: the token issuer. One file a command; this is their table of contents."""

from __future__ import annotations

import typer

from jwtgate.cli.help_text import help_text
from jwtgate.cli.signer.client import client
from jwtgate.cli.signer.keys import keys
from jwtgate.cli.signer.rehearse import rehearse_
from jwtgate.cli.signer.rotate import rotate
from jwtgate.cli.signer.run import run
from jwtgate.cli.signer.token import token

signer = typer.Typer(no_args_is_help=True, help="The token issuer: its keys, its clients, its tokens.")
for command in (run, keys, rotate, token):
    signer.command(help=help_text(command))(command)
signer.command("rehearse", help=help_text(rehearse_))(rehearse_)
signer.add_typer(client, name="client")

__all__ = ["signer"]
