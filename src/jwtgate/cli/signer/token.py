"""`jwtgate signer token`: a token for a person or a script."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from jwtgate.cli.signer.options import (
    Config,
    DatabaseEnv,
    KeyDir,
    PassphraseEnv,
    PassphraseFile,
    find_signer,
    open_keys,
    open_signer,
)
from jwtgate.errors import SignerError
from jwtgate.signer.clients import find_client
from jwtgate.signer.grants import client_credentials
from jwtgate.signer.issue import TokenIssuer
from jwtgate.signer.key_store import known_settings
from jwtgate.signer.oauth_errors import OAuthError
from jwtgate.signer.ring import KeyRing
from jwtgate.signer.status import StatusIndexes


def token(
    client: Annotated[str, typer.Option(metavar="NAME", help="The client that it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope of the client's; repeatable. Default: all.")
    ] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An audience of the client's; repeatable. Default: all."),
    ] = None,
    config: Config = None,
    key_dir: KeyDir = None,
    database_env: DatabaseEnv = None,
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
) -> None:
    """Print a token, as the client itself would get it. It needs the signer's key directory, and no secret.

    Example: [bold]jwtgate signer token --key-dir keys --client reports --scope read[/bold]
    """
    place = find_signer(config, key_dir, database_env, passphrase_file, passphrase_env)
    now = time.time()
    with open_signer(place) as store:
        settings = known_settings(store, place)
        found = find_client(store, client)
        if found is None:
            raise SignerError(f"there is no client {client!a}: jwtgate signer client list")
        ring = KeyRing(open_keys(store, place), settings.algorithms, settings.jwks_max_age)
        ring.refresh(now)
        issuer = TokenIssuer(settings, store, ring, StatusIndexes(store, settings.token_lifetime))
        form = {"scope": [" ".join(scope or ())], "audience": list(audience or ())}
        try:
            issued = issuer.issue(client_credentials(issuer, found, form), now)
        except OAuthError as error:
            raise SignerError(f"{error.code}: {error.description}") from None
    typer.echo(issued.token)
