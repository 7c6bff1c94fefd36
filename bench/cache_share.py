"""Whether the decision cache keeps its share: new valid tokens at full speed, for 15 seconds.

`python -m bench.cache_share [--seconds N] [--share BYTES]`, as root (it mounts a file system of its own). The
validators are stubs that verify nothing, so that NGINX gets more decisions than Python could make, and look after
the space as ours do. wrk makes the tokens: each is new, has some 340 bytes, and comes twice, since a decision is
kept at the second time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvloop

from jwtgate.config import load_text
from jwtgate.gateway.programs import VALIDATOR_NICE
from jwtgate.nginx import Site, find_nginx, render
from jwtgate.nginx.site import validator_sockets
from jwtgate.run_directory import run_directory, unprivileged_account
from jwtgate.validator import listen, used_bytes
from jwtgate.validator.room import CacheRoom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.plan import Plan

MIB = 1024 * 1024
SHARE = 64 * MIB
WORKERS = 2
CONNECTIONS = 64

CONFIGURATION = """
version: 1
listen: 127.0.0.1:{port}
access_log: off
workers: {workers}
cache: {{max_size: {share}}}
issuers:
  main: {{issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: a, algorithms: [ES256]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{service: http://127.0.0.1:1}}
routes: [{{path: /, upstream: service, policy: caller, staleness: 60s}}]
"""

SCRIPT = """
local number, padding = 0, string.rep("x", 320)
local again = false
local thread = 0
function setup(t) t:set("thread", thread); thread = thread + 1 end
function request()
  again = not again
  if again then number = number + 1 end
  return wrk.format("GET", "/", {["Authorization"] = "Bearer " .. thread .. "." .. number .. "." .. padding})
end
function done(summary)
  local errors = summary.errors
  io.write(string.format('\\n{"requests": %d, "seconds": %f, "refused": %d, "failed": %d}\\n', summary.requests,
    summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Stub(asyncio.Protocol):
    """Allows everything, and calls cacheable what there is room for."""

    def __init__(self, room: CacheRoom) -> None:
        self._room = room
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """NGINX has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class has its methods

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        *whole, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        for _ in whole:
            until = int(time.time()) + 60 if self._room() else 0
            expires = f"@{until}" if until else "0"
            self._transport.write(
                f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Accel-Expires: {expires}\r\n\r\n".encode()
            )


def stub(path: Path, plan: Plan, cache: Path, empty: int) -> None:
    """A validator that verifies nothing."""
    account = unprivileged_account()
    room = CacheRoom(
        cache, empty=empty, share=plan.cache.max_size, entry=plan.decision_buffer, workers=plan.workers
    )

    async def serve() -> None:
        sock = listen(path, (account.uid, account.gid) if account else None)
        await asyncio.get_running_loop().create_unix_server(lambda: Stub(room), sock=sock)
        await room.watch()

    os.nice(VALIDATOR_NICE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


@contextlib.contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """A file system of its own."""
    options = f"size={size},mode=0711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--share", type=int, default=SHARE, help="bytes")
    arguments = parser.parse_args()
    result = measure(arguments.seconds, arguments.share)
    print(
        f"NGINX {find_nginx().version_text}: {result['requests'] / result['seconds'] / 2:,.0f} new tokens/s, each "
        f"twice, for {result['seconds']:.0f} s, {result['refused']} refused, {result['failed']} failed; "
        f"the cache took {result['most'] / MIB:.1f} MiB at most of its {result['share'] / MIB:.0f} MiB"
    )
    if result["most"] > result["share"] or result["refused"] or result["failed"]:
        sys.exit(1)


def measure(seconds: int, share: int) -> dict[str, float]:
    """`requests`, `seconds`, `refused`, `failed` as wrk counts; the cache took `most` bytes of its `share`."""
    if os.geteuid() != 0 or shutil.which("wrk") is None:
        sys.exit("this needs root, to mount a file system, and wrk")
    nginx = find_nginx()
    with tempfile.TemporaryDirectory(prefix="jwtgate-bench-") as name, contextlib.ExitStack() as stack:
        work = Path(name)
        work.chmod(0o755)
        run_dir = work / "run"
        with run_directory(run_dir, keep=True):
            pass  # the directories stay
        cache = run_dir / "cache"
        stack.enter_context(mounted(cache, 2 * share + 64 * MIB))
        with run_directory(run_dir, keep=True) as directory:
            account = directory.account
        text = CONFIGURATION.format(port=18999, workers=WORKERS, share=share)
        plan = load_text(text, str(work / "gateway.yaml"), {}).plan
        site = Site(
            run_dir,
            cache,
            nginx.version,
            WORKERS,
            generation="bench",
            epoch="bench",
            account=(account.user, account.group) if account else None,
        )
        conf = work / "nginx.conf"
        # An answer of NGINX's own, instead of a service's: it is the cache that is to be busy.
        conf.write_text(re.sub(r"proxy_pass \S*://service\b[^;]*;", "empty_gif;", render(plan, site)))
        empty = used_bytes(cache)
        for path in validator_sockets(run_dir, WORKERS):
            process = Process(target=stub, args=(path, plan, cache, empty), daemon=True)
            process.start()
            stack.callback(process.terminate)
        # As `jwtgate up` starts it.
        command = ["chrt", "--batch", "0", str(nginx.path), "-p", str(work), "-e", "stderr", "-c", str(conf)]
        server = subprocess.Popen(command)
        stack.callback(server.wait, 10)
        stack.callback(server.terminate)
        time.sleep(1)
        script = work / "tokens.lua"
        script.write_text(SCRIPT)
        load = subprocess.Popen(
            [
                "wrk",
                "-t2",
                f"-c{CONNECTIONS}",
                f"-d{seconds}s",
                "-s",
                str(script),
                "http://127.0.0.1:18999/",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        most = 0
        while load.poll() is None:
            most = max(most, used_bytes(cache) - empty)
            time.sleep(0.005)
        assert load.stdout is not None
        result = json.loads(load.stdout.read().strip().splitlines()[-1])
    return {**result, "most": most, "share": share}


if __name__ == "__main__":
    main()
