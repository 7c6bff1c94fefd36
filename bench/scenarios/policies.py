"""What a policy's requirements add to a new decision."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from bench import policy
from bench.goals import Goal
from bench.interleaved import Row, find, median
from bench.interleaved import measure as take_turns
from bench.load import Tokens
from bench.markdown import LOAD_COLUMNS, load_cells, repeats, table
from bench.minting import KEPT, at_least, claims_of
from bench.systems import issuer_of, jwtgate
from jwtgate.keys import load_signing_key, serialise_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from bench.workbench import Bench

TITLE = "Policies"

NONE, TEN, CEL = "no requirement", "10 requirements", "a CEL expression"
BOUNDS = {TEN: 5, CEL: 15}
LABEL = "ES256, known, `staleness: 0`"

# What the policy of the name `wanted` requires, for each size.
REQUIREMENTS = {
    NONE: "",
    TEN: policy.REQUIREMENTS[policy.TEN],
    CEL: """
    require:
      cel: "claims.department == 'sales' && claims.level >= 3 && claims.email.endsWith('@example.com')" """,
}
_CLAIMS = {name: value for name, value in policy.CLAIMS.items() if name not in ("iss", "aud", "sub", "exp")}
_TOKENS = 20_000


def measure(bench: Bench) -> list[dict[str, Any]]:
    """A row for each policy, all gateways running at the same time."""
    setting = bench.setting()
    bench.step(f"minting {_TOKENS:,}")
    minter = partial(_mint, pem=serialise_signing_key(bench.keys["ES256"], None))
    known = Tokens(at_least(KEPT / "tokens" / "ES256-policies.txt", _TOKENS, minter), _TOKENS)
    rows = []
    with contextlib.ExitStack() as stack:
        for number, (name, require) in enumerate(REQUIREMENTS.items()):
            route = (
                "  - {path: /wanted/, upstream: service, policy: wanted, identity: {X-User: sub}, staleness: 0}"
            )
            wanted = f"  wanted:\n    issuer: es256{require}"
            text = jwtgate.configuration(setting, policies=wanted, routes=route)
            gateway = stack.enter_context(jwtgate.serve(text, setting.directory(f"policies-{number}")))
            rows.append(Row(name, LABEL, gateway, "/wanted/", known, warm=3))
        return take_turns(rows, rounds=bench.rounds, seconds=bench.seconds, step=bench.step, saved=bench.saved)


def _mint(numbers: range, *, pem: bytes, made: int) -> list[str]:
    """Tokens with claims that all policies are content with."""
    key = load_signing_key(pem, "ES256", None)
    return [mint(claims_of(number, issuer_of("ES256"), made) | _CLAIMS, key) for number in numbers]


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """What each adds."""
    none = median(find(rows, NONE, LABEL))
    return [
        Goal(f"{name}: added to a new decision", median(find(rows, name, LABEL)) - none, BOUNDS[name], "µs")
        for name in REQUIREMENTS
        if name in BOUNDS
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return "\n\n".join(
        [
            "Each request is a new decision about a token whose signature was checked before: beside the check, "
            "whose time varies by more, the difference would not be seen. The ten are those of "
            "[the decision alone](policies.md), about a token with as many claims.",
            table(("policy", *LOAD_COLUMNS), [(row["system"], *load_cells(row)) for row in rows]),
            repeats(rows),
        ]
    )
