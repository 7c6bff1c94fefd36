"""`jwtgate verify`: is this token good, by these keys? One token for people, JSON lines for corpora."""

from __future__ import annotations

import json
import sys
import time
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import KeySet, public_half, read_jwks
from jwtgate.keys.encoding import decode_base64url, read_json_object
from jwtgate.reasons import Reason
from jwtgate.tokens import MAX_TOKEN_BYTES, ClaimRules, check_signature, parse, verify_token

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

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
    "iss", "aud" and "claims" (false: signature only); each answer has "name", "verdict" and "reason".
    """
    moment = time.time() if now is None else now
    if not isfinite(moment):
        raise typer.BadParameter(f"{now}: expected Unix time in seconds", param_hint="--now")
    if batch:
        for verdict in run_batch(sys.stdin.buffer, moment):
            sys.stdout.write(verdict)
        return
    if token is None or jwks is None or not alg:
        raise typer.BadParameter(
            "a token, --jwks and --alg are needed: jwtgate verify --jwks jwks.json --alg ES256 - < token"
        )
    if token == jwks == STDIN:
        raise typer.BadParameter("token and --jwks cannot both be `-`: give one of them as a file")
    keys = read_own_keys(sys.stdin.buffer.read() if jwks == STDIN else _read_file(jwks))
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


def decide(
    token: str, keys: KeySet, algorithms: Collection[str], rules: ClaimRules | None, now: float
) -> Reason | None:
    """Why `token` is denied, or None. Without `rules` its signature is checked and its payload may be anything."""
    if rules is not None:
        found = verify_token(token, keys, algorithms=algorithms, rules=rules, now=now)
        return found if isinstance(found, Reason) else None
    parsed = parse(token, max_bytes=MAX_TOKEN_BYTES)
    if isinstance(parsed, Reason):
        return parsed
    if parsed.algorithm not in algorithms:
        return Reason.ALGORITHM_NOT_ALLOWED
    key = keys.select(algorithm=parsed.algorithm, kid=parsed.kid, x5t_s256=parsed.x5t_s256)
    return key if isinstance(key, Reason) else check_signature(parsed, key)


def read_own_keys(data: bytes) -> KeySet:
    """The keys of a JWK Set, or of a single JWK, that the person at the keyboard gave.

    Unlike a set from an issuer it may hold key pairs; of those the public half is used.
    """
    document = read_json_object(data)
    if document is None:
        return read_jwks(data)  # which says what is wrong
    entries = [document] if "kty" in document else document.get("keys")
    if isinstance(entries, list):
        entries = [public_half(entry) if isinstance(entry, dict) else entry for entry in entries]
    return read_jwks(json.dumps({"keys": entries}).encode())


def run_batch(lines: Iterable[bytes], now: float) -> Iterator[str]:
    """A verdict, as a line, for each line. Raises BadParameter for a line that is not a JSON object."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        case = read_json_object(line)
        if case is None:
            raise typer.BadParameter(f"line {number} is not a JSON object, or has a member twice")
        reason = judge(case, now)
        verdict = {
            "name": case.get("name"),
            "verdict": "allow" if reason is None else "deny",
            "reason": None if reason is None else str(reason),
        }
        yield json.dumps(verdict, ensure_ascii=False) + "\n"


def judge(case: dict[str, Any], now: float) -> Reason | None:
    """Why the token of a batch line is denied, or None. A key set that is refused as a whole holds no key."""
    given = case.get("jwks")
    try:
        keys = read_own_keys(given.encode() if isinstance(given, str) else json.dumps(given).encode())
    except KeyRefusedError:
        return Reason.ISSUER_UNAVAILABLE
    token = case.get("token")
    if not isinstance(token, str):
        return Reason.TOKEN_MALFORMED
    rules = None if case.get("claims") is False else ClaimRules(case.get("iss"), _audience(case.get("aud")))
    return decide(token, keys, _strings(case.get("algs")), rules, _moment(case.get("now"), now))


def _audience(value: object) -> tuple[str, ...] | None:
    return None if value is None else tuple(_strings([value] if isinstance(value, str) else value))


def _strings(value: object) -> Sequence[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _moment(value: object, now: float) -> float:
    return value if isinstance(value, int | float) else now


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
