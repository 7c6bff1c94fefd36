"""What a policy's requirements add to a new decision."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from bench.goals import Goal
from bench.interleaved import Row, find, median
from bench.interleaved import measure as take_turns
from bench.markdown import LOAD_COLUMNS, load_cells, table
from bench.systems import jwtgate

if TYPE_CHECKING:
    from bench.workbench import Bench

TITLE = "Policies"

NONE, TEN, CEL = "no requirement", "10 requirements", "a CEL expression"
BOUNDS = {TEN: 5, CEL: 15}
LABEL = "ES256, known, `staleness: 0`"

# A policy of the name `wanted`, for each size; the tokens of this benchmark have few claims.
_TEN = ", ".join(
    ["{claim: sub, prefix: user-}", "{claim: aud, one_of: [services, others]}", "{claim: exp, at_least: 1}"]
    + ["{claim: jti, matches: '.+'}"]
    + [f"{{not: {{claim: absent-{number}, equals: true}}}}" for number in range(6)]
)
POLICIES = {
    NONE: "  wanted: {issuer: es256}",
    TEN: f"  wanted: {{issuer: es256, require: [{_TEN}]}}",
    CEL: "  wanted: {issuer: es256, require: {cel: \"claims.sub.startsWith('user-') && claims.exp > 1\"}}",
}


def measure(bench: Bench) -> list[dict[str, Any]]:
    """A row for each policy, all gateways running at the same time."""
    known = bench.repeated("ES256", 20_000)
    setting = bench.setting()
    rows = []
    with contextlib.ExitStack() as stack:
        for number, (name, policy) in enumerate(POLICIES.items()):
            route = (
                "  - {path: /wanted/, upstream: service, policy: wanted, identity: {X-User: sub}, staleness: 0}"
            )
            text = jwtgate.configuration(setting, policies=policy, routes=route)
            gateway = stack.enter_context(jwtgate.serve(text, setting.directory(f"policies-{number}")))
            rows.append(Row(name, LABEL, gateway, "/wanted/", known, warm=3))
        return take_turns(rows, rounds=bench.rounds, seconds=bench.seconds, step=bench.step, saved=bench.saved)


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """What each adds."""
    none = median(find(rows, NONE, LABEL))
    return [
        Goal(f"{name}: added to a new decision", median(find(rows, name, LABEL)) - none, BOUNDS[name], "µs")
        for name in POLICIES
        if name in BOUNDS
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return "\n\n".join(
        [
            "Each request is a new decision about a token whose signature was checked before: beside the check, "
            "whose time varies by more, the difference would not be seen.",
            table(("policy", *LOAD_COLUMNS), [(row["system"], *load_cells(row)) for row in rows]),
        ]
    )
