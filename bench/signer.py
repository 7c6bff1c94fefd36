"""The signer's figures: python -m bench.signer [rate] [chaos] [--tokens N].

`rate`: tokens per second and CPU time per token, by algorithm, beside the bare signature. `chaos`: tokens issued
while keys rotate and signers are killed. Each writes its part of docs/benchmarks/signer.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.machine import GATEWAY_CORE, OTHER_CORE, free_port, running
from bench.markdown import table
from bench.processes import cpu_seconds, listens
from jwtgate.keys import generate_signing_key
from jwtgate.nginx import find_nginx
from jwtgate.plan import SIGNER_ALGORITHMS, SignerPlace
from jwtgate.signer.clients import Client, add_client
from jwtgate.signer.store import open_store
from support import signer_chaos
from support.postgresql import PostgreSQL, binaries

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks" / "signer.md"
SECONDS: Final = 3
CONNECTIONS: Final = 8
ROUNDS: Final = 3
ISSUER: Final = "https://signer.example"
ALGORITHMS: Final = tuple(name for name in SIGNER_ALGORITHMS if name != "EdDSA")  # the same as Ed25519

_LUA = """
wrk.method = "POST"
wrk.body = "grant_type=client_credentials&client_id={client}&client_secret={secret}"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
"""


def bare(algorithm: str) -> float:
    """CPU microseconds of one signature."""
    key = generate_signing_key(algorithm)
    data = b"x" * 500
    key.sign(data)
    count, begin = 0, time.process_time()
    while time.process_time() - begin < 0.3:
        for _ in range(10):
            key.sign(data)
        count += 10
    return (time.process_time() - begin) / count * 1e6


def rate() -> str:
    """The table of rates, as Markdown."""
    places = {"SQLite": None, "PostgreSQL": None}
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as directory, PostgreSQL(_programs()) as server:
        work = Path(directory)
        measured = {
            store: _rates(
                SignerPlace(None, server.new_database()) if store == "PostgreSQL" else SignerPlace(work / "keys"),
                work,
            )
            for store in places
        }
    for algorithm in ALGORITHMS:
        signature = min(bare(algorithm) for _ in range(ROUNDS))
        (sqlite_rate, sqlite_cpu), (pg_rate, pg_cpu) = (measured[store][algorithm] for store in places)
        rows.append(
            [
                algorithm,
                *(f"{figure:.0f}" for figure in (signature, sqlite_rate, sqlite_cpu)),
                f"{sqlite_cpu / signature:.1f}",
                *(f"{figure:.0f}" for figure in (pg_rate, pg_cpu)),
            ]
        )
    (jwks_rate, jwks_cpu) = measured["SQLite"]["jwks"]
    columns = ["algorithm", "bare signature, µs", "SQLite, tokens/s", "µs a token", "÷ bare"]
    columns += ["PostgreSQL, tokens/s", "µs a token"]
    packages = ", ".join(f"{name} {version(name)}" for name in ("cryptography", "uvicorn", "SQLAlchemy"))
    return (
        f"{table(columns, rows)}\n\n"
        f"The key set, for comparison: {jwks_rate:.0f} answers/s, {jwks_cpu:.0f} µs each.\n\n"
        f"CPython {sys.version.split()[0]}, {packages}, {os.cpu_count()} cores.\n"
    )


def _rates(place: SignerPlace, work: Path) -> dict[str, tuple[float, float]]:
    """Per algorithm: tokens per second, CPU microseconds of the signer per token. The best of the rounds."""
    port = free_port()
    environment = {"DATABASE": place.database or ""}
    os.environ |= environment
    where = ["--database-env", "DATABASE"] if place.database else ["--key-dir", str(place.key_dir)]
    command = [
        sys.executable,
        "-m",
        "jwtgate",
        "signer",
        "run",
        "--issuer",
        ISSUER,
        "--audience",
        "services",
        *where,
    ]
    command += ["--listen", f"127.0.0.1:{port}", *(part for name in ALGORITHMS for part in ("--algorithm", name))]
    address = f"127.0.0.1:{port}"
    with running(command, GATEWAY_CORE, work / "signer.log", lambda pid: listens(pid, address)) as process:
        store = open_store(place)
        found: dict[str, tuple[float, float]] = {}
        for algorithm in ALGORITHMS:
            name = f"client-{algorithm.lower()}"
            secret = add_client(store, Client(name, time.time(), algorithm=algorithm), secret=True)
            script = work / f"{name}.lua"
            script.write_text(_LUA.format(client=name, secret=secret))
            _load(
                port, "/token", process.pid, seconds=SECONDS, script=script
            )  # the secret is checked, the keys are warm
            found[algorithm] = max(
                _load(port, "/token", process.pid, seconds=SECONDS, script=script) for _ in range(ROUNDS)
            )
        found["jwks"] = max(_load(port, "/jwk", process.pid, seconds=SECONDS) for _ in range(ROUNDS))
        store.close()
    return found


def _load(port: int, path: str, pid: int, *, seconds: int, script: Path | None = None) -> tuple[float, float]:
    before = cpu_seconds({pid})
    said = subprocess.run(
        [
            *("taskset", "-c", str(OTHER_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"),
            *(["-s", str(script)] if script else []),
            f"http://127.0.0.1:{port}{path}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in said:
        raise SystemExit(f"{path} was refused:\n{said}")
    requests = int(re.findall(r"(\d+) requests in", said)[0])
    if requests == 0:
        raise SystemExit(f"{path} was not answered within {seconds} s")
    per_second = float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])
    return per_second, (cpu_seconds({pid}) - before) / requests * 1e6


def chaos(tokens: int, minutes: float) -> str:
    """The outcome, as Markdown."""
    plan = signer_chaos.Plan(tokens, rotate_every=5, kill_every=10.0, most_seconds=minutes * 60)
    with tempfile.TemporaryDirectory() as directory, PostgreSQL(_programs()) as server:
        url = server.new_database()
        place = SignerPlace(None, url)
        found = signer_chaos.play(plan, place, Path(directory), find_nginx().path, os.environ | {"DATABASE": url})
    print({**vars(found), "refused": found.refused[:5]}, flush=True)
    if found.refused or found.repeated or found.verified != 2 * found.received:
        raise SystemExit(f"{len(found.refused)} refused, {found.repeated} repeated: {found.refused[:5]}")
    retries = ", ".join(f"{count} times {what}" for what, count in sorted(found.retries.items())) or "none"
    return f"""| | |
| --- | ---: |
| tokens received by clients | {found.received:,} |
| verified at the gateway at once, and again {plan.again_after:.0f} s later | {found.verified:,} |
| refused | {len(found.refused)} |
| `jti` or status list indexes that came twice | {found.repeated} |
| keys that signed | {len(found.keys)} |
| signers killed (SIGKILL) and started again | {found.kills} |
| seconds | {found.seconds:.0f} |

Requests that came to nothing because a signer died under them, and that the client repeated: {retries}.
"""


def _programs() -> Path:
    found = binaries()
    if found is None:
        raise SystemExit("PostgreSQL is missing: sudo apt-get install postgresql")
    return found


def write(part: str, text: str) -> None:
    """Put a part between its marks on the page."""
    page = PAGE.read_text()
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}{text}{end}{after}")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["rate", "chaos"], help="rate, chaos; default: both")
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60, help="chaos ends then, with fewer tokens")
    chosen: Any = parser.parse_args()
    if "rate" in chosen.parts:
        write("rate", rate())
    if "chaos" in chosen.parts:
        write("chaos", chaos(chosen.tokens, chosen.minutes))


if __name__ == "__main__":
    main()
