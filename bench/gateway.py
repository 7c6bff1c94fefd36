"""What authentication costs at the gateway: CPU time of all its processes for each request.

The gateway has one core; wrk and the service behind it (an NGINX that answers at once) have the other. CPU time
is the main figure, since it does not depend on how the rest of the machine keeps up. Runs are interleaved and
repeated; the table has medians and the spread between the least and the most.

    python -m bench.gateway [--quick] [--output FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.load import Load, run
from bench.processes import cpu_seconds, tree
from jwtgate.keys import generate_signing_key
from jwtgate.nginx import find_nginx
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jwtgate.keys import SigningKey

GATEWAY_CORE, OTHER_CORE = 0, 1
CONNECTIONS: Final = 32
STALENESS: Final = 60
AUDIENCE: Final = "services"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A path of the gateway and the tokens that are sent to it."""

    name: str
    path: str
    algorithm: str | None = None
    distinct: int = 1  # tokens in turn


def scenarios(*, quick: bool) -> list[Scenario]:
    """The rows of the table. For new tokens there must be more of them than a run can send."""
    plain = Scenario("no authentication", "/public/")
    if quick:
        return [
            plain,
            Scenario("ES256, repeated", "/es256/", "ES256", 100),
            Scenario("ES256, every token new", "/es256/", "ES256", 20_000),
        ]
    rows = [plain]
    for algorithm, many in (("ES256", 30_000), ("RS256", 45_000), ("ES512", 8_000)):
        path = f"/{algorithm.lower()}/"
        rows.append(Scenario(f"{algorithm}, repeated", path, algorithm, 100))
        rows.append(Scenario(f"{algorithm}, every token new", path, algorithm, many))
    return rows


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: CPU microseconds a request, and wrk's own figures."""

    cpu: float
    load: Load


def write_tokens(path: Path, scenario: Scenario, key: SigningKey | None) -> None:
    """A file with the tokens of a scenario, one on each line."""
    now = int(time.time())
    claims = {"iss": issuer_of(scenario.algorithm or ""), "aud": AUDIENCE, "iat": now, "exp": now + 3600}
    with path.open("w") as file:
        if key is None:
            file.write("-\n")
            return
        for number in range(scenario.distinct):
            file.write(mint(claims | {"sub": f"user-{number}", "jti": scenario.name}, key) + "\n")


def issuer_of(algorithm: str) -> str:
    """Each algorithm has an issuer of its own."""
    return f"https://{algorithm.lower()}.example"


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: ES256 only, short runs")
    parser.add_argument("--nginx", help="the NGINX to use")
    parser.add_argument("--output", type=Path, help="write the table there, as Markdown")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("the benchmark needs two cores")
    with tempfile.TemporaryDirectory(prefix="jwtgate-bench-", dir="/dev/shm") as name:
        Path(name).chmod(0o711)  # as root, NGINX's workers are somebody else
        samples = measure(Path(name), options.nginx, quick=options.quick)
    console = Console()
    console.print(as_table(samples))
    if options.output:
        options.output.write_text(as_markdown(samples, find_nginx(options.nginx).version_text))
    if any(sample.load.failed for row in samples.values() for sample in row):
        raise SystemExit("some requests failed: these figures say nothing")


def measure(work: Path, nginx: str | None, *, quick: bool) -> dict[Scenario, list[Sample]]:
    """All samples of all scenarios. Each round has a gateway of its own, so that new tokens are new again."""
    rows = scenarios(quick=quick)
    seconds, rounds = (2, 2) if quick else (3, 5)
    keys = {row.algorithm: generate_signing_key(row.algorithm) for row in rows if row.algorithm}
    samples: dict[Scenario, list[Sample]] = defaultdict(list)
    with Progress(console=Console(stderr=True), transient=True) as progress, service(work) as backend:
        task = progress.add_task("", total=len(rows) * (rounds + 1))
        for number, row in enumerate(rows):
            progress.update(task, description=f"minting: {row.name}", advance=1)
            write_tokens(work / f"{number}.tokens", row, keys.get(row.algorithm))
        for _ in range(rounds):
            with gateway(work, nginx, keys, backend) as (address, pid):
                for number, row in enumerate(rows):
                    progress.update(task, description=row.name, advance=1)
                    samples[row].append(sample(row, work / f"{number}.tokens", address, pid, seconds))
    return samples


def sample(row: Scenario, tokens: Path, address: str, pid: int, seconds: int) -> Sample:
    """One run of one scenario."""
    url = f"http://{address}{row.path}"
    if row.distinct <= 100:
        run(url, tokens, core=OTHER_CORE, connections=CONNECTIONS, seconds=1)  # decided once, and cached
    processes = tree(pid)
    before = cpu_seconds(processes)
    load = run(url, tokens, core=OTHER_CORE, connections=CONNECTIONS, seconds=seconds)
    used = cpu_seconds(processes) - before
    if 100 < row.distinct < load.requests:
        raise SystemExit(f"{row.name}: {row.distinct} tokens are too few for {load.requests} requests")
    return Sample(used / load.requests * 1e6, load)


@contextlib.contextmanager
def service(work: Path) -> Iterator[str]:
    """The service behind the gateway: an NGINX that answers at once. Yields its `host:port`."""
    address = f"127.0.0.1:{free_port()}"
    directory = work / "service"
    directory.mkdir()
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {directory}/pid; error_log stderr; worker_processes 1;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; keepalive_requests 1000000; "
        + "".join(
            f"{name}_temp_path {directory}/{name}; "
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f'server {{ listen {address}; location / {{ return 200 "ok"; }} }} }}\n'
    )
    found = find_nginx()
    command = [str(found.path), "-p", str(directory), "-e", "stderr", "-c", str(configuration)]
    with running(command, OTHER_CORE, work / "service.log"):
        wait_until(lambda: answers(address))
        yield address


@contextlib.contextmanager
def gateway(work: Path, nginx: str | None, keys: dict[str, SigningKey], backend: str) -> Iterator[tuple[str, int]]:
    """A gateway with a public route, and one for each algorithm. Yields its `host:port` and its process id."""
    address = f"127.0.0.1:{free_port()}"
    lines = [
        "version: 1",
        f"listen: {address}",
        f"run_dir: {work}/run",
        "access_log: off",
        "workers: 1",
        "cache: {max_size: 1g}",
        f"upstreams: {{service: [http://{backend}]}}",
        f"defaults: {{staleness: {STALENESS}s}}",
        "issuers:",
    ]
    for algorithm, key in keys.items():
        (work / f"{algorithm}.jwks").write_text(json.dumps({"keys": [key.public_jwk()]}))
        lines.append(
            f"  {algorithm.lower()}: {{issuer: '{issuer_of(algorithm)}', jwks_file: {work}/{algorithm}.jwks, "
            f"audience: {AUDIENCE}, algorithms: [{algorithm}]}}"
        )
    lines.append("policies:")
    lines += [f"  {algorithm.lower()}: {{issuer: {algorithm.lower()}}}" for algorithm in keys]
    lines.append("routes:")
    lines.append("  - {path: /public/, upstream: service, public: true}")
    lines += [
        f"  - {{path: /{algorithm.lower()}/, upstream: service, policy: {algorithm.lower()}}}"
        for algorithm in keys
    ]
    file = work / "gateway.yaml"
    file.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "jwtgate", "up", str(file), *(["--nginx", nginx] if nginx else [])]
    log = work / "gateway.log"
    with running(command, GATEWAY_CORE, log) as process:
        wait_until(lambda: "serving on" in log.read_text())
        yield address, process.pid


@contextlib.contextmanager
def running(command: list[str], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, stopped by its id when the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=output, stderr=output)
    try:
        yield process
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace"))
        raise
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    """Whether somebody listens."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(fact: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + 20
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit("what is to be measured does not start")
        time.sleep(0.05)


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def as_table(samples: dict[Scenario, list[Sample]]) -> Table:
    """For people at a terminal."""
    table = Table(title="CPU time of the gateway for each request")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == _COLUMNS[0] else "right")
    for cells in _rows(samples):
        table.add_row(*cells)
    return table


def as_markdown(samples: dict[Scenario, list[Sample]], nginx_version: str) -> str:
    """For docs/benchmarks."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "| --- |" + " ---: |" * (len(_COLUMNS) - 1)]
    lines += ["| " + " | ".join(cells) + " |" for cells in _rows(samples)]
    method = (
        f"Made by `script/bench`. NGINX {nginx_version}, Python {platform.python_version()}, {CONNECTIONS} "
        "connections; the gateway has one core, load and service the other. Repeated: 100 tokens in turn, "
        f"whose decisions NGINX may repeat for {STALENESS} s. New: no token comes twice. The median of "
        f"{len(next(iter(samples.values())))} runs, in brackets the least and the most."
    )
    return "\n".join(
        ["# What authentication costs at the gateway", "", *textwrap.wrap(method, 115), "", *lines, ""]
    )


_COLUMNS = ("tokens", "CPU µs a request", "÷ no authentication", "requests/s", "p50 ms", "p99 ms")


def _rows(samples: dict[Scenario, list[Sample]]) -> Iterator[tuple[str, ...]]:
    plain = statistics.median(sample.cpu for sample in next(iter(samples.values())))
    for row, taken in samples.items():
        cpu = [sample.cpu for sample in taken]
        median = statistics.median(cpu)
        yield (
            row.name,
            f"{median:.0f} ({min(cpu):.0f} to {max(cpu):.0f})",
            f"{median / plain:.1f}",
            f"{statistics.median(sample.load.per_second for sample in taken):,.0f}",
            f"{statistics.median(sample.load.p50 for sample in taken) / 1000:.1f}",
            f"{statistics.median(sample.load.p99 for sample in taken) / 1000:.1f}",
        )


if __name__ == "__main__":
    main()
