"""What policies add to a decision, and how long a large plan takes to compile and render.

The decision is `Authenticator` on a remembered token, so that the signature hides nothing; what a policy adds is
the difference to one that requires nothing. All take turns within one run; the table has medians.

    python -m bench.policy [--quick] [--output docs/benchmarks/policies.md]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from bench.goals import Goal
from jwtgate.authenticate import Allow, Authenticator, Credential
from jwtgate.config import load_text
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.nginx import Site, render
from jwtgate.policy import Request
from jwtgate.tokens import VerifiedTokens, mint

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: Final = 1_900_000_000.0
ROUTES, POLICIES = 10_000, 1_000

NONE, TEN, CEL = "nothing", "10 requirements", "one CEL expression"
REQUIREMENTS: Final[dict[str, str]] = {
    NONE: "",
    TEN: """
    require:
      all:
        - scopes: {all: [read, write]}
        - scopes: {any: [write, delete]}
        - roles: {any: [editor, admin]}
        - groups: staff
        - {claim: department, equals: sales}
        - {claim: level, at_least: 3}
        - {claim: email, matches: '[a-z.]+@example\\.com'}
        - {claim: region, one_of: [eu, us]}
        - not: {claim: banned, equals: true}
        - any: [{claim: tenant, prefix: acme}, {claim: amr, contains: otp}]""",
    CEL: """
    require:
      cel: "claims.department == 'sales' && claims.level >= 3 && claims.email.endsWith('@example.com')
        && request.headers['x-tenant'] == claims.tenant" """,
}
BOUNDS: Final = {TEN: 5.0, CEL: 15.0}

CLAIMS: Final[dict[str, Any]] = {
    "iss": "https://issuer.example",
    "aud": "services",
    "sub": "alice",
    "exp": NOW + 3600,
    "scope": "read write profile",
    "roles": ["reader", "editor"],
    "groups": ["staff", "sales"],
    "department": "sales",
    "level": 4,
    "email": "alice@example.com",
    "region": "eu",
    "tenant": "acme-1",
    "amr": ["pwd", "otp"],
}
REQUEST: Final = Request("GET", "/orders/", "shop.example", {"x-tenant": "acme-1"})

HEAD: Final = """
version: 1
issuers:
  main:
    {issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: services, algorithms: [ES256]}
upstreams: {service: http://127.0.0.1:3000}
policies:
"""


def decisions(rounds: int, calls: int) -> dict[str, float]:
    """Median microseconds of a decision, by what the policy requires."""
    key = generate_signing_key("ES256")
    keysets = {"main": read_jwks(json.dumps({"keys": [key.public_jwk()]}).encode())}
    credential = Credential(mint(CLAIMS, key))
    each: dict[str, Callable[[], object]] = {}
    for name, require in REQUIREMENTS.items():
        policy = "  one:\n    issuer: main" + require
        plan = load_text(
            HEAD + policy + "\nroutes: [{path: /, upstream: service, policy: one}]\n", "g.yaml", {}
        ).plan
        (policy_id,) = plan.policies
        authenticate = Authenticator(plan, VerifiedTokens(1 << 20))

        def decide(authenticate: Authenticator = authenticate, policy_id: str = policy_id) -> object:
            return authenticate(keysets, policy_id, credential, NOW, REQUEST)

        assert isinstance(decide(), Allow), name
        each[name] = decide
    samples: dict[str, list[float]] = {name: [] for name in each}
    for _ in range(rounds):
        for name, call in each.items():
            begin = time.process_time()
            for _ in range(calls):
                call()
            samples[name].append((time.process_time() - begin) / calls * 1e6)
    return {name: statistics.median(found) for name, found in samples.items()}


def large_plan() -> tuple[float, float]:
    """Seconds to load and to render 10,000 routes with 1,000 policies."""
    policies = "".join(
        f"  p{number}: {{issuer: main, require: {{roles: {{any: [editor, r{number}]}}, scopes: read, "
        f"cel: \"claims.level > {number} && request.method != 'DELETE'\"}}}}\n"
        for number in range(POLICIES)
    )
    routes = "routes:\n" + "".join(
        f"  - {{path: /service-{number}/, upstream: service, policy: p{number % POLICIES}}}\n"
        for number in range(ROUTES)
    )
    site = Site(
        run_dir=Path("/run/jwtgate"),
        cache_dir=Path("/run/jwtgate/cache"),
        nginx_version=(1, 22, 1),
        workers=2,
        generation="0" * 16,
        epoch="0",
    )
    begin = time.process_time()
    plan = load_text(HEAD + policies + routes, "g.yaml", {}).plan
    loaded = time.process_time()
    text = render(plan, site)
    assert text.count("auth_request /_jwtgate/auth/") == ROUTES
    return loaded - begin, time.process_time() - loaded


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    parser.add_argument("--output", type=Path, help="write the tables there, as Markdown")
    options = parser.parse_args()
    found = decisions(*((5, 2_000) if options.quick else (15, 20_000)))
    load, rendering = large_plan()
    goals = [
        Goal(f"{name}: added to a decision", found[name] - found[NONE], BOUNDS[name], "µs") for name in BOUNDS
    ]
    goals.append(
        Goal(f"{ROUTES:,} routes, {POLICIES:,} policies: compiled and rendered", load + rendering, 5, "s")
    )
    table = Table("what", "goal", "measured", "")
    for goal in goals:
        table.add_row(*goal.cells())
    Console().print(table)
    if options.output:
        options.output.write_text(_markdown(found, load, rendering, goals))


def _markdown(found: dict[str, float], load: float, rendering: float, goals: list[Goal]) -> str:
    lines = [
        "# Policies",
        "",
        f"{(__doc__ or '').partition(chr(10) * 2)[2].partition(chr(10) * 2)[0]}",
        "",
        "| the policy requires | µs a decision | ÷ nothing |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {value:.1f} | {value / found[NONE]:.2f} |" for name, value in found.items()),
        "",
        f"{ROUTES:,} routes with {POLICIES:,} policies: {load:.1f} s to load and compile, {rendering:.1f} s to "
        "render.",
        "",
        "| goal | bound | measured | |",
        "| --- | ---: | ---: | --- |",
        *("| " + " | ".join(goal.cells()) + " |" for goal in goals),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
