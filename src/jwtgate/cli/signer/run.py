"""`jwtgate signer run`: the token issuer as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jwtgate.cli.options import load_plan
from jwtgate.cli.signer.options import (
    Config,
    DatabaseEnv,
    PassphraseEnv,
    PassphraseFile,
    database_url,
    seconds,
)
from jwtgate.config import addresses, values
from jwtgate.config.problems import Fault
from jwtgate.plan import SIGNER_ALGORITHMS, SignerPlace, SignerSettings
from jwtgate.signer import run as run_signer


def run(
    config: Config = None,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="The `iss` of its tokens.")] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where clients reach it. Default: the issuer.")
    ] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The `aud` of tokens whose client has none of its own; repeatable."),
    ] = None,
    key_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where its keys and clients are kept; made on the first start."),
    ] = None,
    database_env: DatabaseEnv = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where it listens.")] = "127.0.0.1:3000",
    algorithm: Annotated[
        list[str],
        typer.Option(
            metavar="ALG",
            help=f"What it signs with: {', '.join(SIGNER_ALGORITHMS)}. Repeatable: the first signs, the others "
            "for clients that want them.",
        ),
    ] = ["ES256"],  # noqa: B006 -- typer's way to say it; nothing changes the list
    token_lifetime: Annotated[
        int, typer.Option(parser=seconds, metavar="TIME", help="How long its tokens last at most.")
    ] = "1h",  # type: ignore[assignment]  # noqa: S107 -- typer's parsers read defaults too; no password
    jwks_max_age: Annotated[
        int, typer.Option(parser=seconds, metavar="TIME", help="How long others may keep its key set.")
    ] = "5m",  # type: ignore[assignment]
    rotation: Annotated[str, typer.Option(metavar="TIME", help="How long a key signs, or `manual`.")] = "30d",
    status_list: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The status list that its tokens name. Default: /status-list after the url."
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
) -> None:
    """Issue tokens and publish their keys, until Ctrl-C or SIGTERM.

    Endpoints: /token, /introspect, /revoke, /jwk, /.well-known/jwks.json, /.well-known/openid-configuration,
    /.well-known/oauth-authorization-server, /health, /ready.

    Example: [bold]jwtgate signer run --issuer https://id.example --audience services --key-dir keys[/bold]

    The same from a configuration: [bold]jwtgate signer run --config gateway.yaml[/bold]
    """
    if config is not None:
        found = load_plan(config).signer
        if found is None:
            raise typer.BadParameter(f"{config} has no signer", param_hint="--config")
        run_signer(found)
        return
    if issuer is None or not audience:
        raise typer.BadParameter("--issuer and --audience are needed, or --config gateway.yaml")
    if (key_dir is None) == (database_env is None):
        raise typer.BadParameter("one of --key-dir and --database-env is needed")
    for name in algorithm:
        if name not in SIGNER_ALGORITHMS:
            raise typer.BadParameter(
                f"{name}: choose one of {', '.join(SIGNER_ALGORITHMS)}", param_hint="--algorithm"
            )
    for option, given in (("--issuer", issuer), ("--url", url), ("--status-list", status_list)):
        _check_url(option, given)
    reached = (url or issuer).rstrip("/")
    run_signer(
        SignerSettings(
            issuer=issuer,
            url=reached,
            audience=tuple(audience),
            algorithms=tuple(dict.fromkeys(algorithm)),
            listen=listen,
            token_lifetime=max(1, token_lifetime),
            jwks_max_age=max(1, jwks_max_age),
            rotation_interval=_interval(rotation),
            status_list_uri=status_list or f"{reached}/status-list",
            place=SignerPlace(key_dir, database_url(database_env), passphrase_file, passphrase_env),
        )
    )


def _check_url(option: str, given: str | None) -> None:
    found = None if given is None else addresses.signer_url(given)
    if isinstance(found, Fault):
        told = found.message.format(field="it", value=given)
        raise typer.BadParameter(f"{told}: {found.hint}", param_hint=option)


def _interval(text: str) -> int | None:
    found = values.rotation_interval(text)
    if isinstance(found, Fault):
        raise typer.BadParameter(f"{text}: {found.hint}", param_hint="--rotation")
    return found
