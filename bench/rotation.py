"""Rotation under load: does anybody ever get a wrong answer, and does it get slower?

A signer rotates every 5 s, announcing each key 4 s ahead, with a JWKS that may be kept for a second. Clients send
as fast as they can through a real gateway: tokens that were just signed, tokens that earlier keys have signed, and
forged ones, which must be refused. The same load before the first rotation is what the latency is compared with.

    python -m bench.rotation [--seconds 60] [--clients 4] [--output docs/benchmarks/rotation.md]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.machine import in_short
from jwtgate.nginx import find_nginx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.backend import Backend
from support.gateway import Gateway
from support.rotation import RotatingIssuer, Schedule, make_schedule, send

if TYPE_CHECKING:
    from collections.abc import Sequence

_Said = dict[str, Any]  # what a client writes: the members of Answers

_BEFORE = 20.0  # seconds of load without a rotation
_WARM = 3.0  # of these, seconds that are not counted


def main() -> None:
    """Measure, print, and write the page if it is asked for."""
    options = _options()
    if options.client is not None:
        _client(*options.client)
        return
    rotations = int(options.seconds // 5)
    with Backend() as backend, RotatingIssuer() as issuer:
        configuration = f"""
issuers: {{rotating: {issuer.settings()}}}
policies: {{caller: {{issuer: rotating}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller}}]
"""
        issuer.schedule = make_schedule(time.time() + 60, rotations)
        with Gateway(configuration, nginx=find_nginx().path) as gateway:
            began = time.time()
            # The first rotation is a period after this.
            schedule = issuer.schedule = issuer.schedule.starting_at(began + _WARM + _BEFORE - 5)
            until = began + _WARM + _BEFORE + options.seconds
            fetches = issuer.fetches
            answers = _load(schedule, gateway.address, until, options.clients)
            fetches = issuer.fetches - fetches
    text = page(answers, began, rotations, options.clients, fetches)
    print(text)
    if options.output is not None:
        options.output.write_text(text)
    if any(each["wrong"] for each in answers):
        raise SystemExit("wrong answers: see above")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def _client(address: str, until: str, seed: str) -> None:
    """One client, a process of its own: the schedule comes in, its answers go out."""
    answers = send(Schedule.parse(sys.stdin.read()), address, float(until), seed=int(seed))
    json.dump(dataclasses.asdict(answers), sys.stdout)


def _load(schedule: Schedule, address: str, until: float, clients: int) -> list[_Said]:
    command = [sys.executable, "-m", "bench.rotation", "--client", address, str(until)]
    processes = [
        subprocess.Popen([*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for seed in range(clients)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(schedule.serialise())
        process.stdin.close()
        process.stdin = None
    return [json.loads(process.communicate(timeout=300)[0]) for process in processes]


def page(answers: Sequence[_Said], began: float, rotations: int, clients: int, fetches: int) -> str:
    """What was measured, as docs/benchmarks/rotation.md has it. `began`: Unix time at which the load began."""
    took = [(at - began, seconds * 1000) for each in answers for at, seconds in each["took"]]
    before = [ms for at, ms in took if _WARM <= at < _WARM + _BEFORE - 5]
    during = [ms for at, ms in took if at >= _WARM + _BEFORE]
    kinds: Counter[str] = sum((Counter(each["by_kind"]) for each in answers), Counter())
    wrong = [(at - began, told) for each in answers for at, told in each["wrong"]]
    early = sum(at < _WARM + _BEFORE for at, _ in took)
    wrong_early = sum(at < _WARM + _BEFORE for at, _ in wrong)
    rows = [("before", before), ("while keys rotate", during)]
    lines = [
        "# Rotation under load",
        "",
        f"A signer rotates every 5 s, {rotations} times: each key is announced 4 s ahead, JWKS `max-age` is 1 s,",
        f"`min_refetch` 1 s. {clients} clients send as fast as they can through the gateway, each with fresh and",
        "old tokens, and one in 20 forged. A wrong answer is a good token refused, or a forged one let through.",
        "",
        f"**While keys rotate: {len(wrong) - wrong_early} wrong answers of {len(took) - early:,}.** "
        f"Before the first rotation: {wrong_early} of",
        f"{early:,}, warm-up included. In all: {len(wrong)} of {len(took):,}, "
        f"for {kinds['fresh']:,} fresh tokens, {kinds['old']:,} old ones and",
        f"{kinds['forged']:,} forged ones. The issuer was asked {fetches} times.",
        "",
        f"The times, without the first {_WARM:g} s and the last 5 s before the first rotation:",
        "",
        "| | requests | p50 | p99 | p99.9 |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {len(times):,} | {_percentile(times, 50):.2f} ms | {_percentile(times, 99):.2f} ms "
            f"| {_percentile(times, 99.9):.2f} ms |"
            for name, times in rows
        ),
        "",
        f"p99 while keys rotate is {_percentile(during, 99) / _percentile(before, 99):.2f} times that before.",
        "",
        f"Gateway, signer, service and clients share the machine: {in_short()}.",
        "Made by `python -m bench.rotation --output docs/benchmarks/rotation.md`.",
        "",
        *(f"- {told}" for _, told in wrong[:50]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _percentile(values: Sequence[float], percent: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(percent * 10) - 1]


if __name__ == "__main__":
    main()
