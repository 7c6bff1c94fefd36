"""`jwtgate signer rehearse`: would a rotation hurt?"""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import typer

from jwtgate.cli.options import RunDir, running_in
from jwtgate.cli.signer.options import Config, DatabaseEnv, KeyDir, find_signer, open_signer
from jwtgate.control.client import ask_gateway
from jwtgate.errors import SignerError
from jwtgate.jwks import IssuerView
from jwtgate.signer.key_store import known_settings, list_keys, rules_of
from jwtgate.signer.rehearsal import Verifier, rehearse


def rehearse_(
    config: Config = None,
    key_dir: KeyDir = None,
    database_env: DatabaseEnv = None,
    run_dir: RunDir = None,
    every: Annotated[bool, typer.Option("--all", help="Say what is well, too.")] = False,
) -> None:
    """Perform a rotation in a copy, against the keys that a running gateway's validators hold. Nothing is changed.

    It says which validators would meet a key that they have not seen, and ends with 1 if one would.

    Example: [bold]jwtgate signer rehearse --config gateway.yaml[/bold]
    """
    place = find_signer(config, key_dir, database_env)
    now = time.time()
    with open_signer(place) as store:
        settings = known_settings(store, place)
        keys = tuple(times for times, _ in list_keys(store, now))
    told = ask_gateway(running_in(config, run_dir), "keys")
    findings = rehearse(keys, rules_of(settings), _verifiers(told, settings.issuer), now)
    for finding in findings:
        if finding.trouble is not None or every:
            typer.echo(f"{finding.verifier}: {finding.what}: {finding.trouble or 'well'}")
    silent = told["workers"] - told["answering"]
    if silent:
        typer.echo(f"{silent} of {told['workers']} validators did not answer")
    if silent or any(finding.trouble for finding in findings):
        raise typer.Exit(1)
    typer.echo("No validator would meet a key that it has not seen.")


def _verifiers(told: Any, issuer: str) -> tuple[Verifier, ...]:
    views = msgspec.convert(told["issuers"], tuple[IssuerView, ...])
    found = tuple(
        Verifier(
            view.name, frozenset(key.kid for key in view.keys if key.kid), view.next_refresh, failing=view.failing
        )
        for view in views
        if view.issuer == issuer
    )
    if not found:
        raise SignerError(f"the running gateway does not trust the issuer {issuer}")
    return found
