"""`jwtgate verify`: is this token good, by these keys? One token for people; JSON lines are verify_batch's."""

from __future__ import annotations

import json
import sys
import time
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from jwtgate.cli.verify_batch import decide, read_own_keys, run_batch
from jwtgate.errors import KeyRefusedError
from jwtgate.keys.algorithms import ALGORITHMS
from jwtgate.keys.encoding import decode_base64url, read_json_object
from jwtgate.reasons import Reason
from jwtgate.tokens import ClaimRules

if TYPE_CHECKING:
    from jwtgate.keys import KeySet

STDIN = "-"


def verify(
    token: Annotated[str | None, typer.Argument(help="The token; `-` reads it from standard input.")] = None,
    *,
    jwks: Annotated[
        str | None, typer.Option(help="File with the issuer's JWK Set, or one JWK; `-`: standard input.")
    ] = None,
    alg: Annotated[list[str] | None, typer.Option(help="An algorithm to accept; repeatable.")] = None,
    iss: Annotated[str | None, typer.Option(help="The issuer that the token must name.")] = None,
    aud: Annotated[list[str] | None, typer.Option(help="An audience; one of them must fit; repeatable.")] = None,
    now: Annotated[float | None, typer.Option(help="Unix time to check at. Default: the present.")] = None,
    decryption_key: Annotated[
        str | None,
        typer.Option(help="File with the private JWK that opens an encrypted token (JWE) around the signed one."),
    ] = None,
    claims: Annotated[
        bool, typer.Option("--claims/--no-claims", help="Check the claims too, or the signature only.")
    ] = True,
    batch: Annotated[
        bool, typer.Option("--batch", help="Read JSON lines from standard input, write a verdict per line.")
    ] = False,
) -> None:
    """Verify a token against a key set, without a gateway.

    Prints the verified header and claims as JSON. A token that is denied gives its reason, and exit code 1.

    Example: [bold]jwtgate verify --jwks jwks.json --alg ES256 --iss https://issuer.example - < token[/bold]

    With [bold]--batch[/bold] each line is an object with "name", "token", "jwks", "algs", and optionally "now",
    "iss", "aud", "claims" (false: signature only) and "decryption_key"; other members are not looked at. Each
    answer has "name", "verdict" and "reason". A line that is no such object is answered with "input_invalid" and
    an "error" that says why; the others are judged all the same, and the exit code is 2.
    """
    moment = time.time() if now is None else now
    if not isfinite(moment):
        raise typer.BadParameter(f"{now}: expected Unix time in seconds", param_hint="--now")
    if batch:
        if not run_batch(sys.stdin.buffer, sys.stdout.buffer, moment):
            raise typer.Exit(2)
        return
    if token is None or jwks is None or not alg:
        raise typer.BadParameter(
            "a token, --jwks and --alg are needed: jwtgate verify --jwks jwks.json --alg ES256 - < token"
        )
    if token == jwks == STDIN:
        raise typer.BadParameter("token and --jwks cannot both be `-`: give one of them as a file")
    _refuse_unknown(alg)
    keys = _keys(jwks)
    for note in keys.notes:
        typer.echo(note, err=True)
    text = sys.stdin.read().strip() if token == STDIN else token
    if decryption_key is not None:
        text = _opened(text, decryption_key)
    rules = ClaimRules(iss, None if aud is None else tuple(aud)) if claims else None
    reason = decide(text, keys, alg, rules, moment)
    if reason is not None:
        _deny(reason)
    header, payload = (decode_base64url(segment.encode()) or b"" for segment in text.split(".")[:2])
    contents = read_json_object(payload)
    shown = {
        "header": read_json_object(header),
        **({"payload": payload.decode(errors="replace")} if contents is None else {"claims": contents}),
    }
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _refuse_unknown(algorithms: list[str]) -> None:
    for name in algorithms:
        if name not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise typer.BadParameter(f"{name!r} is no algorithm: expected one of {known}", param_hint="--alg")


def _keys(file: str) -> KeySet:
    try:
        return read_own_keys(sys.stdin.buffer.read() if file == STDIN else _read_file(file))
    except KeyRefusedError as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--jwks") from None


def _deny(reason: Reason) -> NoReturn:
    typer.echo(f"denied: {reason}", err=True)
    raise typer.Exit(1)


def _opened(token: str, key_file: str) -> str:
    """The signed token inside an encrypted one."""
    from jwtgate.tokens.nested import decrypt, import_decryption_key  # slow to import, and seldom needed

    jwk = read_json_object(_read_file(key_file))
    if jwk is None:
        raise typer.BadParameter(f"{key_file}: expected one JWK, a JSON object", param_hint="--decryption-key")
    inside = decrypt(token, import_decryption_key(jwk))
    return _deny(inside) if isinstance(inside, Reason) else inside


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
