"""`jwtgate signer keys`: which keys there are, and where each is in its life."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.table import Table

from jwtgate.cli.signer.options import Config, DatabaseEnv, KeyDir, find_signer, moment, open_signer, print_table
from jwtgate.keys.lifecycle import KeyState
from jwtgate.signer.key_store import list_keys


def keys(
    config: Config = None,
    key_dir: KeyDir = None,
    database_env: DatabaseEnv = None,
    public: Annotated[
        bool, typer.Option("--public", help="Print the JWK Set that is published, for a jwks_file.")
    ] = False,
) -> None:
    """List the signing keys: announced, signing, retiring. No passphrase is needed.

    Example: [bold]jwtgate signer keys --key-dir keys[/bold]

    The public keys alone: [bold]jwtgate signer keys --key-dir keys --public > jwks.json[/bold]
    """
    now = time.time()
    with open_signer(find_signer(config, key_dir, database_env)) as store:
        found = list_keys(store, now)
    if public:
        typer.echo(json.dumps({"keys": [jwk for _, jwk in found]}, indent=2))
        return
    table = Table("key id", "algorithm", "state", "signs from", "until", "gone", box=None)
    for times, _ in found:
        state = times.state(now)
        style = "bold" if state is KeyState.SIGNING else ""
        table.add_row(
            times.kid,
            times.algorithm,
            str(state),
            moment(times.signs_from),
            moment(times.signs_until),
            moment(times.gone_at),
            style=style,
        )
    print_table(table)
