"""20,000 users, some of whom come often and most seldom, at the default staleness of 10 s."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from bench.goals import Goal
from bench.interleaved import Row, find, median
from bench.interleaved import measure as take_turns
from bench.load import Tokens
from bench.markdown import LOAD_COLUMNS, load_cells, repeats, table, title

if TYPE_CHECKING:
    from bench.workbench import Bench

TITLE = "20,000 users, zipf-like"

USERS = 20_000
STALENESS = 10
LABEL = "zipf"
PEERS = ("c-module", "envoy", "envoy-cache", "envoy-large-cache", "haproxy")
# Seconds of the same load beforehand, for all: as long as our decisions are repeated, and until a cache is full.
WARM = STALENESS + 2


def measure(bench: Bench) -> list[dict[str, Any]]:
    """A dictionary for each system. Ours runs long enough for decisions to end and be made again."""
    file = bench.repeated("ES256", USERS).file
    order = bench.work / "zipf.txt"
    users = random.Random(20_000).choices(
        range(1, USERS + 1), [1 / rank for rank in range(1, USERS + 1)], k=300_000
    )
    order.write_text("".join(f"{user}\n" for user in users))
    tokens = Tokens(file, USERS, order=order)
    with bench.systems(["jwtgate", *PEERS], STALENESS) as running:
        rows = [
            Row("jwtgate", LABEL, running["jwtgate"], "/es256/", tokens, warm=WARM, seconds=STALENESS),
            *(Row(peer, LABEL, running[peer], "/es256/", tokens, warm=WARM, seconds=4) for peer in PEERS),
        ]
        return take_turns(rows, rounds=min(bench.rounds, 3), seconds=STALENESS, step=bench.step, saved=bench.saved)


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """Beside the best peer."""
    best = min(median(find(rows, peer, LABEL)) for peer in PEERS)
    return [Goal("20,000 users, zipf-like ÷ best peer", median(find(rows, "jwtgate", LABEL)) / best, 0.6)]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return "\n\n".join(
        [
            f"User number n comes 1/n as often as the first (ES256). Our gateway repeats a decision for "
            f"{STALENESS} s. Its decision cache (`max_size: 1g`) has room for all users, and so has the "
            "validator's memory of verified tokens (64 MiB); Envoy's cache holds 10,000 tokens in one row, and "
            f"all of them in another. Each system had {WARM} s of the same load before its first run.",
            table(("system", *LOAD_COLUMNS), [(title(row["system"]), *load_cells(row)) for row in rows]),
            repeats(rows),
        ]
    )
