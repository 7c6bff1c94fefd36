"""Plots of the report, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.interleaved import find, median
from bench.markdown import title
from bench.minting import ALGORITHMS
from bench.scenarios.costs import NONE, new, repeated

if TYPE_CHECKING:
    from pathlib import Path

_BARS = (
    ("nginx", NONE, "no authentication", "#9aa5b1"),
    ("jwtgate", repeated, "repeated", "#1f7a4d"),
    ("jwtgate", new, "new", "#7cc79f"),
    ("envoy-cache", repeated, "repeated", "#7a4fbf"),
    ("envoy", new, "any", "#b79de0"),
    ("c-module", new, "any", "#d9822b"),
    ("haproxy", new, "any", "#c0504d"),
)


def costs(rows: list[dict[str, Any]], directory: Path) -> list[tuple[str, str]]:
    """A bar chart for each algorithm; (file name, what it shows) for each."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "jwtgate"  # the same figures make the same file
    from matplotlib import pyplot as plt

    made = []
    for algorithm in ALGORITHMS:
        bars = []
        for system, label, words, colour in _BARS:
            row = find(rows, system, label if isinstance(label, str) else label(algorithm))
            bars.append((f"{title(system)}: {words}", median(row), colour))
        figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
        drawn = axes.barh([bar[0] for bar in bars], [bar[1] for bar in bars], color=[bar[2] for bar in bars])
        axes.bar_label(drawn, fmt="%.0f", padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("CPU µs of the gateway for each request")
        axes.set_title(algorithm)
        name = f"costs-{algorithm.lower()}.svg"
        figure.savefig(directory / name, metadata={"Date": None})
        plt.close(figure)
        made.append((name, f"CPU time for each request, {algorithm}"))
    return made
