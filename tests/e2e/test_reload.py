"""A changed gateway.yaml while the gateway runs: no request notices, or everything stays as it was.

More than a few reloads: JWTGATE_TEST_RELOADS=100 pytest tests/e2e/test_reload.py -k under_load
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.backend import Backend
from support.gateway import Gateway, jwtgate, wait_until
from support.http import connect, exchange, request
from support.issuer import AUDIENCE, URL, Issuer
from support.load import SteadyLoad
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RELOADS = int(os.environ.get("JWTGATE_TEST_RELOADS", "4"))


def configuration(backend: str, issuer: Issuer, *, staleness: int = 600, further: str = "") -> str:
    """gateway.yaml with one issuer and one protected route, and what else there is to change."""
    return f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend}}}
routes:
  - {{path: /x, upstream: backend, policy: caller, staleness: {staleness}s, max_body: 32m}}
{further}"""


def added(number: int) -> str:
    """A route that was not there before."""
    return f"  - {{path: /added-{number}, upstream: backend, policy: caller}}\n"


@pytest.fixture
def own(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Gateway]:
    """A gateway whose configuration a test may change."""
    with Gateway(configuration(backend.address, issuer), nginx=nginx) as running:
        yield running


def change(gateway: Gateway, text: str) -> None:
    """Write another configuration for the same addresses and directories."""
    head = gateway.configuration.read_text().partition("\nissuers:")[0]
    gateway.configuration.write_text(head + text)


def reloaded(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    """`jwtgate reload`."""
    return jwtgate("reload", str(gateway.configuration))


def test_reloads_under_load_fail_no_request(own: Gateway, backend: Backend, issuer: Issuer) -> None:
    token = issuer.token(exp=int(time.time()) + 3600)
    fresh = itertools.count()

    def either() -> str:
        """A token whose decision is cached, or one that has to be decided."""
        number = next(fresh)
        return issuer.token(jti=str(number)) if number % 2 else token

    with Backend() as other, SteadyLoad(own.address, ["/x"], either) as load:
        for number in range(RELOADS):
            upstream = (backend, other)[number % 2].address
            change(own, configuration(upstream, issuer, staleness=10 + number, further=added(number)))
            before = len(load.statuses)
            done = reloaded(own)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == "reloaded: 2 routes\n"
            assert own.request(f"/added-{number}", token=token).status == 200
            assert own.request(f"/added-{number - 1}", token=token).status == 404
            wait_until(lambda: len(load.statuses) > before + 30)  # noqa: B023 - called here
    assert (set(load.statuses), load.faults) == ({200}, [])
    assert other.seen, "the other service was asked"
    assert "[crit]" not in own.said
    wait_until(lambda: len(own.children("validator")) == 2)  # those of former configurations are gone


def test_decisions_survive_a_reload_that_does_not_concern_them(
    own: Gateway, backend: Backend, issuer: Issuer
) -> None:
    token = issuer.token()
    for _ in range(2):
        assert own.request("/x", token=token).status == 200
    change(own, configuration(backend.address, issuer, further=added(1)))
    assert reloaded(own).returncode == 0
    answer = own.request("/x", token=token)
    assert own.logged(answer.headers["x-request-id"])["decision_cache"] == "HIT"


def test_what_is_in_flight_during_a_reload_is_finished(own: Gateway, backend: Backend, issuer: Issuer) -> None:
    """An upload, and a request of which NGINX has only the half: it asks for a policy that is no more."""
    body = b"x" * 1_000_000
    lines = ("Host: x", f"Authorization: Bearer {issuer.token(jti='in flight')}", f"Content-Length: {len(body)}")
    head = "\r\n".join(["POST /x HTTP/1.1", *lines, "", ""]).encode()
    with connect(own.address, 30) as upload, connect(own.address, 30) as half:
        upload.sendall(head + body[:1000])
        half.sendall(head[:-20])
        time.sleep(0.3)  # until NGINX has read both
        change(own, configuration(backend.address, issuer, staleness=3))
        assert reloaded(own).returncode == 0
        time.sleep(1.5)
        answer = exchange(upload, body[1000:], "POST")
        assert (answer.status, answer.json()["size"]) == (200, len(body))
        answer = exchange(half, head[-20:] + body, "POST")
        assert (answer.status, answer.json()["size"]) == (200, len(body))
    wait_until(lambda: len(own.children("validator")) == 2)


def test_a_hangup_is_a_reload(own: Gateway, backend: Backend, issuer: Issuer) -> None:
    change(own, configuration(backend.address, issuer, further=added(1)))
    os.kill(own.pid, signal.SIGHUP)
    wait_until(lambda: own.request("/added-1", token=issuer.token()).status == 200)


def test_the_log_answers_a_hangup_and_no_line_of_it_is_written_over(
    own: Gateway, nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    """As people start it: `jwtgate up gateway.yaml > log`, with nothing said about how much to log."""
    work, address = own.work / "another", f"127.0.0.1:{free_port()}"
    work.mkdir()
    log, file = work / "log", work / "gateway.yaml"
    own_lines = f"version: 1\nlisten: {address}\nadmin: off\nrun_dir: {work}/run\n"
    file.write_text(own_lines + configuration(backend.address, issuer))
    command = [sys.executable, "-m", "jwtgate", "up", str(file), "--nginx", str(nginx)]
    quiet = {name: value for name, value in os.environ.items() if name != "JWTGATE_LOG"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=quiet)
    try:
        wait_until(lambda: "serving on" in log.read_text() or process.poll() is not None)
        for _ in range(20):
            request(address, "/x")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: '"order": "reload"' in log.read_text())
        for _ in range(20):
            request(address, "/x")
    finally:
        process.terminate()
        process.wait(30)
    lines = log.read_text().splitlines()
    assert len([line for line in lines if line.startswith("{") and json.loads(line).get("path") == "/x"]) == 40
    assert len([line for line in lines if "serving on" in line and line.startswith("jwtgate: ")]) == 1
    (answer,) = [json.loads(line) for line in lines if '"order": "reload"' in line]
    assert answer["done"]


def test_log_files_are_opened_anew(own: Gateway, issuer: Issuer) -> None:
    first = own.request("/x", token=issuer.token())
    own.logged(first.headers["x-request-id"])
    log = own.work / "access.log"
    log.rename(own.work / "access.log.1")
    os.kill(own.pid, signal.SIGUSR1)
    wait_until(log.exists)

    def is_in_the_new_file() -> bool:
        answer = own.request("/x", token=issuer.token())
        time.sleep(0.1)
        return answer.headers["x-request-id"] in log.read_text()

    wait_until(is_in_the_new_file)
    assert first.headers["x-request-id"] not in log.read_text()


def test_a_new_certificate_is_served_after_a_reload(nginx: Path, backend: Backend, issuer: Issuer) -> None:
    address = f"127.0.0.1:{free_port()}"
    listen = f"[{{address: {address}, tls: {{certificate: tls.crt, key: tls.key}}}}]"
    gateway = Gateway(configuration(backend.address, issuer), nginx=nginx, listen=listen)
    make_certificate(gateway.work)
    with gateway:
        first = served_certificate(address)
        make_certificate(gateway.work)
        assert served_certificate(address) == first
        assert reloaded(gateway).returncode == 0
        assert served_certificate(address) != first


def make_certificate(directory: Path) -> None:
    """tls.crt and tls.key, self-signed."""
    names = ("-keyout", f"{directory}/tls.key", "-out", f"{directory}/tls.crt")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    command = ["openssl", "req", "-x509", *curve, "-nodes", "-subj", "/CN=x", "-days", "1", *names]
    subprocess.run(command, check=True, capture_output=True)


def served_certificate(address: str) -> bytes | None:
    """What a client is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(address) as plain, context.wrap_socket(plain) as connection:
        return connection.getpeercert(binary_form=True)


# What does not work leaves everything as it was


@dataclass(frozen=True, slots=True)
class Refused:
    """A change of gateway.yaml (a pattern and what takes its place), and what is said to it."""

    pattern: str
    by: str
    said: str


REFUSED = {
    "not YAML": Refused(r"routes:", "routes: [", "gateway.yaml:"),
    "a mistake": Refused("policy: caller", "policy: nobody", '"nobody"'),
    "a port that is taken": Refused(r"listen: (\S+)", r"listen: [\1, TAKEN]", "the port is taken"),
    "a required issuer that is down": Refused(
        r"jwks: \S+,",
        "jwks: http://127.0.0.1:1/jwks, start: require,",
        "no keys of issuers with start: require: main",
    ),
    "another run_dir": Refused(r"run_dir: \S+", "run_dir: elsewhere", "run_dir cannot change"),
    "another scheduling": Refused(
        r"run_dir:", "nginx_scheduling: normal\nrun_dir:", "nginx_scheduling cannot change"
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_reload_that_fails_changes_nothing_and_says_why(
    case: Refused, refusing: Gateway, issuer: Issuer
) -> None:
    good = refusing.configuration.read_text()
    running = (refusing.run_dir / "nginx.conf").read_text()
    validators = refusing.children("validator")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        by = case.by.replace("TAKEN", f"127.0.0.1:{taken.getsockname()[1]}")
        refusing.configuration.write_text(re.sub(case.pattern, by, good))
        try:
            refused = jwtgate("reload", "--run-dir", str(refusing.run_dir))
        finally:
            refusing.configuration.write_text(good)
    assert refused.returncode == 1
    assert case.said in refused.stderr
    assert "Traceback" not in refused.stderr + refusing.said
    assert refusing.request("/x", token=issuer.token()).status == 200
    assert (refusing.run_dir / "nginx.conf").read_text() == running
    assert [path.name for path in refusing.run_dir.glob("nginx.conf*")] == ["nginx.conf"]
    wait_until(lambda: refusing.children("validator") == validators)


@pytest.fixture(scope="module")
def refusing(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Gateway]:
    """A gateway whose reloads fail."""
    with Gateway(configuration(backend.address, issuer), nginx=nginx) as running:
        yield running
