"""What can be done to a running gateway, and what it tells about itself."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from jwtgate.control.client import ask_gateway
from support.gateway import Gateway, Process, jwtgate, wait_until
from support.http import request
from support.issuer import AUDIENCE, URL, Issuer
from support.ports import free_port
from support.stand_alone import StandAlone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response


def configuration(backend: Backend, issuer: Issuer, **options: object) -> str:
    """gateway.yaml with one issuer and one protected route whose decisions are kept for long."""
    further = "".join(f"{name}: {value}\n" for name, value in options.items())
    return f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 600s}}]
{further}"""


@pytest.fixture(scope="module")
def admin() -> str:
    """Where the gateway of this module tells about itself."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def running(nginx: Path, backend: Backend, issuer: Issuer, admin: str) -> Iterator[Gateway]:
    """A gateway whose decisions are flushed, and nothing else is done to it."""
    with Gateway(configuration(backend, issuer, admin=admin), nginx=nginx) as gateway:
        yield gateway


def cached(gateway: Gateway, answer: Response) -> str:
    """What the log says about the cache for a request."""
    entry: str = gateway.logged(answer.headers["x-request-id"])["decision_cache"]
    return entry


def kept(gateway: Gateway) -> bytes:
    """Everything that the decision cache holds on disk."""
    return b"".join(file.read_bytes() for file in (gateway.cache_dir / "decisions").rglob("*") if file.is_file())


# flush


def test_a_flush_forgets_every_decision(running: Gateway, issuer: Issuer) -> None:
    token = issuer.token(jti="flushed")
    decisions = running.cache_dir / "decisions"
    before = decisions.stat().st_ino
    for _ in range(2):
        assert running.request("/x", token=token).status == 200
    assert cached(running, running.request("/x", token=token)) == "HIT"
    assert token.encode() in kept(running)

    done = jwtgate("flush", str(running.configuration))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("flushed: ")
    assert token.encode() not in kept(running)
    assert decisions.stat().st_ino == before, "NGINX would never cache again in another directory"
    assert cached(running, running.request("/x", token=token)) == "MISS"
    assert cached(running, running.request("/x", token=token)) == "MISS"
    assert cached(running, running.request("/x", token=token)) == "HIT"


def test_a_decision_that_was_under_way_during_a_flush_is_not_repeated(running: Gateway, issuer: Issuer) -> None:
    for number in range(4):  # both workers have the keys
        assert running.request("/x", token=issuer.token(jti=f"before-{number}")).status == 200
    # A busy machine may need longer for a flush than NGINX waits for a decision.
    answered = next(
        filter(lambda pair: pair[0] == 200, (_asked_during_a_flush(running, issuer, n) for n in range(5)))
    )
    assert answered == (200, "MISS")


def _asked_during_a_flush(running: Gateway, issuer: Issuer, number: int) -> tuple[int, str]:
    """The status of a request that a flush overtook, and what the cache has for the next one of its token."""
    token = issuer.token(jti=f"under way {number}")
    workers = list(running.children("validator"))
    statuses: list[int] = []
    asking = threading.Thread(
        target=lambda: statuses.append(running.request("/x", token=token, timeout=30).status)
    )
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        asking.start()
        time.sleep(0.3)  # until NGINX has asked
        assert str(ask_gateway(running.run_dir, "flush")).startswith("flushed: ")
    finally:
        for worker in workers:
            with suppress(ProcessLookupError):  # a slow machine: it has been replaced
                os.kill(worker, signal.SIGCONT)
    asking.join()
    return statuses[0], cached(running, running.request("/x", token=token))


def test_a_flush_under_load_fails_no_request(running: Gateway, issuer: Issuer) -> None:
    tokens = [issuer.token(jti=str(number)) for number in range(5)]
    over = threading.Event()
    statuses: list[int] = []

    def use() -> None:
        while not over.is_set():
            statuses.extend(running.request("/x", token=token).status for token in tokens)

    clients = [threading.Thread(target=use) for _ in range(2)]
    for client in clients:
        client.start()
    for _ in range(3):
        before = len(statuses)
        ask_gateway(running.run_dir, "flush")
        wait_until(lambda: len(statuses) > before + 10)  # noqa: B023 - called here
    over.set()
    for client in clients:
        client.join()
    assert set(statuses) == {200}
    assert "[crit]" not in running.said


def test_a_flush_whose_configuration_nginx_refuses_leaves_everything_as_it_was(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    with Gateway(configuration(backend, issuer), nginx=nginx) as gateway:
        token = issuer.token()
        for _ in range(2):
            assert gateway.request("/x", token=token).status == 200
        before = (gateway.run_dir / "nginx.conf").read_text()
        (gateway.run_dir / "temp").rename(gateway.run_dir / "elsewhere")
        (gateway.run_dir / "temp").write_text("no directory")
        refused = jwtgate("flush", "--run-dir", str(gateway.run_dir))
        assert refused.returncode == 1
        assert "refuses the configuration" in refused.stderr
        assert "Traceback" not in refused.stderr + gateway.said
        assert (gateway.run_dir / "nginx.conf").read_text() == before
        assert cached(gateway, gateway.request("/x", token=token)) == "HIT"


# The socket


def test_only_the_owner_can_give_commands(running: Gateway) -> None:
    found = (running.run_dir / "control.sock").stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == os.geteuid()


def test_a_command_without_a_gateway_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    refused = jwtgate("flush", "--run-dir", str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"no gateway runs in {tmp_path}. Start it with: jwtgate up GATEWAY.YAML; "
        "or, if it runs in another directory, name that: --run-dir DIR\n"
    )


def test_a_command_finds_its_gateway_though_the_file_is_broken_meanwhile(running: Gateway) -> None:
    broken = running.work / "broken.yaml"
    broken.write_text(f"run_dir: {running.run_dir}\nroutes: 7\nsecret: ${{NOT_SET_HERE}}\n")
    assert jwtgate("flush", str(broken)).returncode == 0


def test_validators_alone_cannot_flush_a_stranger(nginx: Path, backend: Backend, issuer: Issuer) -> None:
    with (
        StandAlone(configuration(backend, issuer, admin="off"), nginx=nginx) as gate,
        Process("validator", str(gate.configuration), ready="validators listen"),
    ):
        refused = jwtgate("flush", "--run-dir", str(gate.run_dir))
        assert refused.returncode == 1
        assert "NGINX was not started by this gateway" in refused.stderr


def test_a_control_process_that_dies_is_back(running: Gateway) -> None:
    (victim,) = running.children("control")
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: running.children("control") and victim not in running.children("control"))
    wait_until(lambda: jwtgate("flush", str(running.configuration)).returncode == 0)


# The admin address


@pytest.mark.usefixtures("running")
def test_a_gateway_says_that_it_lives_and_is_ready(admin: str) -> None:
    assert request(admin, "/live").text == "ok\n"
    ready = request(admin, "/ready")
    assert ready.status == 200
    assert ready.json() == {
        "ready": True,
        "validators": 2,
        "answering": 2,
        "ready_validators": 2,
        "nginx": True,
        "generation": ready.json()["generation"],
        "missing_issuers": [],
    }


def test_the_admin_address_takes_no_commands(running: Gateway, admin: str) -> None:
    assert running.children("control")
    for path in ("/flush", "/status"):
        assert request(admin, path, method="POST", body=b"{}").status == 404


def test_a_gateway_that_is_not_ready_names_the_issuer_that_is_missing(nginx: Path, backend: Backend) -> None:
    with Issuer() as issuer:
        issuer.down()
        admin = f"127.0.0.1:{free_port()}"
        required = configuration(backend, issuer, admin=admin).replace("main: {", "main: {start: require, ")
        with Gateway(required, nginx=nginx, ready=issuer.jwks_url):
            unready = wait_until(lambda: request(admin, "/ready"))
            assert (unready.status, unready.json()["missing_issuers"]) == (503, ["main"])
            assert request(admin, "/live").status == 200
            issuer.up()
            wait_until(lambda: request(admin, "/ready").status == 200)


def test_an_admin_address_that_is_taken_is_named(running: Gateway, nginx: Path, admin: str) -> None:
    other = running.work / "other.yaml"
    text = running.configuration.read_text().replace(running.address, f"127.0.0.1:{free_port()}")
    other.write_text(text)
    second = jwtgate("up", str(other), "--nginx", str(nginx), "--run-dir", str(running.work / "second"))
    assert second.returncode == 1
    assert second.stderr.startswith(f"admin: cannot listen on {admin}: the port is taken")


# On a terminal


def test_a_terminal_shows_what_goes_on_until_it_is_gone(nginx: Path, backend: Backend, issuer: Issuer) -> None:
    admin = f"127.0.0.1:{free_port()}"
    with Gateway(configuration(backend, issuer, admin=admin), nginx=nginx) as gateway:
        gateway.stop()
        shows_what_goes_on(gateway, str(nginx))


def shows_what_goes_on(gateway: Gateway, nginx: str) -> None:
    """Start it on a terminal, and end it by taking the terminal away."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    seen = bytearray()

    def read() -> bytes:
        """Everything that was drawn so far."""
        while select.select([ours], [], [], 0)[0]:
            seen.extend(os.read(ours, 65536))
        return bytes(seen)

    process = subprocess.Popen(
        [sys.executable, "-m", "jwtgate", "up", str(gateway.configuration), "--nginx", nginx],
        stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    try:
        wait_until(lambda: b"32mready" in read() or process.poll() is not None)
        assert process.poll() is None, read()
        assert gateway.request("/x").status == 401
        wait_until(lambda: b"token_missing" in read())
    finally:
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: read() and process.poll() is not None)
    assert process.returncode == 0
    assert read().rpartition(b"\x1b[?1049")[2].startswith(b"l"), "the first screen is back"
    os.close(ours)
    os.close(theirs)
