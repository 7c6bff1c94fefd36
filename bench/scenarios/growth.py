"""What more routes, issuers, keys and revoked tokens cost a request: nothing, if all is looked up by hash."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from bench.goals import Goal
from bench.interleaved import Row, find, median
from bench.interleaved import measure as take_turns
from bench.markdown import LOAD_COLUMNS, load_cells, table
from bench.scenarios.costs import new, repeated
from bench.systems import AUDIENCE, issuer_of, jwtgate
from jwtgate.keys import generate_signing_key
from jwtgate.revocation import Denied, write_denied

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workbench import Bench

TITLE = "More routes, issuers, keys, revoked tokens"

KEYS_AN_ISSUER = 10

# Name, base that it is compared with.
SIZES = {
    "1 issuer, 1 key, 4 routes": None,
    "1,000 routes": "1 issuer, 1 key, 4 routes",
    "10,000 routes": "1 issuer, 1 key, 4 routes",
    "1,000 issuers, 10,000 keys": "1 issuer, 1 key, 4 routes",
    "1,000,000 revoked": "1 issuer, 1 key, 4 routes",
}


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Rows for each size, all gateways running at the same time."""
    often = bench.repeated("ES256")
    fresh = bench.fresh("ES256", 9_000 * bench.seconds, bench.rounds)
    setting = bench.setting()
    keys = {"ES256": setting.keys["ES256"]}
    setting = type(setting)(setting.work, setting.service, keys, setting.staleness)
    texts = {
        "1 issuer, 1 key, 4 routes": jwtgate.configuration(setting),
        "1,000 routes": jwtgate.configuration(setting, routes=many_routes(1_000)),
        "10,000 routes": jwtgate.configuration(setting, routes=many_routes(10_000)),
        "1,000 issuers, 10,000 keys": jwtgate.configuration(
            setting, issuers=_issuers(1_000, bench.work), policies=_policy_of_all(1_000), routes=_ROUTE_OF_ALL
        ),
        "1,000,000 revoked": jwtgate.configuration(
            setting, top=f"cache: {{max_size: 1g}}\ndeny_list: {_revoked(1_000_000, bench.work)}"
        ),
    }
    rows = []
    with contextlib.ExitStack() as stack:
        for number, (name, text) in enumerate(texts.items()):
            bench.step(f"starting with {name}")
            directory = setting.directory(f"growth-{number}")
            gateway = stack.enter_context(jwtgate.serve(text, directory))
            path = "/all/" if "issuers, " in name else "/es256/"
            rows.append(Row(name, repeated("ES256"), gateway, path, often, warm=1))
            rows.append(Row(name, new("ES256"), gateway, path, fresh))
        return take_turns(rows, rounds=bench.rounds, seconds=bench.seconds, step=bench.step, saved=bench.saved)


_ROUTE_OF_ALL = "  - {path: /all/, upstream: service, policy: all, identity: {X-User: sub}}"


def many_routes(number: int) -> str:
    """Lines of gateway.yaml's routes."""
    return "\n".join(
        f"  - {{path: /service-{route}/, upstream: service, policy: es256, identity: {{X-User: sub}}}}"
        for route in range(number)
    )


def _issuers(number: int, work: Path) -> str:
    """Issuers with ten keys each. The keys are the same ten: what counts is that they are held."""
    keys = [generate_signing_key("ES256").public_jwk() for _ in range(KEYS_AN_ISSUER)]
    file = work / "ten.jwks"
    file.write_text(json.dumps({"keys": keys}))
    return "\n".join(
        f"  more-{issuer}: {{issuer: 'https://issuer-{issuer}.example', jwks_file: {file}, audience: {AUDIENCE}, "
        "algorithms: [ES256]}"
        for issuer in range(number - 1)
    )


def _revoked(number: int, work: Path) -> Path:
    """A deny-list of tokens of our issuer that never come."""
    file = work / "denied.jsonl"
    issuer = issuer_of("ES256")
    with file.open("wb") as lines:
        lines.writelines(write_denied(Denied(iss=issuer, jti=f"revoked-{each}")) for each in range(number))
    file.chmod(0o600)
    return file


def _policy_of_all(number: int) -> str:
    names = ", ".join(f"more-{issuer}" for issuer in range(number - 1))
    return f"  all: {{issuers: [es256, {names}]}}"


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Each size beside its base."""
    return [
        Goal(
            f"{name}: {label}, growth",
            (median(find(rows, name, label)) / median(find(rows, base, label)) - 1) * 100,
            10,
            "%",
        )
        for name, base in SIZES.items()
        if base
        for label in (repeated("ES256"), new("ES256"))
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return "\n\n".join(
        [
            "Gateways of different sizes, side by side. With many issuers, the route's policy trusts them all.",
            table(
                ("size", "tokens", *LOAD_COLUMNS),
                [(row["system"], row["label"], *load_cells(row)) for row in rows],
                left=2,
            ),
        ]
    )
