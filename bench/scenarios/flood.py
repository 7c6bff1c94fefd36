"""A flood of forged tokens beside users with valid ones, everything of the gateway on one core."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import TYPE_CHECKING, Any

from bench import minting
from bench.goals import Goal
from bench.load import Generator, Load, Tokens, run
from bench.markdown import spread, table, title

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.systems import Running
    from bench.workbench import Bench

TITLE = "A flood of forged tokens"

USERS, ATTACKERS = 8, 32  # connections
SYSTEMS = ("jwtgate", "c-module", "haproxy")
SECONDS = 4

# Users who come back every 15 s, when their decision of 10 s has ended.
STALENESS, BACK_AFTER = 10, 15
PAUSE = 25  # milliseconds between two requests of a connection
RETURNING = BACK_AFTER * USERS * 1000 // PAUSE  # users in all


def measure(bench: Bench) -> dict[str, Any]:
    """`recent` and `returning`: by system, what users got alone and beside the flood, for each round.

    `plain`: what as many connections get from NGINX without authentication, for each round of `recent`.
    """
    forged = Tokens(minting.forged_file("ES256"), 10_000)
    often = bench.repeated("ES256", 100)
    found: dict[str, Any] = {"recent": {}, "returning": {}, "plain": []}
    with bench.systems(["nginx", *SYSTEMS]) as running:
        plain = running.pop("nginx")
        for _ in range(min(bench.rounds, 3)):
            bench.step("plain NGINX")
            load = run(f"http://{plain.address}/public/", bench.no_token(), connections=USERS, seconds=SECONDS)
            found["plain"].append(dataclasses.asdict(load))
            for name, system in running.items():
                bench.step(f"{name}: users who were here a moment ago")
                run(f"http://{system.address}/es256/", often, connections=USERS, seconds=1)
                found["recent"].setdefault(name, []).append(_beside(system, often, forged, SECONDS))
    seldom = bench.repeated("ES256", RETURNING)
    with bench.systems(SYSTEMS, STALENESS) as running:
        url = f"http://{running['jwtgate'].address}/es256/"
        bench.step(f"{RETURNING:,} users come for the first time")
        _complete(Generator(url, seldom, connections=USERS, seconds=BACK_AFTER + 1, pause=PAUSE).result())
        for _ in range(min(bench.rounds, 2)):
            for name, system in running.items():
                bench.step(f"{name}: users who come back every {BACK_AFTER} s")
                found["returning"].setdefault(name, []).append(
                    _beside(system, seldom, forged, 2 * SECONDS, pause=PAUSE)
                )
    return found


def _beside(system: Running, users: Tokens, forged: Tokens, seconds: int, *, pause: int = 0) -> dict[str, Any]:
    """What users get alone, and what they get beside the flood."""
    url = f"http://{system.address}/es256/"
    alone = Generator(url, users, connections=USERS, seconds=seconds, pause=pause).result()
    start = alone.requests if pause else 0
    flood = Generator(url, forged, connections=ATTACKERS, seconds=seconds + 2)
    time.sleep(1)
    flooded = Generator(url, users, connections=USERS, seconds=seconds, pause=pause, start=start).result()
    attack = flood.result()
    _complete(alone)
    _complete(flooded)
    if attack.refused < attack.requests:
        raise SystemExit(f"{attack.requests - attack.refused} forged tokens were let through")
    loads = {"alone": alone, "flooded": flooded, "attack": attack}
    return {name: dataclasses.asdict(load) for name, load in loads.items()}


def _complete(load: Load) -> None:
    if load.failed or load.refused:
        raise SystemExit(f"users were not served: {load}")


def _median(figures: Iterable[float]) -> float:
    return float(statistics.median(figures))


def _kept(rounds: list[dict[str, Any]]) -> float:
    return _median(each["flooded"]["requests"] / each["alone"]["requests"] for each in rounds)


def _slower(rounds: list[dict[str, Any]]) -> list[float]:
    return [each["flooded"]["p99"] / each["alone"]["p99"] for each in rounds]


def _p99(rounds: list[dict[str, Any]], part: str) -> list[float]:
    return [each[part]["p99"] / 1000 for each in rounds]


def goals(data: dict[str, Any]) -> list[Goal]:
    """For users who were here a moment ago."""
    ours = data["recent"]["jwtgate"]
    return [
        Goal("flood: throughput of users kept", _kept(ours) * 100, 90, "%", at_least=True),
        Goal("flood: p99 of users, flooded ÷ alone", _median(_slower(ours)), 4),
        Goal("flood: p99 of users, flooded", _median(_p99(ours, "flooded")), unit="ms"),
    ]


def markdown(data: dict[str, Any]) -> str:
    """Both tables."""
    parts = [
        f"{USERS} connections of users with valid ES256 tokens, {ATTACKERS} connections with forged ones as fast "
        "as they go; all of the gateway on one core.",
        "Users who were here a moment ago (100 tokens in turn, decisions repeated for 60 s):",
        _table(data["recent"]),
        f"{_rounds(data['recent'])} of {SECONDS} s alone and as long beside the flood, systems in turn. Ratios "
        f"are those of a round. NGINX without authentication gives {USERS} connections a p99 of "
        f"{spread([each['p99'] / 1000 for each in data['plain']], 1)} ms here.",
        f"{RETURNING:,} users, each of whom comes back every {BACK_AFTER} s, with decisions repeated for "
        f"{STALENESS} s: in our gateway none has a decision left when it comes. They ask "
        f"{1000 // PAUSE * USERS} times a second at most:",
        _table(data["returning"]),
        f"{_rounds(data['returning'])} of {2 * SECONDS} s alone and as long beside the flood.",
    ]
    return "\n\n".join(parts)


def _rounds(by_system: dict[str, list[dict[str, Any]]]) -> str:
    number = len(next(iter(by_system.values())))
    return "1 round" if number == 1 else f"{number} rounds"


def _table(by_system: dict[str, list[dict[str, Any]]]) -> str:
    rates = ("system", "users/s alone", "users/s flooded", "kept")
    times = ("p99 ms alone", "p99 ms flooded", "flooded ÷ alone", "forged/s")
    return table((*rates, *times), [(title(name), *_cells(rounds)) for name, rounds in by_system.items()])


def _cells(rounds: list[dict[str, Any]]) -> tuple[str, ...]:
    def rate(part: str) -> str:
        return spread([each[part]["requests"] / each[part]["seconds"] for each in rounds])

    return (
        rate("alone"),
        rate("flooded"),
        f"{_kept(rounds):.0%}",
        spread(_p99(rounds, "alone"), 1),
        spread(_p99(rounds, "flooded"), 1),
        spread(_slower(rounds), 2),
        rate("attack"),
    )
