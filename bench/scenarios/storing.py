"""As many new valid tokens as stubs of the validators let through, each twice, so that its decision is kept.

The decision cache keeps to its share, and no request fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import cache_share
from bench.goals import Goal

if TYPE_CHECKING:
    from bench.workbench import Bench

TITLE = "A storm of new tokens"

SECONDS = 15


def measure(bench: Bench) -> dict[str, Any]:
    """See cache_share.measure; `left_out` (why) where it cannot be measured."""
    if reason := cache_share.obstacle():
        return {"left_out": reason}
    bench.step(f"{SECONDS} s of new tokens")
    return {**cache_share.measure(bench.setting().directory("storm"), SECONDS, cache_share.SHARE)}


def goals(data: dict[str, Any]) -> list[Goal]:
    """Never over its share, nothing failed. How many come is up to the machine."""
    if "left_out" in data:
        return []
    name = "storm of new tokens"
    rate = data["requests"] / data["seconds"] / 2
    return [
        Goal(f"{name}: most that the cache took of its share", data["most"] / data["share"] * 100, 100, "%"),
        Goal(f"{name}: requests that failed", data["failed"] + data["refused"], 0, ""),
        Goal(f"{name}: new tokens a second", rate, 20_000, "", at_least=True),
    ]


def markdown(data: dict[str, Any]) -> str:
    """A paragraph."""
    if "left_out" in data:
        return f"Left out in this run: {data['left_out']}."
    rate = data["requests"] / data["seconds"] / 2
    failed = data["refused"] + data["failed"]
    most, share = data["most"] / cache_share.MIB, data["share"] / cache_share.MIB
    return (
        "Stubs that verify nothing answer for the validators; each token comes twice. Load, NGINX and stubs share "
        f"both cores, in one run. For {data['seconds']:.0f} s there were {rate:,.0f} new tokens a second, in "
        f"{data['requests']:,} requests, of which {failed:.0f} failed. The cache took {most:.1f} MiB at most of "
        f"its {share:.0f} MiB."
    )
