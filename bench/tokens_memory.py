"""A million distinct tokens through one decision maker: the memory of the process stays flat.

Each token is verified, remembered, and, since the memory of verified tokens has a limit, forgotten again. Headers
differ as well, which the memory of headers has to bear.

    python -m bench.tokens_memory [--tokens 1000000] [--megabytes 8] [--output docs/benchmarks/tokens.md]
"""

from __future__ import annotations

import argparse
import gc
import hmac
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from bench.tokens import MEMORY_HEADING
from jwtgate.authenticate import Allow, Authenticator, Credential
from jwtgate.config import load_text
from jwtgate.keys import secret_keyset
from jwtgate.keys.encoding import encode_base64url
from jwtgate.tokens import VerifiedTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW: Final = 1_900_000_000.0
SECRET: Final = bytes(range(32))
STEPS: Final = 10
HEADINGS: Final = ("tokens so far", "remembered", "resident")
SECTION: Final = """{heading}

Distinct tokens, in header, payload and signature, through one gateway's decision, with {megabytes} MiB for the
memory of verified tokens; by `python -m bench.tokens_memory`.

{table}
"""

PLAN: Final = """
version: 1
issuers:
  issuer: {issuer: "https://issuer.example", secret_env: SECRET, audience: services, algorithms: [HS256]}
upstreams: {service: ["http://127.0.0.1:9"]}
policies: {caller: {issuer: issuer}}
routes: [{path: /, upstream: service, policy: caller, identity: {X-User: sub}}]
"""


def token(number: int) -> str:
    """A token like no other, in header, payload and signature."""
    header = {"alg": "HS256", "typ": "JWT", "kid": f"key-{number}"}
    claims = {"iss": "https://issuer.example", "aud": "services", "exp": int(NOW) + 60, "sub": f"user-{number}"}
    signing_input = b".".join(encode_base64url(json.dumps(part).encode()) for part in (header, claims))
    return (signing_input + b"." + encode_base64url(hmac.digest(SECRET, signing_input, "sha256"))).decode()


def resident() -> float:
    """Megabytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Verify them all, and print a line for each tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--megabytes", type=int, default=8)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    memory = VerifiedTokens(arguments.megabytes * 2**20)
    plan = load_text(PLAN, "bench.yaml", {"SECRET": SECRET.decode("latin-1")}).plan
    authenticate = Authenticator(plan, memory)
    policy = next(iter(plan.policies))
    keysets = {"issuer": secret_keyset(SECRET, ["HS256"])}
    rows: list[tuple[str, ...]] = []
    for step in range(STEPS + 1):
        if step:
            for number in range((step - 1) * arguments.tokens // STEPS, step * arguments.tokens // STEPS):
                outcome = authenticate(keysets, policy, Credential(token(number)), NOW)
                assert isinstance(outcome, Allow), outcome
        gc.collect()
        rows.append((f"{step * arguments.tokens // STEPS:,}", f"{len(memory):,}", f"{resident():.1f} MiB"))
    table = Table(title=f"Distinct tokens, {arguments.megabytes} MiB for the memory of verified ones")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if arguments.output:
        write_section(arguments.output, arguments.megabytes, rows)


def write_section(page: Path, megabytes: int, rows: Sequence[tuple[str, ...]]) -> None:
    """Puts the figures at the end of the page of `bench.tokens`."""
    lines = [HEADINGS, ("---:",) * len(HEADINGS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    head = page.read_text(encoding="utf-8").partition(MEMORY_HEADING)[0]
    page.write_text(
        head + SECTION.format(heading=MEMORY_HEADING, megabytes=megabytes, table=table), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
