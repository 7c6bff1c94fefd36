"""A file of requests: what is sent, and what is expected.

    gateway: policies.yaml                  # beside this file
    now: 2026-01-01T00:00:00Z               # when every request is made; this is the default
    tokens:
      ann: {claims: {sub: ann, scope: "orders:read"}}
    requests:
      - {route: /orders/list, token: ann, expect: allow}
      - {name: nobody, route: /orders/list, expect: token_missing}

Read by the reader of gateway.yaml, so that a mistake is told at its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from jwtgate.config.document import read_document
from jwtgate.config.problems import Fault, Problem, nearest
from jwtgate.config.values import duration
from jwtgate.errors import ConfigError
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jwtgate.config.document import Document
    from jwtgate.config.document import Path as Place

START = 1767225600  # 2026-01-01T00:00:00Z: the same every day, so that a table that passes passes tomorrow

ALLOW, NO_ROUTE = "allow", "no_route"
EXPECTATIONS = (ALLOW, NO_ROUTE, *Reason)

_SMALLEST = (
    'the smallest file is "gateway: gateway.yaml" and "requests: [{route: /, expect: allow}]", each on a line'
)


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that is made for the test: its claims, its issuer's name, and members of its header.

    Absent `iss`, `aud`, `iat` and `exp` are made as the issuer's rules ask; a claim that is null is left out.
    """

    claims: dict[str, Any] = {}
    issuer: str | None = None
    header: dict[str, Any] = {}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request. `token` is the name of one of `tokens`, or a token itself."""

    route: str
    expect: str
    name: str | None = None
    method: str = "GET"
    host: str | None = None
    headers: dict[str, str] = {}
    token: str | None = None
    claims: dict[str, Any] | None = None
    issuer: str | None = None
    header: dict[str, Any] = {}
    at: str | int | None = None  # a moment, or how long after `now`: `+15m`
    identity: dict[str, str] | None = None  # headers that the service gets; others are not looked at


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gateway: str
    requests: list[Case]
    now: str | int = START
    tokens: dict[str, Claims] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the table, with its names looked up. `token`: claims to sign, a token as it is, or none."""

    name: str
    place: str  # file:line:column
    case: Case
    token: Claims | str | None
    now: float


@dataclass(frozen=True, slots=True)
class Table:
    """The requests of a file, and the gateway.yaml that they are about."""

    file: str
    gateway: Path
    requests: tuple[Request, ...]


def read_table(path: Path, environ: Mapping[str, str]) -> Table:
    """Read a file of requests. Raises ConfigError with what is wrong with it."""
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        hint = "name a file of requests; see docs/testing-policies.md"
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {why}", hint)]) from None
    document = read_document(text, str(path), environ, smallest=_SMALLEST)
    if document.problems:
        raise ConfigError(document.problems)
    try:
        file = msgspec.convert(document.data, _File)
    except msgspec.ValidationError as error:
        raise ConfigError([_problem(document, str(error))]) from None
    if not file.requests:
        fault = Fault("there are no requests", "a table that tries nothing would always pass: add one")
        raise ConfigError([document.problem(("requests",), fault)])
    reader = _Reader(document, file, [])
    requests = tuple(reader.request(index, case) for index, case in enumerate(file.requests))
    if reader.problems:
        raise ConfigError(reader.problems)
    return Table(str(path), path.parent / file.gateway, requests)


@dataclass(frozen=True, slots=True)
class _Reader:
    document: Document
    file: _File
    problems: list[Problem]

    def request(self, index: int, case: Case) -> Request:
        place: Place = ("requests", index)
        if case.expect not in EXPECTATIONS:
            hint = nearest(case.expect, EXPECTATIONS) or "write allow, no_route, or a reason such as token_expired"
            self._wrong((*place, "expect"), f'"{case.expect}" is no verdict', hint)
        if not case.route.startswith("/"):
            self._wrong((*place, "route"), "a route is named by a path", "write /orders/list")
        start = self._moment(self.file.now, ("now",), None)
        now = self._moment(case.at, (*place, "at"), start) if case.at is not None else start
        token = case.token or ("no token" if case.claims is None else "claims of its own")
        name = case.name or f"{case.method} {case.route}, {token}"
        return Request(name, self.document.place(place), case, self._token(case, place), now)

    def _token(self, case: Case, place: Place) -> Claims | str | None:
        own = Claims(case.claims or {}, case.issuer, case.header)
        if case.token is None:
            return own if case.claims is not None else None
        named = self.file.tokens.get(case.token)
        if named is None:
            if "." in case.token:
                return case.token
            hint = nearest(case.token, self.file.tokens) or "add it below tokens:, or write the token itself"
            self._wrong((*place, "token"), f'unknown token "{case.token}"', hint)
            return None
        return Claims({**named.claims, **own.claims}, own.issuer or named.issuer, {**named.header, **own.header})

    def _moment(self, value: str | int, place: Place, start: float | None) -> float:
        if isinstance(value, int):
            return value
        if start is not None and value[:1] in ("+", "-"):
            seconds = duration(value[1:])
            if not isinstance(seconds, Fault):
                return start + (seconds if value[0] == "+" else -seconds)
        else:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        self._wrong(place, f'"{value}" is no moment', "write 2026-01-01T12:00:00Z, or +15m: so long after now")
        return START

    def _wrong(self, place: Place, message: str, hint: str) -> None:
        self.problems.append(self.document.problem(place, Fault(message, hint)))


def _problem(document: Document, said: str) -> Problem:
    """What msgspec says of a value, at its place: `Expected `str`, got `int` - at `$.requests[0].name``."""
    message, _, where = said.partition(" - at `$")
    steps = re.findall(r"\.([^.\[\]`]+)|\[([0-9]+)\]", where)
    place: Place = tuple(int(index) if index else name for name, index in steps)
    hint = "a file of requests has gateway, now, tokens and requests; see docs/testing-policies.md"
    return document.problem(place, Fault(message[:1].lower() + message[1:].replace("`", '"'), hint))
