"""What more routes, issuers, keys and revoked tokens cost a request: nothing, if all is looked up by hash."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench import crowd
from bench.goals import Goal
from bench.interleaved import REPEATS, Row, find, median
from bench.interleaved import measure as take_turns
from bench.load import Tokens
from bench.markdown import LOAD_COLUMNS, load_cells, repeats, table
from bench.scenarios.costs import new, repeated
from bench.systems import AUDIENCE, issuer_of, jwtgate
from jwtgate.revocation import Denied, write_denied

if TYPE_CHECKING:
    from pathlib import Path

    from bench.systems import Setting
    from bench.workbench import Bench

TITLE = "More routes, issuers, keys, revoked tokens"

BASE = "10 routes, 1 issuer, 1 key, none revoked"
ROUTES = {BASE: 10, "1,000 routes": 1_000, "10,000 routes": 10_000}
ISSUERS, KEYS, REVOKED = "1,000 issuers", "10,000 keys", "1,000,000 revoked"
SIZES = (*ROUTES, ISSUERS, KEYS, REVOKED)

_OWN_ROUTES = 2  # of jwtgate.configuration with one algorithm
_A_RUN = 9_000  # new tokens a second
_CROWD = "crowd"


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Rows for each size, all gateways running at the same time."""
    setting = replace(bench.setting(), keys={"ES256": bench.keys["ES256"]})
    one = (bench.repeated("ES256"), bench.fresh("ES256", _A_RUN * bench.seconds, bench.rounds))
    one_path, crowd_path = "/es256/", f"/{_CROWD}/"
    few = many_routes(ROUTES[BASE] - _OWN_ROUTES)
    sizes: dict[str, tuple[str, str, tuple[Tokens, Tokens]]] = {
        name: (jwtgate.configuration(setting, routes=many_routes(number - _OWN_ROUTES)), one_path, one)
        for name, number in ROUTES.items()
    }
    sizes |= {
        ISSUERS: (_of_issuers(setting, 1_000, few), crowd_path, _tokens(bench, None, 999)),
        KEYS: (_of_keys(setting, 10_000, few), crowd_path, _tokens(bench, crowd.issuer_at(0))),
        REVOKED: (
            jwtgate.configuration(
                setting,
                routes=few,
                top=f"cache: {{max_size: 1g}}\ndeny_list: {_revoked(1_000_000, bench.work)}",
            ),
            one_path,
            one,
        ),
    }
    rows = []
    with contextlib.ExitStack() as stack:
        for number, (name, (text, path, (often, fresh))) in enumerate(sizes.items()):
            bench.step(f"starting with {name}")
            gateway = stack.enter_context(jwtgate.serve(text, setting.directory(f"growth-{number}")))
            rows.append(Row(name, repeated("ES256"), gateway, path, often, warm=1))
            rows.append(Row(name, new("ES256"), gateway, path, fresh))
        return take_turns(rows, rounds=bench.rounds, seconds=bench.seconds, step=bench.step, saved=bench.saved)


def _tokens(bench: Bench, issuer: str | None, issuers: int = 1) -> tuple[Tokens, Tokens]:
    """Of all signers of the crowd: 100 in turn, and new ones."""
    a_run = _A_RUN * bench.seconds
    bench.step(f"minting for {ISSUERS if issuer is None else KEYS}")
    fresh = crowd.token_file(a_run * (bench.rounds + REPEATS), issuer, issuers, fresh=True)
    return Tokens(crowd.token_file(100, issuer, issuers), 100), Tokens(fresh, a_run, fresh=True)


_CROWD_ROUTE = f"  - {{path: /{_CROWD}/, upstream: service, policy: {_CROWD}, identity: {{X-User: sub}}}}"


def _of_issuers(setting: Setting, number: int, routes: str) -> str:
    """So many issuers with a key each; a policy trusts all."""
    keys = list(enumerate(crowd.public_keys(number - 1)))
    issuers = "\n".join(
        f"  more-{place}: {{issuer: '{crowd.issuer_at(place)}', keys: [{json.dumps(key)}], audience: {AUDIENCE}, "
        "algorithms: [ES256]}"
        for place, key in keys
    )
    names = ", ".join(f"more-{place}" for place, _ in keys)
    policies = f"  {_CROWD}: {{issuers: [es256, {names}]}}"
    return jwtgate.configuration(setting, issuers=issuers, policies=policies, routes=f"{routes}\n{_CROWD_ROUTE}")


def _of_keys(setting: Setting, number: int, routes: str) -> str:
    """One more issuer, with so many keys. In gateway.yaml: so many of these are too much for a `jwks_file`."""
    keys = ",\n    ".join(json.dumps(key) for key in crowd.public_keys(number))
    issuer = f"{{issuer: '{crowd.issuer_at(0)}', audience: {AUDIENCE}, algorithms: [ES256], keys: [{keys}]}}"
    return jwtgate.configuration(
        setting,
        issuers=f"  {_CROWD}: {issuer}",
        policies=f"  {_CROWD}: {{issuer: {_CROWD}}}",
        routes=f"{routes}\n{_CROWD_ROUTE}",
    )


def many_routes(number: int) -> str:
    """Lines of gateway.yaml's routes."""
    return "\n".join(
        f"  - {{path: /service-{route}/, upstream: service, policy: es256, identity: {{X-User: sub}}}}"
        for route in range(number)
    )


def _revoked(number: int, work: Path) -> Path:
    """A deny-list of tokens of our issuer that never come."""
    file = work / "denied.jsonl"
    issuer = issuer_of("ES256")
    with file.open("wb") as lines:
        lines.writelines(write_denied(Denied(iss=issuer, jti=f"revoked-{each}")) for each in range(number))
    file.chmod(0o600)
    return file


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Each size beside the base, which is measured in the same rounds."""
    return [
        Goal(
            f"{name}: {label}, growth",
            (median(find(rows, name, label)) / median(find(rows, BASE, label)) - 1) * 100,
            10,
            "%",
        )
        for name in SIZES
        if name != BASE
        for label in (repeated("ES256"), new("ES256"))
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return "\n\n".join(
        [
            f"Gateways of different sizes, side by side; all but those of many routes have {ROUTES[BASE]}. "
            f"{ISSUERS} have a key each, and the route's policy trusts them all; {KEYS} are those of one issuer. "
            f"In both, the tokens are signed by {crowd.SIGNERS} of the keys in turn (repeated ones by 100). In "
            "the others, the same key signs all. None of the tokens is revoked.",
            table(
                ("size", "tokens", *LOAD_COLUMNS),
                [(row["system"], row["label"], *load_cells(row)) for row in rows],
                left=2,
            ),
            repeats(rows),
        ]
    )
