"""Whether the decision cache keeps its share: new valid tokens at full speed.

The validators are stubs that verify nothing, so that NGINX gets more decisions than Python could make, and look
after the space as ours do. wrk makes the tokens: each is new, has some 340 bytes, and comes twice, since a
decision is kept at the second time. The cache has a file system of its own, which only root may mount.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import subprocess
import tempfile
import time
from multiprocessing import Process
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvloop

from bench.load import Generator, MadeTokens
from bench.machine import end_with_parent, free_port, running
from bench.processes import listens
from jwtgate.config import load_text
from jwtgate.gateway.programs import VALIDATOR_NICE
from jwtgate.nginx import Site, find_nginx, render
from jwtgate.nginx.site import validator_sockets
from jwtgate.run_directory import run_directory, unprivileged_account
from jwtgate.validator import listen, used_bytes
from jwtgate.validator.room import CacheRoom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ctypes import c_uint64

    from jwtgate.nginx import Nginx
    from jwtgate.plan import Plan

MIB = 1024 * 1024
SHARE = 64 * MIB
WORKERS = 2
CONNECTIONS = 64

CONFIGURATION = """
version: 1
listen: {address}
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
local threads = 0
-- `setup` runs in wrk's main thread, `request` in the others, each of which has globals of its own.
function setup(thread) thread:set("id", threads); threads = threads + 1 end
function request()
  again = not again
  if again then number = number + 1 end
  return wrk.format("GET", "/", {["Authorization"] = "Bearer " .. id .. "." .. number .. "." .. padding})
end
"""


class Stub(asyncio.Protocol):
    """Allows everything, and calls cacheable what there is room for."""

    def __init__(self, room: CacheRoom, answered: c_uint64) -> None:
        self._room = room
        self._answered = answered
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """NGINX has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class has its methods

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        *whole, self._waiting = (self._waiting + data).split(b"\r\n\r\n")
        self._answered.value += len(whole)
        for _ in whole:
            until = int(time.time()) + 60 if self._room() else 0
            expires = f"@{until}" if until else "0"
            self._transport.write(
                f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Accel-Expires: {expires}\r\n\r\n".encode()
            )


def stub(path: Path, plan: Plan, cache: Path, empty: int, answered: c_uint64) -> None:
    """A validator that verifies nothing, and counts its answers."""
    end_with_parent()
    account = unprivileged_account()
    room = CacheRoom(
        cache, empty=empty, share=plan.cache.max_size, entry=plan.decision_buffer, workers=plan.workers
    )

    async def serve() -> None:
        sock = listen(path, (account.uid, account.gid) if account else None)
        await asyncio.get_running_loop().create_unix_server(lambda: Stub(room, answered), sock=sock)
        await room.watch()

    os.nice(VALIDATOR_NICE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


@contextlib.contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """A file system of its own."""
    options = f"size={size},mode=0711"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)],
        check=True,
        capture_output=True,
        text=True,
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def obstacle() -> str | None:
    """Why this cannot be measured here, if so."""
    with tempfile.TemporaryDirectory() as name:
        try:
            with mounted(Path(name), MIB):
                return None
        except subprocess.CalledProcessError as error:
            return f"it mounts a file system of its own, as root may; {error.stderr.splitlines()[0]}"


def measure(work: Path, seconds: int, share: int) -> dict[str, float]:
    """`requests`, `seconds`, `refused`, `failed` as wrk counts; the cache took `most` bytes of its `share`.

    SystemExit when the stubs have answered another number of requests. `work` is a directory of our own.
    """
    address = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        nginx, site, plan = _configured(work, address, share, stack)
        empty = used_bytes(site.cache_dir)
        answered = []
        for path in validator_sockets(site.run_dir, WORKERS):
            answered.append(RawValue(ctypes.c_uint64))
            process = Process(target=stub, args=(path, plan, site.cache_dir, empty, answered[-1]), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
        # As `jwtgate up` starts it.
        command = ["chrt", "--batch", "0", str(nginx.path), "-p", str(work), "-e", "stderr"]
        command += ["-c", str(work / "nginx.conf")]
        stack.enter_context(running(command, None, work / "log", lambda pid: listens(pid, address)))
        tokens = MadeTokens(SCRIPT)
        load = Generator(
            f"http://{address}/", tokens, connections=CONNECTIONS, seconds=seconds, core=None, threads=2
        )
        most = 0
        while load.is_running():
            most = max(most, used_bytes(site.cache_dir) - empty)
            time.sleep(0.005)
        came = load.result()
    by_stubs = sum(each.value for each in answered)
    # Each request asks a stub once; wrk leaves those without their answer when it ends.
    if not came.requests <= by_stubs <= came.requests + came.failed + CONNECTIONS:
        raise SystemExit(
            f"{came.requests:,} answers came, and the stubs gave {by_stubs:,}: not each token was new"
        )
    return {
        "requests": came.requests,
        "seconds": came.seconds,
        "refused": came.refused,
        "failed": came.failed,
        "most": most,
        "share": share,
    }


def _configured(work: Path, address: str, share: int, stack: contextlib.ExitStack) -> tuple[Nginx, Site, Plan]:
    """An nginx.conf in `work` as ours would be, and the directories that it wants, until the stack ends."""
    nginx = find_nginx()
    run_dir = work / "run"
    with run_directory(run_dir, keep=True):
        pass  # the directories stay
    cache = run_dir / "cache"
    stack.enter_context(mounted(cache, 2 * share + 64 * MIB))
    with run_directory(run_dir, keep=True) as directory:
        account = directory.account
    text = CONFIGURATION.format(address=address, workers=WORKERS, share=share)
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
    # An answer of NGINX's own, instead of a service's: it is the cache that is to be busy.
    conf = re.sub(r"proxy_pass \S*://service\b[^;]*;", "empty_gif;", render(plan, site))
    (work / "nginx.conf").write_text(conf)
    return nginx, site, plan
