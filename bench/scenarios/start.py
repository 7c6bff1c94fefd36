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
from bench.machine import GATEWAY_CORE, free_port, running
from bench.markdown import spread, table, title
from bench.scenarios.growth import many_routes
from bench.systems import jwtgate
from jwtgate.nginx.binary import packaged_nginx

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workbench import Bench

TITLE = "Start and reload"

STARTS, RELOADS = 5, 3
CONNECTIONS = 8
NGINX = {"jwtgate": "the distribution's NGINX", "jwtgate-1.31": "NGINX 1.31"}
ERRORS = ("connect", "read", "write", "timeout", "status")


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds of each start; for each NGINX, seconds of each reload and the errors meanwhile, by kind."""
    setting = bench.setting()
    token = next(minting.lines(minting.token_file("ES256", 100), 1))
    starts = [
        _start(jwtgate.configuration(setting), setting.directory("start"), token, bench) for _ in range(STARTS)
    ]
    text = jwtgate.configuration(setting, routes=many_routes(1_000))
    often = bench.repeated("ES256")
    reloads = {
        name: _reload(text, setting.directory(f"reload-{name}"), often, bench, nginx)
        for name, nginx in (("jwtgate", None), ("jwtgate-1.31", packaged_nginx()))
    }
    return {"starts": starts, "reloads": reloads}


def _start(text: str, directory: Path, token: str, bench: Bench) -> float:
    """On the gateway's core alone; keys come from files."""
    bench.step("starting")
    address = f"127.0.0.1:{free_port()}"
    file = directory / "gateway.yaml"
    file.write_text(f"listen: {address}\nadmin: off\nrun_dir: {directory}/run\n{text}")
    begin = time.monotonic()
    command = [sys.executable, "-m", "jwtgate", "up", str(file)]
    with running(command, GATEWAY_CORE, directory / "log", lambda _: _served(address, token)):
        return time.monotonic() - begin


def _served(address: str, token: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/es256/", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == http.client.OK
    return False


def _reload(text: str, directory: Path, tokens: Tokens, bench: Bench, nginx: Path | None) -> dict[str, Any]:
    """Some reloads, each beside users who ask as fast as they can."""
    found: dict[str, Any] = {"seconds": [], "requests": 0, "errors": dict.fromkeys(ERRORS, 0)}
    with jwtgate.serve(text, directory, nginx) as gateway:
        for _ in range(RELOADS):
            bench.step("reloading")
            load = Generator(f"http://{gateway.address}/es256/", tokens, connections=CONNECTIONS, seconds=5)
            time.sleep(1)
            begin = time.monotonic()
            command = [sys.executable, "-m", "jwtgate", "reload", str(directory / "gateway.yaml")]
            result = subprocess.run(
                ["taskset", "-c", str(GATEWAY_CORE), *command], capture_output=True, text=True, check=False
            )
            if result.returncode:
                raise SystemExit(f"jwtgate reload failed: {result.stdout}{result.stderr}")
            found["seconds"].append(time.monotonic() - begin)
            came = load.result()
            found["requests"] += came.requests
            for kind, number in {**came.errors, "status": came.refused}.items():
                found["errors"][kind] += number
    return found


def goals(data: dict[str, Any]) -> list[Goal]:
    """All within two seconds, and no request fails, whichever NGINX it is."""
    found = [Goal("cold start to the first authenticated answer", statistics.median(data["starts"]), 2, "s")]
    for name, each in data["reloads"].items():
        found += [
            Goal(f"reload with 1,000 routes, {NGINX[name]}", statistics.median(each["seconds"]), 2, "s"),
            Goal(f"requests that failed during reloads, {NGINX[name]}", sum(each["errors"].values()), 0, ""),
        ]
    return found


def markdown(data: dict[str, Any]) -> str:
    """Sentences and a table."""
    return "\n\n".join(
        [
            "From the command to the first authenticated answer, on one core, with keys from files, so that no "
            f"key set is fetched: {spread(data['starts'], 2)} s in {len(data['starts'])} starts.",
            f"`jwtgate reload` with 1,000 routes, {RELOADS} times, the command on the gateway's core too, beside "
            f"{CONNECTIONS} connections of users who ask as fast as they can. The errors are wrk's, which never "
            "asks again: no connection; no answer, or half of one (read); request not sent (write); too late "
            "(timeout); an answer other than 2xx and 3xx (status). NGINX before 1.27.4 closes idle connections "
            "when it reloads, and wrk counts a read error when it was about to use one. An HTTP client asks once "
            "more then (RFC 9112, section 9.3.1). Later ones leave idle connections open for a while "
            "(`keepalive_min_timeout`, which jwtgate sets).",
            table(
                ("gateway", "seconds", "requests", *ERRORS),
                [
                    (
                        title(name),
                        spread(each["seconds"], 2),
                        f"{each['requests']:,}",
                        *(f"{each['errors'][kind]:,}" for kind in ERRORS),
                    )
                    for name, each in data["reloads"].items()
                ],
            ),
        ]
    )
