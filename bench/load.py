"""Load from wrk: tokens in turn, bounded in time, and what came of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# wrk calls `request` for each request and `done` at the end. `tokens` is a file with one on each line.
_SCRIPT = """
local headers = {}
for token in io.lines("@TOKENS@") do
  headers[#headers + 1] = token ~= "-" and { ["Authorization"] = "Bearer " .. token } or {}
end
local turn = 0
function request()
  turn = turn % #headers + 1
  return wrk.format("GET", nil, headers[turn])
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "p999": %d, "failed": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk came to. Latencies in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    failed: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def run(url: str, tokens: Path, *, core: int, connections: int, seconds: int) -> Load:
    """Send requests to `url` from one thread on one core, with the tokens of a file in turn (`-`: none)."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("the benchmark needs wrk: sudo apt-get install wrk")
    script = tokens.with_suffix(".lua")
    script.write_text(_SCRIPT.replace("@TOKENS@", str(tokens)))
    result = subprocess.run(
        ["taskset", "-c", str(core), wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    answer = json.loads(result.stdout.strip().splitlines()[-1])
    return Load(
        requests=answer["requests"],
        seconds=answer["microseconds"] / 1e6,
        p50=answer["p50"],
        p99=answer["p99"],
        p999=answer["p999"],
        failed=answer["failed"],
    )
