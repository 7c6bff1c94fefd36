"""What revocation costs: a status list of a million tokens, and a deny-list of a million entries.

Sizes and times of the list as it travels; memory of both in a worker; and what they add to a decision, as ratios
of slices that take turns.

    python -m bench.revocation [--tokens 1000000] [--write docs/benchmarks/revocation.md]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jwtgate import generate_signing_key, mint, read_jwks
from jwtgate.authenticate import Allow, Authenticator, Credential
from jwtgate.config import load_text
from jwtgate.revocation import (
    Denied,
    DenyList,
    HeldList,
    Standing,
    pack,
    read_deny_list,
    read_status_token,
    status_claims,
    write_denied,
)
from jwtgate.revocation.status_token import TYP
from jwtgate.tokens import VerifiedTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ISSUER: Final = "https://issuer.example"
URI: Final = f"{ISSUER}/status-list"
NOW: Final = 1_900_000_000
SHARES: Final = (0.0, 0.0001, 0.01, 0.1, 0.5)
SLICES: Final = 40
SLICE: Final = 250

PLAN: Final = load_text(
    f"""
version: 1
issuers:
  issuer: {{issuer: "{ISSUER}", jwks: "{ISSUER}/jwks", audience: services, algorithms: [ES256],
            status_lists: "{URI}"}}
upstreams: {{service: ["http://127.0.0.1:9"]}}
policies: {{caller: {{issuer: issuer}}}}
routes: [{{path: /, upstream: service, policy: caller, identity: {{X-User: sub}}}}]
""",
    "bench.yaml",
    {},
).plan
KEY: Final = generate_signing_key("ES256")
KEYS: Final = read_jwks(json.dumps({"keys": [KEY.public_jwk()]}).encode())


def resident() -> float:
    """Megabytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def best(times: int, act: Callable[[], Any]) -> float:
    """CPU milliseconds, the best of several."""
    spent = []
    for _ in range(times):
        before = time.process_time()
        act()
        spent.append((time.process_time() - before) * 1000)
    return min(spent)


@dataclass(frozen=True, slots=True)
class ListRow:
    """One status list."""

    bits: int
    share: float
    array: int
    token: int
    sign: float
    read: float


def status_lists(tokens: int) -> list[ListRow]:
    """A list for each number of bits and each share of revoked tokens."""
    rows = []
    chance = random.Random(1)
    for bits in (1, 2):
        for share in SHARES:
            revoked = dict.fromkeys(chance.sample(range(tokens), int(tokens * share)), 1)
            statuses = pack(revoked, tokens, bits)

            def sign(statuses: Any = statuses) -> bytes:
                claims = status_claims(URI, ISSUER, statuses, issued_at=NOW, lifetime=600, ttl=10)
                return mint(claims, KEY, typ=TYP).encode()

            text = sign()

            def read(text: bytes = text) -> None:
                read_status_token(
                    text, uri=URI, issuer=PLAN.issuers["issuer"], keys=KEYS, now=NOW, max_bytes=1 << 20
                )

            rows.append(ListRow(bits, share, len(statuses.octets), len(text), best(3, sign), best(3, read)))
    return rows


def claims(number: int) -> dict[str, Any]:
    """Some 200 bytes, as access tokens have them."""
    return {
        "iss": ISSUER,
        "sub": f"user-{number:07}",
        "aud": "services",
        "client_id": f"client-{number % 100}",
        "iat": NOW - 60,
        "exp": NOW + 3600,
        "jti": f"{number * 2654435761 % 2**64:016x}",
        "scope": "read write",
    }


def entries(count: int) -> bytes:
    """A deny-list of all four kinds; most entries are tokens by their jti."""
    kinds: list[dict[str, Any]] = [
        {"jti": f"denied-{number:016x}", "until": NOW + 3600} for number in range(count - 3000)
    ]
    kinds += [{"sub": f"denied-{number}", "issued_before": NOW - 3600} for number in range(2000)]
    kinds += [{"client_id": f"denied-{number}"} for number in range(999)]
    return b"".join(write_denied(Denied(iss=ISSUER, **each)) for each in kinds) + write_denied(
        Denied(iss=ISSUER, issued_before=NOW - 7200)
    )


def decided(standing: Standing, tokens: Sequence[str], memory: int) -> Callable[[Sequence[int]], float]:
    """What decides, and takes that many CPU microseconds for each token."""
    authenticate = Authenticator(PLAN, VerifiedTokens(memory), standing)
    policy = next(iter(PLAN.policies))
    keysets = {"issuer": KEYS}

    def run(numbers: Sequence[int]) -> float:
        before = time.process_time()
        for number in numbers:
            if type(authenticate(keysets, policy, Credential(tokens[number]), NOW)) is not Allow:
                raise AssertionError
        return (time.process_time() - before) / len(numbers) * 1e6

    return run


@dataclass(frozen=True, slots=True)
class CostRow:
    """What a decision costs, microseconds, and the median of its slices' ratios to those without anything."""

    name: str
    new: float
    new_ratio: float
    seen: float
    seen_ratio: float


def costs(kinds: Sequence[tuple[str, Standing, Sequence[str]]]) -> list[CostRow]:
    """Slices of each kind in turn, for new tokens and for those seen before. The first kind is the measure."""
    figures: dict[tuple[str, str], list[float]] = {}
    for what, memory in (("new", 0), ("seen", 64 << 20)):
        runs = [(name, decided(standing, tokens, memory)) for name, standing, tokens in kinds]
        everything = list(range(SLICE))
        for _, run in runs:
            run(everything)  # the first time nothing was seen before
        for number in range(SLICES):
            for name, run in runs if number % 2 else reversed(runs):
                figures.setdefault((name, what), []).append(run(everything))
    first = kinds[0][0]

    def ratio(name: str, what: str) -> float:
        return statistics.median(
            own / other for own, other in zip(figures[name, what], figures[first, what], strict=True)
        )

    return [
        CostRow(
            name,
            statistics.median(figures[name, "new"]),
            ratio(name, "new"),
            statistics.median(figures[name, "seen"]),
            ratio(name, "seen"),
        )
        for name, _, _ in kinds
    ]


def report(count: int) -> str:
    """All figures, in Markdown."""
    lists = status_lists(count)
    text = entries(count)
    before = resident()
    denied = DenyList()
    began = time.process_time()
    for entry in read_deny_list(text, "denied.jsonl"):
        denied.add(entry)
    load = time.process_time() - began
    megabytes = resident() - before
    plain, with_list, with_denied, both = Standing(), Standing(), Standing(), Standing()
    with_denied.denied = both.denied = denied
    held = HeldList(pack({count - 1: 1}, count), NOW + 60)
    with_list.lists["issuer", URI] = both.lists["issuer", URI] = held
    without = [mint(claims(number), KEY) for number in range(SLICE)]
    status = [
        mint(claims(number) | {"status": {"status_list": {"idx": number * 997 % count, "uri": URI}}}, KEY)
        for number in range(SLICE)
    ]
    table = costs(
        [
            ("nothing", plain, without),
            (f"deny-list of {count:,}", with_denied, without),
            (f"status list of {count:,}", with_list, status),
            ("both", both, status),
        ]
    )
    lists_table = "\n".join(
        f"| {row.bits} | {row.share:.2%} | {row.array / 1000:,.0f} kB | {row.token / 1000:,.1f} kB "
        f"| {row.sign:.1f} ms | {row.read:.1f} ms |"
        for row in lists
    )
    cost_table = "\n".join(
        f"| {row.name} | {row.new:.1f} µs | {row.new_ratio:.3f} | {row.seen:.1f} µs | {row.seen_ratio:.3f} |"
        for row in table
    )
    return f"""# What revocation costs

By `python -m bench.revocation`. CPU time; the best of three for the list, medians for decisions.

## A status list of {count:,} tokens

As it travels (a signed JWT, compressed), what it takes to make and sign it, and to verify and inflate it in a
worker, each time that it has changed. The array is what a worker keeps. The revoked tokens are scattered at
random, which is the worst for the compression.

| bits | revoked | array | token | make and sign | verify and inflate |
| ---: | ---: | ---: | ---: | ---: | ---: |
{lists_table}

## A deny-list of {count:,} entries

{len(text) / 1e6:,.0f} MB as a file, {megabytes:,.0f} MB in each worker, read in {load:.1f} s of CPU time at the
start. An entry that is appended later is read alone.

## What a decision costs

The whole decision about an ES256 token in Python: {SLICES} slices of {SLICE} tokens that take turns; the ratio is
the median of the slices' ratios to those without revocation. The deny-list has entries of all four kinds, so each
is looked for. A token with a `status` has more claims to read. Behind NGINX, the way to Python and back is added
to both sides of the ratio, so it is less there; and a decision that NGINX repeats costs nothing more.

| with | new token | ratio | token seen before | ratio |
| --- | ---: | ---: | ---: | ---: |
{cost_table}

CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}.
"""


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    text = report(arguments.tokens)
    if arguments.write is None:
        print(text)
    else:
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
