"""Load from wrk: tokens in turn, bounded in time, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.machine import OTHER_CORE, command_on

if TYPE_CHECKING:
    from pathlib import Path

# wrk calls `request` for each request, once more beforehand to look at it, and `done` at the end. `tokens` is a
# file with one on each line; the first `offset` are left out, and no more than `limit` are read. `order` is a file
# of line numbers, from 1: the tokens in the order in which they are sent. `pause` are milliseconds that a
# connection waits between two requests. `last`: with which turn the run ends early, so many tokens before the last
# one as are to be spared; 0: with none. Answers that have already come are still read then, and each makes wrk ask
# for one more request, hence these. The main thread, which sleeps until the end, is woken as if somebody had
# pressed Ctrl-C, so that wrk's times are right.
_SCRIPT = """
local skip, limit, headers, order, last = @OFFSET@, @LIMIT@, {}, {}, 0
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
local turns = #order > 0 and #order or #headers
if @SPARE@ > 0 then last = math.max(2, @START@ + turns - @SPARE@) end
local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int, int);")
turn = @START@
function request()
  turn = turn + 1
  if turn == last then
    wrk.thread:stop()
    ffi.C.kill(ffi.C.getpid(), 2)
  end
  if #order > 0 then
    return wrk.format("GET", nil, headers[order[(turn - 1) % #order + 1]])
  end
  return wrk.format("GET", nil, headers[(turn - 1) % #headers + 1])
end
local threads = {}
function setup(thread) threads[#threads + 1] = thread end
function taken()
  local sum = 0
  for _, thread in ipairs(threads) do sum = sum + thread:get("turn") - @START@ end
  return sum
end
@DELAY@
"""
_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "p999": %d, "taken": %d, "refused": %d, ',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    taken and taken() or 0, errors.status))
  io.write(string.format('"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d}}\\n',
    errors.connect, errors.read, errors.write, errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What to send: a file with a token on each line (`-`: none), and which of them.

    `distinct` tokens in turn, or in this `order`, from line `first` (0 is the first) on. `once`: a run ends when
    they are used up, so that none comes twice in it, unless `order` says so. `fresh`: so many for each run, and
    none of them twice over all runs.
    """

    file: Path
    distinct: int
    fresh: bool = False
    order: Path | None = None
    first: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True)
class MadeTokens:
    """Tokens that wrk makes itself: Lua that defines `request`."""

    lua: str


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk came to. Latencies in microseconds. `refused`: answers other than 2xx and 3xx.

    `taken`: turns that were begun; some of them got no answer before the end (0 with MadeTokens).
    `errors`: requests without an answer, by what failed: `connect`, `read` (that includes a connection that the
    other side has closed), `write`, `timeout`.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    taken: int
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
            script = _requests(tokens, offset=offset, start=start, pause=pause, spare=2 * connections)
        file = os.memfd_create("wrk.lua")  # leaves nothing behind, however we end
        os.write(file, (script + _DONE).encode())
        self._patience = seconds + 60
        self._process = subprocess.Popen(
            [
                *command_on(core),
                *(wrk, f"-t{threads}", f"-c{connections}", f"-d{seconds}s"),
                *("--timeout", "10s", "-s", f"/proc/self/fd/{file}", url),
            ],
            pass_fds=[file],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(file)

    def is_running(self) -> bool:
        """Whether it still sends."""
        return self._process.poll() is None

    def result(self) -> Load:
        """What it came to. SystemExit with wrk's own words when it failed."""
        try:
            said, complaint = self._process.communicate(timeout=self._patience)
        finally:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            raise SystemExit(f"wrk failed: {complaint or said}")
        answer = json.loads(said.strip().splitlines()[-1])
        return Load(
            requests=answer["requests"],
            seconds=answer["microseconds"] / 1e6,
            **{name: answer[name] for name in ("p50", "p99", "p999", "taken", "refused", "errors")},
        )


def _requests(tokens: Tokens, *, offset: int, start: int, pause: int, spare: int) -> str:
    """Lua that defines `request`."""
    script = _SCRIPT
    for name, value in {
        "OFFSET": tokens.first + offset,
        "LIMIT": tokens.distinct,
        "TOKENS": tokens.file.absolute(),
        "ORDER": tokens.order.absolute() if tokens.order else "",
        "START": start,
        "SPARE": spare if tokens.fresh or tokens.once else 0,
        "DELAY": f"function delay() return {pause} end" if pause else "",
    }.items():
        script = script.replace(f"@{name}@", str(value))
    return script


def run(url: str, tokens: Tokens, *, connections: int, seconds: int, offset: int = 0, start: int = 0) -> Load:
    """Send requests for so many seconds, and say what came of it."""
    return Generator(url, tokens, connections=connections, seconds=seconds, offset=offset, start=start).result()
