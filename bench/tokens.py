"""What a token's verification costs, over the bare signature check of `cryptography` on the same inputs.

For each algorithm the same distinct tokens go through: the bare check (key prepared, signature converted, data
cut out beforehand); jwtgate's whole verification (`verify_token`: parse, issuer, key, signature, claims); the
gateway's whole decision (`Authenticator`: the same, digest and memory of verified tokens, identity headers, how
long it may be cached), about new tokens and about tokens seen before; PyJWT and joserfc, checking the same
claims with a prepared key. All take turns on one slice of tokens after the other, three times, so that a noisy
machine is noisy for each. Of the three the best counts; the figures are medians over the slices, the ratios
medians of those within a slice.

    python -m bench.tokens [--tokens 10000] [--algorithms ES256 RS256 …] [--output docs/benchmarks/tokens.md]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from rich.console import Console
from rich.progress import track
from rich.table import Table

from jwtgate.authenticate import Allow, Authenticator, Credential
from jwtgate.config import load_text
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.keys.encoding import decode_base64url
from jwtgate.tokens import ClaimRules, VerifiedToken, VerifiedTokens, mint, verify_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jwtgate.keys import SigningKey
    from jwtgate.plan import Plan

NOW: Final = 1_900_000_000.0
ISSUER: Final = "https://issuer.example/realms/services"
SLICE: Final = 250
MEMORY: Final = 64 * 1024 * 1024
PASSES: Final = 3

# The goals: whole verification ÷ bare check.
GOALS: Final = {"ES256": 1.15, "RS256": 1.35, "ES512": 1.10, "EdDSA": 1.10, "ML-DSA-65": 1.10}
SEEN_GOAL: Final = 8.0  # microseconds, where ES256's bare check takes 63
ALGORITHMS: Final = ("ES256", "RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "ML-DSA-44", "ML-DSA-65")

PLAN: Final = """
version: 1
issuers:
  issuer:
    issuer: {issuer}
    jwks: https://issuer.example/jwks
    audience: services
    algorithms: [{algorithm}]
upstreams:
  service: [http://127.0.0.1:9]
policies:
  caller: {{issuer: issuer}}
routes:
  - {{path: /, upstream: service, policy: caller, identity: {{X-User: sub}}}}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """An algorithm's figures: microseconds for each token; None where a library lacks it."""

    algorithm: str
    size: int
    bare: float
    whole: float
    ratio: float
    decision: float
    decision_ratio: float
    seen: float
    pyjwt: float | None
    joserfc: float | None


def claims(number: int) -> dict[str, Any]:
    """Some 200 bytes, as access tokens of a service have them."""
    return {
        "iss": ISSUER,
        "sub": f"user-{number:07}",
        "aud": "services",
        "iat": int(NOW) - 60,
        "exp": int(NOW) + 3600,
        "jti": f"{number * 2654435761 % 2**64:016x}",
        "scope": "read write",
    }


def bare_check(key: SigningKey, tokens: Sequence[str]) -> list[Callable[[], None]]:
    """For each token a call of `cryptography` and nothing else."""
    private = key._private  # noqa: SLF001 -- the library's own object, for the bare figure
    public: Any = private.public_key()
    extra: tuple[Any, ...] = ()
    size = 0
    if key.algorithm.startswith("ES"):
        size = (public.curve.key_size + 7) // 8
        extra = (ec.ECDSA(_sha(key.algorithm)),)
    elif key.algorithm.startswith("RS"):
        extra = (padding.PKCS1v15(), _sha(key.algorithm))
    elif key.algorithm.startswith("PS"):
        sha = _sha(key.algorithm)
        extra = (padding.PSS(padding.MGF1(sha), sha.digest_size), sha)
    checks: list[Callable[[], None]] = []
    for token in tokens:
        signing_input, _, segment = token.encode().rpartition(b".")
        signature = decode_base64url(segment) or b""
        if size:
            signature = encode_dss_signature(
                int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
            )
        checks.append(partial(public.verify, signature, signing_input, *extra))
    return checks


_SHA: Final[dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


def _sha(algorithm: str) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    return _SHA[algorithm.rstrip("K")[2:]]


def plan_for(algorithm: str) -> Plan:
    """A gateway with one issuer and one route."""
    return load_text(PLAN.format(issuer=ISSUER, algorithm=algorithm), "bench.yaml", {}).plan


def verified(key: SigningKey) -> Callable[[str], None]:
    """The whole verification of a token."""
    keys = read_jwks(json.dumps({"keys": [key.public_jwk()]}).encode())
    rules = ClaimRules(ISSUER, ("services",))
    algorithms = (key.algorithm,)

    def check(token: str) -> None:
        if type(verify_token(token, keys, algorithms=algorithms, rules=rules, now=NOW)) is not VerifiedToken:
            raise AssertionError

    return check


def decided(plan: Plan, key: SigningKey, memory: VerifiedTokens) -> Callable[[str], None]:
    """The gateway's whole decision about a token."""
    keysets = {"issuer": read_jwks(json.dumps({"keys": [key.public_jwk()]}).encode())}
    authenticate = Authenticator(plan, memory)
    policy = next(iter(plan.policies))

    def check(token: str) -> None:
        if type(authenticate(keysets, policy, Credential(token), NOW)) is not Allow:
            raise AssertionError

    return check


def with_pyjwt(key: SigningKey, token: str) -> Callable[[str], None] | None:
    """PyJWT, its key prepared; None where it lacks the algorithm. It has no `now`: times are checked elsewhere."""
    algorithm = key.algorithm
    try:
        public = jwt.PyJWK({**key.public_jwk(), "alg": algorithm})
        options: Any = {"verify_exp": False, "verify_iat": False}

        def check(text: str) -> None:
            found = jwt.decode(
                text, public, algorithms=[algorithm], audience="services", issuer=ISSUER, options=options
            )
            if found["exp"] <= NOW:
                raise AssertionError

        check(token)
    except (jwt.PyJWTError, NotImplementedError):
        return None
    return check


def with_joserfc(key: SigningKey, token: str) -> Callable[[str], None] | None:
    """joserfc, its key prepared; None where it lacks the algorithm."""
    algorithm = key.algorithm
    try:
        public = joserfc_jwk.import_key(dict(key.public_jwk()))
        registry = joserfc_jwt.JWTClaimsRegistry(
            now=int(NOW),
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": "services"},
            exp={"essential": True},
        )

        def check(text: str) -> None:
            registry.validate(joserfc_jwt.decode(text, public, algorithms=[algorithm]).claims)

        check(token)
    except (JoseError, ValueError):
        return None
    return check


def timed(check: Callable[[str], None], tokens: Sequence[str]) -> float:
    """Microseconds of CPU for each token."""
    begin = time.process_time_ns()
    for token in tokens:
        check(token)
    return (time.process_time_ns() - begin) / 1000 / len(tokens)


def timed_calls(calls: Sequence[Callable[[], None]]) -> float:
    """Microseconds of CPU for each call."""
    begin = time.process_time_ns()
    for call in calls:
        call()
    return (time.process_time_ns() - begin) / 1000 / len(calls)


def _turn(turns: dict[str, Callable[[], float]]) -> tuple[float, ...]:
    return tuple(turn() for turn in turns.values())


def measure(algorithm: str, count: int) -> Row:
    """All figures of one algorithm, in slices that take turns."""
    key = generate_signing_key(algorithm)
    tokens = [mint(claims(number), key) for number in range(count)]
    bare = bare_check(key, tokens)
    plan = plan_for(algorithm)
    whole = verified(key)
    memory = VerifiedTokens(MEMORY)
    decision = decided(plan, key, memory)
    seen = decided(plan, key, VerifiedTokens(MEMORY))

    def anew(part: Sequence[str]) -> float:
        memory.clear()
        return timed(decision, part)

    peers = {"pyjwt": with_pyjwt(key, tokens[0]), "joserfc": with_joserfc(key, tokens[0])}
    figures: dict[str, list[float]] = {name: [] for name in ("bare", "whole", "decision", "seen", *peers)}
    for start in range(0, count, SLICE):
        part = tokens[start : start + SLICE]
        timed(seen, part)
        turns: dict[str, Callable[[], float]] = {
            "bare": partial(timed_calls, bare[start : start + SLICE]),
            "whole": partial(timed, whole, part),
            "decision": partial(anew, part),
            "seen": partial(timed, seen, part),
            **{name: partial(timed, check, part) for name, check in peers.items() if check is not None},
        }
        for name, values in zip(turns, zip(*(_turn(turns) for _ in range(PASSES)), strict=True), strict=True):
            figures[name].append(min(values))
    middle = {name: statistics.median(values) if values else None for name, values in figures.items()}
    return Row(
        algorithm=algorithm,
        size=len(tokens[0]),
        bare=middle["bare"] or 0.0,
        whole=middle["whole"] or 0.0,
        ratio=_ratio(figures["whole"], figures["bare"]),
        decision=middle["decision"] or 0.0,
        decision_ratio=_ratio(figures["decision"], figures["bare"]),
        seen=middle["seen"] or 0.0,
        pyjwt=middle["pyjwt"],
        joserfc=middle["joserfc"],
    )


def _ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    return statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))


MEMORY_HEADING: Final = "## Memory"

HEADINGS: Final = (
    "algorithm",
    "token",
    "bare check",
    "verification",
    "ratio",
    "goal",
    "gateway, new token",
    "ratio",
    "gateway, seen before",
    "PyJWT",
    "joserfc",
)


def cells(row: Row) -> tuple[str, ...]:
    """The row as it is printed."""

    def microseconds(value: float | None) -> str:
        return "" if value is None else f"{value:.1f} µs"

    goal = GOALS.get(row.algorithm)
    return (
        row.algorithm,
        f"{row.size} B",
        microseconds(row.bare),
        microseconds(row.whole),
        f"{row.ratio:.3f}",
        "" if goal is None else f"≤ {goal:.2f}" + (" ✓" if row.ratio <= goal else " ✗"),
        microseconds(row.decision),
        f"{row.decision_ratio:.3f}",
        microseconds(row.seen),
        microseconds(row.pyjwt),
        microseconds(row.joserfc),
    )


PAGE: Final = """# Verification of a token

CPU time for each token, by `python -m bench.tokens`. The bare check is `cryptography`'s `verify` alone, on the
same inputs, with everything prepared: key object, padding and hash objects, signature in DER, data cut out. The
verification is `verify_token`: size, base64url, header, issuer, key, signature, JSON, duplicate members,
claims. The gateway's decision has, on top of it, the SHA-256 of the token, the memory of verified tokens (asked
and filled), policy, identity headers and how long NGINX may cache it. Both ratios are to the bare check. PyJWT
and joserfc check the same claims with a prepared key; an empty cell says that the library lacks the algorithm.

{count} distinct tokens for each algorithm, in slices of {slice} that take turns; best of three, medians. A
token seen before has only its signature check saved: claims and policy are evaluated again. The goal for it is
{seen_goal:.0f} µs where the bare check of ES256 takes 63 µs, in proportion.

{table}

{versions}

## What is left

What `verify_token` adds is mostly base64url, JSON and the look for duplicate members. For RS256 its steps take
4.2 µs in a loop of their own, and 5.4 µs between signature checks, which push code and data out of the caches.
The gateway adds the SHA-256 of the token (1.4 µs, a fifth of it the hash itself), filling the memory (0.6 µs),
identity headers and the end of the decision (1 µs). Allocation and page faults are no part of it: the kernel
has 0.6 % of the time. RS256 has the largest ratio because its bare check is the shortest.
"""


def report(rows: Sequence[Row], count: int) -> str:
    """The page for docs."""
    table = [
        "| " + " | ".join(HEADINGS) + " |",
        "| --- |" + " ---: |" * (len(HEADINGS) - 1),
        *("| " + " | ".join(cells(row)) + " |" for row in rows),
    ]
    for row in rows:
        if row.algorithm == "ES256":
            goal = SEEN_GOAL * row.bare / 63
            table += ["", f"ES256, seen before: {row.seen:.1f} µs; the goal here is {goal:.1f} µs."]
    versions = (
        f"CPython {platform.python_version()}, cryptography {version('cryptography')} "
        f"({rust_openssl.openssl_version_text()}), PyJWT {version('PyJWT')}, joserfc {version('joserfc')}, "
        f"{os.cpu_count()} cores, {platform.machine()}."
    )
    return PAGE.format(count=count, slice=SLICE, seen_goal=SEEN_GOAL, table="\n".join(table), versions=versions)


def memory_section(page: Path) -> str:
    """What `bench.tokens_memory` wrote at the end of the page."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    start = text.find(MEMORY_HEADING)
    return "" if start < 0 else "\n" + text[start:]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--algorithms", nargs="+", default=list(ALGORITHMS))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    console = Console()
    rows = [
        measure(algorithm, arguments.tokens)
        for algorithm in track(arguments.algorithms, "measuring", console=console, transient=True)
    ]
    table = Table(title=f"CPU time for each of {arguments.tokens} distinct tokens")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        kept = memory_section(arguments.output)
        arguments.output.write_text(report(rows, arguments.tokens) + kept, encoding="utf-8")
        console.print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
