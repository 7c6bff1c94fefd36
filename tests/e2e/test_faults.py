"""What breaks, and what a client notices of it: nothing, or a clear answer for as long as it lasts."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Self

import pytest

from jwtgate.control.client import ask_gateway
from jwtgate.keys import generate_signing_key
from support.gateway import Gateway, Process, is_alive, jwtgate, wait_until
from support.http import connect, exchange
from support.issuer import AUDIENCE, URL, Issuer
from support.ports import free_port
from support.stand_alone import StandAlone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response


def configuration(backend: Backend, issuer: Issuer, *, staleness: int = 10) -> str:
    """gateway.yaml with one issuer and one protected route."""
    return f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: {staleness}s, max_body: 32m}}]
"""


@pytest.fixture
def own(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Gateway]:
    """A gateway that a test may break."""
    with Gateway(configuration(backend, issuer), nginx=nginx) as running:
        yield running


def is_unavailable(answer: Response) -> bool:
    """Whether it says: come back later."""
    return (
        answer.status == 503
        and int(answer.headers["retry-after"]) > 0
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["code"] == "temporarily_unavailable"
    )


def has_keys(gateway: Gateway) -> bool:
    """Whether all workers have the keys of all issuers."""
    told = ask_gateway(gateway.run_dir, "keys")
    every = told["answering"] == told["workers"]
    return every and all(issuer["available"] for issuer in told["issuers"])


def accepts(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(path)) == 0


def upload(issuer: Issuer, size: int) -> bytes:
    """The head of a request with a body."""
    lines = ("POST /x HTTP/1.1", "Host: x", f"Authorization: Bearer {issuer.token()}", f"Content-Length: {size}")
    return "\r\n".join([*lines, "", ""]).encode()


class Load:
    """Clients with kept connections, each request with a token that nobody has seen."""

    def __init__(self, gateway: Gateway, issuer: Issuer, clients: int = 4) -> None:
        self.statuses: list[int] = []
        self._gateway, self._issuer = gateway, issuer
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        while not self._over.is_set():
            with connect(self._gateway.address) as connection:
                while not self._over.is_set() and self._use(connection, number):
                    pass

    def _use(self, connection: socket.socket, number: int) -> bool:
        """One request. Returns whether the connection is kept: NGINX ends it after a thousand."""
        token = self._issuer.token(jti=f"{number} {time.monotonic_ns()}")
        request = f"GET /x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        try:
            answer = exchange(connection, request.encode())
        except OSError:
            self.statuses.append(0)
            return False
        self.statuses.append(answer.status)
        return answer.headers["connection"] != "close"


# Validators


def test_workers_killed_in_turn_under_load_cost_no_request(own: Gateway, issuer: Issuer) -> None:
    sockets = [own.run_dir / "sockets" / f"validator-{number}.sock" for number in range(2)]
    with Load(own, issuer) as load:
        wait_until(lambda: len(load.statuses) > 100)
        for turn in range(6):
            name = f"validator-{turn % 2}"
            (victim,) = own.children(name)
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: own.children(name) and victim not in own.children(name))  # noqa: B023 - called here
            wait_until(lambda: all(map(accepts, sockets)))
            # There are two workers: no request that has met this death may meet the next one.
            before = len(load.statuses)
            wait_until(lambda: len(load.statuses) > before + 100)  # noqa: B023 - called here
    assert set(load.statuses) == {200}
    assert len(own.children("validator")) == 2


def test_a_worker_that_dies_during_an_upload_does_not_disturb_it(own: Gateway, issuer: Issuer) -> None:
    body = b"x" * 4_000_000
    head = upload(issuer, len(body))
    with connect(own.address) as connection:
        connection.sendall(head + body[: len(body) // 2])
        os.kill(next(iter(own.children("validator"))), signal.SIGKILL)
        answer = exchange(connection, body[len(body) // 2 :], "POST")
    assert (answer.status, answer.json()["size"]) == (200, len(body))


def test_a_worker_that_hangs_costs_no_request(own: Gateway, issuer: Issuer) -> None:
    wait_until(lambda: has_keys(own))
    (victim,) = own.children("validator-0")
    os.kill(victim, signal.SIGSTOP)
    try:
        for number in range(4):
            assert own.request("/x", token=issuer.token(jti=str(number)), timeout=30).status == 200
    finally:
        with suppress(ProcessLookupError):  # a slow machine: it has been replaced
            os.kill(victim, signal.SIGCONT)


def test_a_worker_that_hangs_is_replaced(own: Gateway, issuer: Issuer) -> None:
    wait_until(lambda: has_keys(own))  # else the one that hangs may be the one that fetches for both
    (victim,) = own.children("validator-0")
    os.kill(victim, signal.SIGSTOP)
    with Load(own, issuer, clients=2) as load:
        wait_until(lambda: own.children("validator-0") and victim not in own.children("validator-0"))
    assert set(load.statuses) == {200}
    assert "a validator does not answer: killed" in own.said


def test_a_control_process_that_hangs_is_replaced(own: Gateway) -> None:
    (victim,) = own.children("control")
    os.kill(victim, signal.SIGSTOP)
    wait_until(lambda: own.children("control") and victim not in own.children("control"))
    assert jwtgate("flush", str(own.configuration)).returncode == 0


def test_without_workers_known_tokens_pass_until_their_staleness_ends(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    with StandAlone(configuration(backend, issuer, staleness=6), nginx=nginx) as gate:
        command = ("validator", str(gate.configuration))
        with Process(*command, ready="validators listen") as validators:
            known = issuer.token(jti="known")
            assert gate.request("/x", token=known).status == 200
            asked = time.time()
            assert gate.request("/x", token=known).status == 200  # the second time it is kept
            try:
                for victim in validators.children("validator"):
                    os.kill(validators.pid, signal.SIGSTOP)  # nobody brings them back
                    os.kill(victim, signal.SIGKILL)
                wait_until(lambda: is_unavailable(gate.request("/x", token=issuer.token(jti="new"))), patience=3)
                while time.time() < asked + 3:
                    assert gate.request("/x", token=known).status == 200
                    assert is_unavailable(gate.request("/x", token=issuer.token(jti="new")))
                    time.sleep(0.1)
                time.sleep(max(0, asked + 6.5 - time.time()))
                assert is_unavailable(gate.request("/x", token=known))
                assert is_unavailable(gate.request("/x"))
            finally:
                os.kill(validators.pid, signal.SIGCONT)
            wait_until(lambda: gate.request("/x", token=known).status == 200)
            assert gate.request("/x", token=issuer.token(jti="later")).status == 200


def test_validators_alone_can_be_restarted_beneath_a_running_nginx(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    with StandAlone(configuration(backend, issuer), nginx=nginx) as gate:
        body = b"x" * 1_000_000  # more than NGINX keeps in memory
        for _ in range(2):
            with Process("validator", str(gate.configuration), ready="validators listen"):
                for _ in range(2):
                    answer = gate.request("/x", method="POST", token=issuer.token(), body=body)
                    assert (answer.status, answer.json()["size"]) == (200, len(body))
            assert accepts(gate.run_dir / "sockets" / "nginx.sock")
        assert "[crit]" not in gate.said


# Issuers


def test_an_issuer_that_is_down_before_the_start_is_waited_for(nginx: Path, backend: Backend) -> None:
    with Issuer() as issuer:
        issuer.down()
        with Gateway(configuration(backend, issuer), nginx=nginx) as gateway:
            wait_until(lambda: issuer.jwks_url in gateway.said, patience=5)
            assert is_unavailable(gateway.request("/x", token=issuer.token()))
            entry = wait_until(gateway.log, patience=5)[-1]  # NGINX writes it after the answer
            assert (entry["reason"], entry["status"]) == ("issuer_unavailable", 503)
            assert gateway.request("/x").status == 401
            issuer.up()
            wait_until(lambda: issuer.fetches >= 1, patience=10)  # nobody asks for a token: by itself
            wait_until(lambda: gateway.request("/x", token=issuer.token()).status == 200, patience=10)
            assert "Traceback" not in gateway.said


def test_known_keys_keep_working_while_their_issuer_is_down(nginx: Path, backend: Backend) -> None:
    with Issuer() as issuer, Gateway(configuration(backend, issuer), nginx=nginx) as gateway:
        wait_until(lambda: has_keys(gateway))
        issuer.down()
        for number in range(5):
            assert gateway.request("/x", token=issuer.token(jti=str(number))).status == 200
        # A new key of the issuer, or a stranger's? Who cannot be asked cannot say: 503, and later it may be good.
        new = generate_signing_key("ES256")
        for number in range(4):  # either worker gets some
            assert is_unavailable(gateway.request("/x", token=issuer.token(key=new, jti=f"new {number}")))
        issuer.up()
        assert gateway.request("/x", token=issuer.token(jti="back")).status == 200


def test_a_new_key_works_at_once(nginx: Path, backend: Backend) -> None:
    with Issuer() as issuer, Gateway(configuration(backend, issuer), nginx=nginx) as gateway:
        # Not before: a fetch that a token has just caused, or one in flight, stands for the one of the new key.
        wait_until(lambda: has_keys(gateway))
        new = generate_signing_key("ES256")
        issuer.keys.append(new)
        for number in range(6):  # either worker gets some
            assert gateway.request("/x", token=issuer.token(key=new, jti=str(number))).status == 200
            assert gateway.request("/x", token=issuer.token(jti=str(number))).status == 200


def test_kept_keys_serve_a_start_without_the_issuer(nginx: Path, backend: Backend) -> None:
    with (
        Issuer() as issuer,
        Gateway(configuration(backend, issuer) + "state_dir: state\n", nginx=nginx) as gateway,
    ):
        wait_until(lambda: gateway.request("/x", token=issuer.token()).status == 200)
        gateway.stop()
        issuer.down()
        # On a quiet machine: under 2 s for both together (bench/issuers.py).
        began = time.monotonic()
        gateway.start()
        assert time.monotonic() - began < 20
        began = time.monotonic()
        assert gateway.request("/x", token=issuer.token(jti="after")).status == 200
        assert time.monotonic() - began < 2, "it waits for no fetch"
        kept = [gateway.work / "state", *(gateway.work / "state").rglob("*")]
        assert all(path.stat().st_mode & 0o077 == 0 for path in kept[1:])


def test_a_gateway_that_requires_an_issuer_is_not_ready_without_it(nginx: Path, backend: Backend) -> None:
    with Issuer() as issuer:
        issuer.down()
        required = configuration(backend, issuer).replace("main: {", "main: {start: require, ")
        with Gateway(required, nginx=nginx, ready=issuer.jwks_url) as gateway:
            assert "serving on" not in gateway.said
            issuer.up()
            wait_until(lambda: "serving on" in gateway.said)
            assert gateway.request("/x", token=issuer.token()).status == 200


def test_the_workers_of_a_gateway_fetch_once_together(nginx: Path, backend: Backend) -> None:
    with Issuer() as issuer:
        four = configuration(backend, issuer) + "workers: 4\n"
        with Gateway(four, nginx=nginx) as gateway:
            for number in range(12):
                assert gateway.request("/x", token=issuer.token(jti=str(number))).status == 200
            assert issuer.fetches == 1


# NGINX and the supervisor


def test_an_nginx_that_is_killed_is_back_soon(own: Gateway, issuer: Issuer) -> None:
    (master,) = own.children("nginx")
    workers = own.descendants() - set(own.children())
    assert workers
    os.kill(master, signal.SIGKILL)
    wait_until(lambda: own.children("nginx") and master not in own.children("nginx"))
    wait_until(lambda: not any(map(is_alive, workers)), patience=10)  # else they would answer on, without a master

    def answers() -> bool:
        try:
            return own.request("/x", token=issuer.token()).status == 200
        except OSError:
            return False

    wait_until(answers, patience=10)
    (master,) = own.children("nginx")
    time.sleep(1)
    assert list(own.children("nginx")) == [master]  # it stays
    assert answers()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gateway_that_is_told_to_stop_leaves_nothing_behind(own: Gateway, issuer: Issuer, number: int) -> None:
    assert own.request("/x", token=issuer.token()).status == 200
    processes = own.descendants()
    assert len(processes) >= 4  # validators, NGINX's master and its workers
    cache = own.cache_dir
    assert cache.is_dir()
    assert own.stop(number) == 0
    assert not [pid for pid in processes if is_alive(pid)]
    assert not cache.exists()
    assert not own.run_dir.exists()
    assert "Traceback" not in own.said
    with socket.create_server(("127.0.0.1", int(own.address.rpartition(":")[2]))):
        pass  # the port is free again


def test_no_child_outlives_a_supervisor_that_is_killed(own: Gateway, issuer: Issuer) -> None:
    processes = own.descendants()
    os.kill(own.pid, signal.SIGKILL)
    wait_until(lambda: not [pid for pid in processes if is_alive(pid)], patience=15)
    own.stop()
    own.start()
    assert own.request("/x", token=issuer.token()).status == 200
    cache = own.cache_dir
    assert own.stop() == 0
    assert not cache.exists()
    assert not own.run_dir.exists() or not list(own.run_dir.iterdir())


def test_a_second_gateway_in_the_same_directory_is_refused(own: Gateway, issuer: Issuer, nginx: Path) -> None:
    other = own.work / "other.yaml"
    other.write_text(own.configuration.read_text().replace(own.address, f"127.0.0.1:{free_port()}"))
    second = jwtgate("up", str(other), "--nginx", str(nginx))
    assert second.returncode == 1
    assert str(own.run_dir) in second.stderr
    assert "Traceback" not in second.stderr
    assert own.request("/x", token=issuer.token()).status == 200


def test_a_port_that_is_taken_is_named(own: Gateway, nginx: Path) -> None:
    second = jwtgate("up", str(own.configuration), "--nginx", str(nginx), "--run-dir", str(own.work / "second"))
    assert second.returncode == 1
    assert own.address in second.stderr
    assert "taken" in second.stderr
    assert "Traceback" not in second.stderr
    assert not (own.work / "second").exists()


def test_a_request_under_way_is_finished_when_the_gateway_stops(own: Gateway, issuer: Issuer) -> None:
    body = b"x" * 1000
    head = upload(issuer, len(body))
    with connect(own.address) as connection:
        connection.sendall(head + body[:500])
        time.sleep(0.3)  # until NGINX has read the head and asked
        stopping = threading.Thread(target=own.stop)
        stopping.start()
        time.sleep(0.5)
        answer = exchange(connection, body[500:], "POST")
        stopping.join()
    assert (answer.status, answer.json()["size"]) == (200, 1000)


def test_validators_that_cannot_work_end_the_start_before_the_port_is_open(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    with Gateway(configuration(backend, issuer), nginx=nginx) as gateway:
        gateway.stop()
        text = gateway.configuration.read_text()
        gateway.configuration.write_text(f"{text}state_dir: {gateway.configuration}\n")  # that is no directory
        failed = jwtgate("up", str(gateway.configuration), "--nginx", str(nginx))
        assert failed.returncode == 1
        assert "validator-0: " in failed.stderr
        assert "cannot keep issuers' keys there" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert not gateway.run_dir.exists()
