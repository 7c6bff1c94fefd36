"""`jwtgate signer client …`: who may ask for tokens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from jwtgate.cli.help_text import help_text
from jwtgate.cli.signer.options import (
    Config,
    DatabaseEnv,
    KeyDir,
    find_signer,
    moment,
    open_signer,
    print_table,
    seconds,
)
from jwtgate.signer.clients import (
    Client,
    add_client,
    list_clients,
    public_keys,
    remove_client,
    rotate_secret,
)

client = typer.Typer(no_args_is_help=True, help="The clients: who may ask for tokens, and for which.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The client's id.")]


def add(
    name: Name,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope that it may have; repeatable.")
    ] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An audience that it may have; repeatable. Default: the signer's."),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="JWKS.JSON", help="It authenticates by private_key_jwt, with these public keys."),
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(metavar="ALG", help="Its tokens are signed by this algorithm, if the signer does."),
    ] = None,
    token_lifetime: Annotated[
        int | None, typer.Option(parser=seconds, metavar="TIME", help="How long its tokens last, if shorter.")
    ] = None,
    exchange: Annotated[
        bool, typer.Option("--exchange", help="It may exchange tokens for narrower ones (RFC 8693).")
    ] = False,
    exchange_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="It may exchange tokens for ones with this audience, had or not; repeatable."
        ),
    ] = None,
    introspect: Annotated[
        bool, typer.Option("--introspect", help="It may ask about any token (RFC 7662).")
    ] = False,
    config: Config = None,
    key_dir: KeyDir = None,
    database_env: DatabaseEnv = None,
) -> None:
    """Register a client. Its secret is printed once, and cannot be shown again.

    Example: [bold]jwtgate signer client add reports --scope read --audience services --key-dir keys[/bold]

    Without a secret: [bold]jwtgate signer client add reports --public-key reports.jwks.json --key-dir keys[/bold]
    """
    made = Client(
        id=name,
        created=time.time(),
        scopes=tuple(scope or ()),
        audience=tuple(audience or ()),
        algorithm=algorithm,
        token_lifetime=token_lifetime,
        may_exchange=exchange or bool(exchange_to),
        exchange_to=tuple(exchange_to or ()),
        may_introspect=introspect,
        jwks=None if public_key is None else public_keys(_read(public_key)),
    )
    # Clients can be added before the signer's first start.
    with open_signer(find_signer(config, key_dir, database_env), make=True) as store:
        _print_secret(add_client(store, made, secret=public_key is None), name)


def list_(config: Config = None, key_dir: KeyDir = None, database_env: DatabaseEnv = None) -> None:
    """List the clients.

    Example: [bold]jwtgate signer client list --key-dir keys[/bold]
    """
    with open_signer(find_signer(config, key_dir, database_env)) as store:
        found = list_clients(store)
    table = Table("client", "authenticates by", "scopes", "audience", "may", "since", box=None)
    for one in found:
        ways = [way for way, there in (("secret", one.secret_hash), ("private_key_jwt", one.jwks)) if there]
        exchange = " ".join(("exchange to", *one.exchange_to)) if one.exchange_to else "exchange"
        may = [what for what, there in ((exchange, one.may_exchange), ("introspect", one.may_introspect)) if there]
        table.add_row(
            one.id,
            ", ".join(ways),
            " ".join(one.scopes),
            " ".join(one.audience),
            ", ".join(may),
            moment(one.created),
        )
    print_table(table)


def rotate(
    name: Name,
    keep_old: Annotated[
        int, typer.Option(parser=seconds, metavar="TIME", help="How long the old secret still holds.")
    ] = "0",  # type: ignore[assignment]  # typer's parsers read defaults too
    config: Config = None,
    key_dir: KeyDir = None,
    database_env: DatabaseEnv = None,
) -> None:
    """Give a client a new secret. The old one ends at once, or after --keep-old.

    Example: [bold]jwtgate signer client rotate-secret reports --keep-old 24h --key-dir keys[/bold]
    """
    with open_signer(find_signer(config, key_dir, database_env)) as store:
        _print_secret(rotate_secret(store, name, now=time.time(), keep_old=keep_old), name)


def remove(name: Name, config: Config = None, key_dir: KeyDir = None, database_env: DatabaseEnv = None) -> None:
    """Remove a client. It gets no more tokens; those that it has hold until they expire.

    Example: [bold]jwtgate signer client remove reports --key-dir keys[/bold]
    """
    with open_signer(find_signer(config, key_dir, database_env)) as store:
        remove_client(store, name)


def _print_secret(secret: str | None, name: str) -> None:
    """The secret alone on standard output, so that a script can keep it."""
    if secret is None:
        typer.echo(f"{name} is registered; it authenticates by private_key_jwt", err=True)
        return
    typer.echo(f"{name}'s secret, shown this once:", err=True)
    typer.echo(secret)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--public-key") from None


for command, called in ((add, "add"), (list_, "list"), (rotate, "rotate-secret"), (remove, "remove")):
    client.command(called, help=help_text(command))(command)
