"""Serving until told to stop: real processes, real signals, real sockets."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from jwtgate.errors import StartError
from jwtgate.serve import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20  # seconds; far above what anything here takes

PROGRAM = """
    import asyncio, contextlib, os, signal, sys
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from jwtgate.serve import bind, serve_socket

    async def quick(request):
        return PlainTextResponse(request.client.host)

    async def slow(request):
        print("slow", flush=True)
        await asyncio.sleep(1)
        return PlainTextResponse("done")

    @contextlib.asynccontextmanager
    async def lifespan(app):
        if "signal-at-start" in sys.argv:
            os.kill(os.getpid(), signal.SIGTERM)
        if "fail-at-start" in sys.argv:
            raise RuntimeError("no luck")
        yield

    listener = bind("127.0.0.1:0")
    print(listener.getsockname()[1], flush=True)
    serve_socket(Starlette(routes=[Route("/", quick), Route("/slow", slow)], lifespan=lifespan), listener)
    print("served", flush=True)
"""


def has_ipv6_loopback() -> bool:
    addresses = Path("/proc/net/if_inet6")
    return addresses.exists() and f"{1:032x}" in addresses.read_text()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server and its URL."""
    process = start()
    try:
        yield process, f"http://127.0.0.1:{line(process)}"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_exit_code_0_and_without_a_word(
    server: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    process, url = server
    answer = httpx2.get(url, trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 200
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "served\n", "")


def test_a_request_under_way_is_answered_before_the_server_ends(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = server
    address = url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=PATIENCE) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert line(process) == "slow"
        process.send_signal(signal.SIGTERM)
        received = b"".join(iter(lambda: client.recv(4096), b""))
    assert received.endswith(b"done")
    assert process.wait(PATIENCE) == 0


def test_a_signal_during_startup_is_not_lost() -> None:
    process = start("signal-at-start")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.splitlines()[1:], err) == (0, ["served"], "")


def test_a_failing_startup_is_a_start_error() -> None:
    process = start("fail-at-start")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "no luck" in err
    assert "StartError" in err


def test_an_answer_does_not_name_the_server_and_a_forwarded_address_is_not_believed(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    _, url = server
    answer = httpx2.get(url, headers={"X-Forwarded-For": "192.0.2.1"}, trust_env=False, timeout=PATIENCE)
    assert "server" not in answer.headers
    assert answer.text == "127.0.0.1"


def test_a_taken_port_is_a_start_error_that_says_so() -> None:
    with bind("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port}: the port is taken"):
            bind(f"127.0.0.1:{port}")


def test_a_port_whose_server_has_just_stopped_can_be_taken_again() -> None:
    with bind("127.0.0.1:0") as first:
        address = first.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = first.accept()
            accepted.close()  # the server closes first, so its side waits in TIME_WAIT
            assert client.recv(1) == b""
    bind(f"127.0.0.1:{address[1]}").close()


@pytest.mark.parametrize(
    "listen",
    ["", "8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "h:-1", "h:\u0661"],
)
def test_an_address_that_is_none_is_a_start_error_that_shows_one(listen: str) -> None:
    with pytest.raises(StartError, match=r"write host:port, such as 127\.0\.0\.1:3000"):
        bind(listen)


def test_an_address_of_another_machine_is_a_start_error() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1:3000: this machine has no such address"):
        bind("192.0.2.1:3000")


def test_a_name_that_does_not_resolve_is_a_start_error() -> None:
    with pytest.raises(StartError, match=r"nowhere\.invalid:3000: the host name does not resolve"):
        bind("nowhere.invalid:3000")


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")
def test_an_ipv6_address_stands_in_brackets() -> None:
    with bind("[::1]:0") as listener:
        assert listener.getsockname()[0] == "::1"
