"""Load from wrk: tokens in turn, bounded in time, and what came of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.machine import OTHER_CORE, command_on

# wrk calls `request` for each request and `done` at the end. `tokens` is a file with one on each line; the first
# `offset` are left out, and no more than `limit` are read. `order` is a file of line numbers, from 1: the tokens
# in the order in which they are sent. `pause` are milliseconds that a connection waits between two requests.
_SCRIPT = """
local skip, limit, headers, order = @OFFSET@, @LIMIT@, {}, {}
for token in io.lines("@TOKENS@") do
  if skip > 0 then
    skip = skip - 1
  elseif #headers < limit then
    headers[#headers + 1] = token ~= "-" and { ["Authorization"] = "Bearer " .. token } or {}
  else
    break
  end
end
if "@ORDER@" ~= "" then
  for line in io.lines("@ORDER@") do order[#order + 1] = tonumber(line) end
end
local turn = @START@
function request()
  turn = turn + 1
  if #order > 0 then
    return wrk.format("GET", nil, headers[order[(turn - 1) % #order + 1]])
  end
  return wrk.format("GET", nil, headers[(turn - 1) % #headers + 1])
end
@DELAY@
"""
_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "p999": %d, "refused": %d, ',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.status))
  io.write(string.format('"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d}}\\n',
    errors.connect, errors.read, errors.write, errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What to send: a file with a token on each line (`-`: none), and which of them.

    With `distinct` tokens in turn. `fresh`: none of them twice, over all runs with these tokens.
    """

    file: Path
    distinct: int
    fresh: bool = False
    order: Path | None = None


@dataclass(frozen=True, slots=True)
class MadeTokens:
    """Tokens that wrk makes itself: Lua that defines `request`."""

    lua: str


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk came to. Latencies in microseconds. `refused`: answers other than 2xx and 3xx.

    `errors`: requests without an answer, by what failed: `connect`, `read` (that includes a connection that the
    other side has closed), `write`, `timeout`.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    refused: int
    errors: dict[str, int]

    @property
    def failed(self) -> int:
        """Requests without an answer."""
        return sum(self.errors.values())

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Generator:
    """A wrk that has been started, on one core (None: on all). `result` waits for its end."""

    def __init__(
        self,
        url: str,
        tokens: Tokens | MadeTokens,
        *,
        connections: int,
        seconds: int,
        offset: int = 0,
        start: int = 0,
        pause: int = 0,
        core: int | None = OTHER_CORE,
        threads: int = 1,
    ) -> None:
        wrk = shutil.which("wrk")
        if wrk is None:
            raise SystemExit("the benchmark needs wrk: sudo apt-get install wrk")
        if isinstance(tokens, MadeTokens):
            script = tokens.lua
        else:
            script = _requests(tokens, offset=offset, start=start, pause=pause)
        with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as file:
            file.write(script + _DONE)
        self._script = Path(file.name)
        self._patience = seconds + 60
        self._process = subprocess.Popen(
            [
                *command_on(core),
                *(wrk, f"-t{threads}", f"-c{connections}", f"-d{seconds}s"),
                *("--timeout", "10s", "-s", file.name, url),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self) -> Load:
        """What it came to. SystemExit with wrk's own words when it failed."""
        try:
            said, complaint = self._process.communicate(timeout=self._patience)
        finally:
            self._process.kill()
            self._script.unlink(missing_ok=True)
        if self._process.returncode:
            raise SystemExit(f"wrk failed: {complaint or said}")
        answer = json.loads(said.strip().splitlines()[-1])
        return Load(
            requests=answer["requests"],
            seconds=answer["microseconds"] / 1e6,
            **{name: answer[name] for name in ("p50", "p99", "p999", "refused", "errors")},
        )


def _requests(tokens: Tokens, *, offset: int, start: int, pause: int) -> str:
    """Lua that defines `request`."""
    script = _SCRIPT
    for name, value in {
        "OFFSET": offset,
        "LIMIT": tokens.distinct,
        "TOKENS": tokens.file.absolute(),
        "ORDER": tokens.order.absolute() if tokens.order else "",
        "START": start,
        "DELAY": f"function delay() return {pause} end" if pause else "",
    }.items():
        script = script.replace(f"@{name}@", str(value))
    return script


def run(url: str, tokens: Tokens, *, connections: int, seconds: int, offset: int = 0, start: int = 0) -> Load:
    """Send requests for so many seconds, and say what came of it."""
    return Generator(url, tokens, connections=connections, seconds=seconds, offset=offset, start=start).result()
