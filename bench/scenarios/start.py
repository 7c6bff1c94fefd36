"""From nothing to the first authenticated answer; and a reload with 1,000 routes under load."""

from __future__ import annotations

import contextlib
import http.client
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench import minting
from bench.goals import Goal
from bench.load import Generator, Tokens
from bench.machine import GATEWAY_CORE, free_port, running, wait_until
from bench.markdown import spread
from bench.scenarios.growth import many_routes
from bench.systems import jwtgate

if TYPE_CHECKING:
    from pathlib import Path

    from bench.bench import Bench

TITLE = "Start and reload"


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds of each start; seconds of each reload and the requests that failed meanwhile."""
    setting = bench.setting()
    token = next(minting.lines(minting.token_file("ES256", 100), 1))
    starts = [_start(jwtgate.configuration(setting), setting.directory("start"), token, bench) for _ in range(5)]
    data: dict[str, Any] = {"starts": starts, "reloads": [], "requests": 0, "failed": 0}
    if "reload" in _commands():
        text = jwtgate.configuration(setting, routes=many_routes(1_000))
        data |= _reload(text, setting.directory("reload"), bench.repeated("ES256"), bench)
    return data


def _start(text: str, directory: Path, token: str, bench: Bench) -> float:
    """Both cores, as a machine has them that starts."""
    bench.step("starting")
    address = f"127.0.0.1:{free_port()}"
    file = directory / "gateway.yaml"
    file.write_text(f"listen: {address}\nadmin: off\nrun_dir: {directory}/run\n{text}")
    begin = time.monotonic()
    with running([sys.executable, "-m", "jwtgate", "up", str(file)], GATEWAY_CORE, directory / "log"):
        wait_until(lambda: _served(address, token), interval=0.005)
        return time.monotonic() - begin


def _served(address: str, token: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/es256/", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == http.client.OK
    return False


def _reload(text: str, directory: Path, tokens: Tokens, bench: Bench) -> dict[str, Any]:
    """Three reloads, each beside 8 connections of users."""
    found: dict[str, Any] = {"reloads": [], "requests": 0, "failed": 0}
    with jwtgate.serve(text, directory) as gateway:
        for _ in range(3):
            bench.step("reloading")
            load = Generator(f"http://{gateway.address}/es256/", tokens, connections=8, seconds=5)
            time.sleep(1)
            begin = time.monotonic()
            command = [sys.executable, "-m", "jwtgate", "reload", str(directory / "gateway.yaml")]
            result = subprocess.run(
                ["taskset", "-c", str(GATEWAY_CORE), *command], capture_output=True, text=True, check=False
            )
            if result.returncode:
                raise SystemExit(f"jwtgate reload failed: {result.stdout}{result.stderr}")
            found["reloads"].append(time.monotonic() - begin)
            came = load.result()
            found["requests"] += came.requests
            found["failed"] += came.failed + came.refused
    return found


def _commands() -> str:
    return subprocess.run(
        [sys.executable, "-m", "jwtgate", "--help"], capture_output=True, text=True, check=True
    ).stdout


def goals(data: dict[str, Any]) -> list[Goal]:
    """Both within two seconds."""
    found = [Goal("cold start to the first authenticated answer", statistics.median(data["starts"]), 2, "s")]
    if data["reloads"]:
        found += [
            Goal("reload with 1,000 routes", statistics.median(data["reloads"]), 2, "s"),
            Goal("requests that failed during reloads", data["failed"], 0, ""),
        ]
    return found


def markdown(data: dict[str, Any]) -> str:
    """Two sentences."""
    lines = [f"From the command to the first authenticated answer, on one core: {spread(data['starts'], 2)} s."]
    if data["reloads"]:
        lines.append(
            f"`jwtgate reload` with 1,000 routes beside 8 connections of users: {spread(data['reloads'], 2)} s; "
            f"of {data['requests']:,} requests {data['failed']} failed (a connection that is closed while idle "
            "counts: wrk does not ask again)."
        )
    return "\n\n".join(lines)
