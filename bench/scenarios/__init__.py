"""What is measured: one module each, with `measure(bench) -> JSON`, `goals(data)` and `markdown(data)`."""

from __future__ import annotations

from bench.scenarios import costs, flood, growth, memory, policies, start, storing, zipf

SCENARIOS = {
    "costs": costs,
    "zipf": zipf,
    "flood": flood,
    "storing": storing,
    "growth": growth,
    "policies": policies,
    "memory": memory,
    "start": start,
}

__all__ = ["SCENARIOS"]
