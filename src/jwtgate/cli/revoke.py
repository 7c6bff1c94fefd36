"""`jwtgate revoke`: deny tokens, subjects or clients, although their issuer stands by them."""

from __future__ import annotations

import fcntl
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jwtgate.cli.options import Config, RunDir, load_plan, running_in
from jwtgate.config.problems import Fault
from jwtgate.config.values import duration
from jwtgate.control.client import ask_gateway
from jwtgate.errors import ControlError, DenyListError
from jwtgate.reasons import Reason
from jwtgate.revocation import Denied, read_deny_list, write_denied
from jwtgate.tokens import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.plan import Issuer, Plan

STDIN = "-"
_MAX_LEEWAY = 600  # seconds, of any issuer


def revoke(
    config: Config,
    token: Annotated[
        str | None,
        typer.Option(metavar="-", help="Deny this token, by its `jti`; - reads it from standard input."),
    ] = None,
    *,
    jti: Annotated[list[str] | None, typer.Option(help="Deny the token with this `jti`; repeatable.")] = None,
    sub: Annotated[list[str] | None, typer.Option(help="Deny the tokens of this subject; repeatable.")] = None,
    client_id: Annotated[
        list[str] | None,
        typer.Option(help="Deny the tokens of this client (`client_id` or `azp`); repeatable."),
    ] = None,
    issued_before: Annotated[
        str | None,
        typer.Option(metavar="UNIXTIME|now", help="Spare what was issued later. Alone: all tokens before."),
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose tokens: a name in gateway.yaml, if it has several.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="UNIXTIME|DURATION", help="When the entry ends. Default: the token's end, or never."),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why, for those who read the file.")] = None,
    entries: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Add the entries of a file in the same format.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the entries that have ended.")] = False,
    flush: Annotated[
        bool, typer.Option("--flush/--no-flush", help="Forget the decisions that the gateway has cached.")
    ] = True,
    run_dir: RunDir = None,
) -> None:
    """Deny tokens that are still good by what their issuer says.

    An entry is appended to the `deny_list` of gateway.yaml, so it outlives restarts. A running gateway reads it,
    and its cached decisions are flushed: when the command returns, the tokens are denied. Gateways on other
    machines need the same file, and read it within a second. Removing a line takes back what it denies.

    Example: [bold]jwtgate revoke gateway.yaml --token - < token[/bold]

    Example: [bold]jwtgate revoke gateway.yaml --sub alice --issued-before now --note "laptop lost"[/bold]
    """
    plan = load_plan(config)
    if plan.deny_list is None:
        raise DenyListError(
            f'{config} has no "deny_list": add deny_list: denied.jsonl, make that file (touch denied.jsonl), '
            "and restart the gateway"
        )
    now = int(time.time())
    ask = Asked(plan, issuer, _moment(issued_before, now, "--issued-before"), _end(until, now), note)
    wanted = [
        *([] if token is None else [ask.for_token(_read(token), now)]),
        *(ask.entry(jti=each) for each in jti or ()),
        *(ask.entry(sub=each) for each in sub or ()),
        *(ask.entry(client_id=each) for each in client_id or ()),
        *([] if entries is None else _read_entries(entries)),
    ]
    if not wanted and ask.issued_before is not None:
        wanted = [ask.entry()]
    if not wanted and not prune:
        raise typer.BadParameter("say whom: --token -, --jti, --sub, --client-id, --issued-before or --entries")
    lines = b"".join(map(write_denied, wanted))
    if prune:
        typer.echo(f"removed because they had ended: {remove_ended(plan.deny_list, now - _MAX_LEEWAY)}")
    if wanted:
        append(plan.deny_list, lines)
        typer.echo(f"{len(wanted)} {'entry is' if len(wanted) == 1 else 'entries are'} added to {plan.deny_list}")
    if not flush:
        typer.echo("running gateways read them within a second; what they have cached ends with its staleness")
        return
    try:
        typer.echo(ask_gateway(running_in(config, run_dir), "revoke", {"file": str(plan.deny_list)}))
    except ControlError as error:
        raise ControlError(
            f"the file is written, and this gateway was not told: {error}\n"
            "With --no-flush no gateway is told: those that read the file follow it within a second"
        ) from error


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say about every entry. Times are Unix time."""

    plan: Plan
    issuer: str | None
    issued_before: int | None
    until: int | None
    note: str | None

    def entry(self, *, jti: str | None = None, sub: str | None = None, client_id: str | None = None) -> Denied:
        """An entry for what is named, of the issuer that is meant."""
        return Denied(
            iss=self._issuer().issuer,
            jti=jti,
            sub=sub,
            client_id=client_id,
            issued_before=self.issued_before,
            until=self.until,
            note=self.note,
        )

    def for_token(self, text: str, now: int) -> Denied:
        """An entry for one token, which ends when the token does. Its signature is not checked."""
        parsed = parse(text, max_bytes=self.plan.max_token_bytes)
        claims = None if isinstance(parsed, Reason) else parsed.claims
        if claims is None:
            raise DenyListError("this is no token: a token is header.payload.signature, each base64url")
        issuer = next((each for each in self.plan.issuers.values() if each.issuer == claims.get("iss")), None)
        if issuer is None:
            raise DenyListError("the token names an issuer that this gateway does not trust: it is denied already")
        name, end = claims.get("jti"), claims.get("exp")
        if not isinstance(name, str):
            raise DenyListError(
                "the token has no `jti` to know it by: deny its subject, or what was issued before now: "
                "--sub NAME --issued-before now"
            )
        until = self.until
        if until is None and isinstance(end, int | float) and end < 2**32:
            until = int(end) + issuer.leeway + 1
            if until <= now:
                raise DenyListError("the token has expired: it is denied already")
        return Denied(iss=issuer.issuer, jti=name, until=until, note=self.note)

    def _issuer(self) -> Issuer:
        issuers = self.plan.issuers
        if self.issuer is not None and self.issuer in issuers:
            return issuers[self.issuer]
        if self.issuer is None and len(issuers) == 1:
            return next(iter(issuers.values()))
        raise typer.BadParameter(f"write --issuer with one of: {', '.join(issuers)}", param_hint="--issuer")


def append(path: Path, lines: bytes) -> None:
    """Add whole lines to the file, which are on the disk when this returns. Raises DenyListError."""
    with _alone_with(path), path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # by hand, and the last line was not ended
                lines = b"\n" + lines
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def remove_ended(path: Path, now: int) -> int:
    """Replace the file by one without the entries that ended before `now`. Returns how many they were."""
    with _alone_with(path):
        kept, removed = [], 0
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
            entry = next(read_deny_list(line, str(path), first=number), None)
            if entry is not None and entry.until is not None and entry.until <= now:
                removed += 1
            else:
                kept.append(line)
        if removed:
            _replace(path, b"".join(kept))
        return removed


def _replace(path: Path, text: bytes) -> None:
    before = path.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(text)
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """No other `jwtgate revoke` changes the file meanwhile. The lock is its directory's: the file is replaced."""
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)
    except OSError as error:
        raise DenyListError(f"{path} cannot be written: {error.strerror or error}") from error


def _read(token: str) -> str:
    if token != STDIN:
        raise typer.BadParameter("write --token -, and the token to standard input", param_hint="--token")
    return sys.stdin.read().strip()


def _read_entries(name: str) -> list[Denied]:
    try:
        text = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise DenyListError(f"{name} cannot be read: {error.strerror or error}") from error
    return list(read_deny_list(text, "standard input" if name == STDIN else name))


def _moment(text: str | None, now: int, option: str) -> int | None:
    if text is None:
        return None
    if text == "now":
        return now
    if re.fullmatch(r"[0-9]{1,10}", text):
        return int(text)
    raise typer.BadParameter("write seconds since 1970, such as 1767225600, or now", param_hint=option)


def _end(text: str | None, now: int) -> int | None:
    if text is None or re.fullmatch(r"[0-9]{9,10}", text):
        return None if text is None else int(text)
    seconds = duration(text)
    if isinstance(seconds, Fault):
        raise typer.BadParameter("write a duration such as 24h, or seconds since 1970", param_hint="--until")
    return now + seconds
