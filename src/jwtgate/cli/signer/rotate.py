"""`jwtgate signer rotate`: the next key."""

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
    moment,
    open_keys,
    open_signer,
)
from jwtgate.keys.lifecycle import KeyState, KeyTimes


def rotate(
    config: Config = None,
    key_dir: KeyDir = None,
    database_env: DatabaseEnv = None,
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
    algorithm: Annotated[
        list[str] | None, typer.Option(metavar="ALG", help="Only the key of this algorithm; repeatable.")
    ] = None,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Drop the old keys this moment: they are in wrong hands.")
    ] = False,
    kid: Annotated[
        str | None, typer.Option(metavar="KEY-ID", help="With --emergency: drop this key only.")
    ] = None,
) -> None:
    """Announce a new key, which takes over once every verifier can have seen it. Running signers follow at once.

    Nothing breaks. With --emergency, the old keys are gone this moment, and the command says what that breaks.

    Example: [bold]jwtgate signer rotate --key-dir keys[/bold]
    """
    if kid is not None and not emergency:
        raise typer.BadParameter("--kid is for --emergency", param_hint="--kid")
    if emergency and algorithm:
        raise typer.BadParameter(
            "--emergency drops all keys, or the one that --kid names", param_hint="--algorithm"
        )
    place = find_signer(config, key_dir, database_env, passphrase_file, passphrase_env)
    now = time.time()
    with open_signer(place) as store:
        keys = open_keys(store, place)
        if emergency:
            _say_what_breaks(keys.drop_now(now, kid), now)
            return
        for key in keys.rotate(now, algorithm or ()):
            typer.echo(f"{key.kid} ({key.algorithm}) is announced, and signs from {moment(key.signs_from)}")


def _say_what_breaks(dropped: tuple[KeyTimes, ...], now: float) -> None:
    used = [key for key in dropped if key.state(now) is not KeyState.ANNOUNCED]
    for key in dropped:
        typer.echo(f"{key.kid} ({key.algorithm}, {key.state(now)}) is gone; new tokens are signed by another key")
    if not used:
        typer.echo("No token was signed by it: nothing breaks.")
        return
    last = max(min(key.signs_until or now, now) + key.longest_lifetime for key in used)
    max_age = max(key.jwks_max_age for key in dropped)
    for line in (
        "What that breaks:",
        (
            f"- Tokens that these keys signed are refused; the last of them would have held until {moment(last)}. "
            "Clients have to get new ones."
        ),
        (
            f"- A verifier that keeps the key set may take the old tokens for up to {max_age} s more "
            "(its Cache-Control), longer if it ignores that."
        ),
        (
            "- A verifier that does not fetch the key set when it meets an unknown key refuses new tokens "
            f"for up to {max_age} s. jwtgate's gateways fetch it."
        ),
    ):
        typer.echo(line)
