"""Which signer a command is about, and times as people write them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jwtgate.cli.options import load_plan
from jwtgate.config import values
from jwtgate.config.problems import Fault
from jwtgate.errors import SignerError
from jwtgate.plan import SignerPlace
from jwtgate.signer.key_store import KeyStore
from jwtgate.signer.passphrase import encryption_key, read_passphrase
from jwtgate.signer.store import DATABASE_FILE, Store, open_store

if TYPE_CHECKING:
    from rich.table import Table

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="GATEWAY.YAML", help="The signer is the one of this configuration."),
]
KeyDir = Annotated[
    Path | None, typer.Option("--key-dir", metavar="DIR", help="The signer is the one with this key directory.")
]
DatabaseEnv = Annotated[
    str | None,
    typer.Option(
        "--database-env",
        metavar="NAME",
        help="The signer is the one whose PostgreSQL database this environment variable names (its URL).",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its content encrypts the private keys."),
]
PassphraseEnv = Annotated[
    str | None,
    typer.Option("--passphrase-env", metavar="NAME", help="This environment variable encrypts the private keys."),
]


def seconds(text: str) -> int:
    """A duration on the command line: 90, 90s, 5m, 24h, 30d."""
    found = values.duration(text)
    if isinstance(found, Fault):
        raise typer.BadParameter(f"{text}: {found.hint}")
    return found


def database_url(name: str | None) -> str | None:
    """The URL in an environment variable. It may hold a password, so no message repeats it."""
    if name is None:
        return None
    found = values.database_url(os.environ.get(name, ""))
    if isinstance(found, Fault):
        raise typer.BadParameter(f"{name} holds no such URL: {found.hint}", param_hint="--database-env")
    return found


def find_signer(
    config: Path | None,
    key_dir: Path | None,
    database_env: str | None,
    passphrase_file: Path | None = None,
    passphrase_env: str | None = None,
) -> SignerPlace:
    """Where the signer is that a command is about."""
    if [config, key_dir, database_env].count(None) != 2:
        raise typer.BadParameter(
            "which signer? Name one of --config gateway.yaml, --key-dir DIR, --database-env NAME"
        )
    place = SignerPlace(key_dir, database_url(database_env)) if config is None else _configured(config)
    if passphrase_file is not None or passphrase_env is not None:
        place = replace(place, passphrase_file=passphrase_file, passphrase_env=passphrase_env)
    return place


def _configured(config: Path) -> SignerPlace:
    found = load_plan(config).signer
    if found is None:
        raise typer.BadParameter(f"{config} has no signer", param_hint="--config")
    return found.place


@contextmanager
def open_signer(place: SignerPlace, *, make: bool = False) -> Iterator[Store]:
    """The signer's store. `make`: if it is not there yet; else that is a SignerError."""
    if not make and place.key_dir is not None and not (place.key_dir / DATABASE_FILE).exists():
        raise SignerError(f"no signer's database in {place.key_dir}: jwtgate signer run makes it, and client add")
    store = open_store(place)
    try:
        yield store
    finally:
        store.close()


def open_keys(store: Store, place: SignerPlace) -> KeyStore:
    """The private keys of the store."""
    return KeyStore(store, encryption_key(store, read_passphrase(place)))


def print_table(table: Table) -> None:
    """A table for who looks. A key id that is cut is none: where nobody looks, the width does not matter."""
    (Console() if sys.stdout.isatty() else Console(width=250)).print(table)


def moment(time: float | None) -> str:
    """A time for people."""
    return "" if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
