"""`jwtgate signer …`: the token issuer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jwtgate.cli.help_text import help_text
from jwtgate.plan import SIGNER_ALGORITHMS, SignerSettings
from jwtgate.signer import run as run_signer

signer = typer.Typer(no_args_is_help=True, help="The token issuer: keys and their publication.")


@signer.callback()
def _group() -> None:
    """Keeps `run` a command of its own while it is the only one."""


def run(
    issuer: Annotated[str, typer.Option(metavar="URL", help="The `iss` of its tokens.")],
    audience: Annotated[list[str], typer.Option(metavar="NAME", help="The `aud` of its tokens; repeatable.")],
    key_dir: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where its private keys are kept; made, with a key, on the first start."),
    ],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where it publishes its keys.")
    ] = "127.0.0.1:3000",
    algorithm: Annotated[
        str, typer.Option(metavar="ALG", help=f"What it signs with: {', '.join(SIGNER_ALGORITHMS)}.")
    ] = "ES256",
    token_lifetime: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="How long its tokens hold.")
    ] = 86400,
    jwks_max_age: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, help="How long others may keep its key set.")
    ] = 300,
) -> None:
    """Publish a key set at /jwk and /.well-known/jwks.json. It hands out tokens in the demo only.

    Example: [bold]jwtgate signer run --issuer https://id.example --audience services --key-dir keys[/bold]
    """
    if algorithm not in SIGNER_ALGORITHMS:
        raise typer.BadParameter(
            f"{algorithm}: choose one of {', '.join(SIGNER_ALGORITHMS)}", param_hint="--algorithm"
        )
    run_signer(
        SignerSettings(
            issuer=issuer,
            audience=tuple(audience),
            algorithm=algorithm,
            listen=listen,
            key_dir=key_dir,
            token_lifetime=token_lifetime,
            jwks_max_age=jwks_max_age,
        )
    )


signer.command(help=help_text(run))(run)
