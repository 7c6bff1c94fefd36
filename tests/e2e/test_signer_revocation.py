"""A token that our signer revokes, at our gateway: two processes that know each other by URLs alone."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from jwtgate.nginx.binary import find_nginx
from support.gateway import Gateway, jwtgate, wait_until
from support.http import request
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.backend import Backend
    from support.http import Response

MAX_AGE = 2  # of the status list, seconds
STALENESS = 2  # of the route, seconds
SLACK = 4  # a refresh of the signer, a fetch, and a machine that has other things to do


class Client:
    """A registered client, and what it asks the signer."""

    def __init__(self, gateway: Gateway, signer: str, name: str) -> None:
        added = jwtgate("signer", "client", "add", name, "--config", str(gateway.configuration))
        assert added.returncode == 0, added.stderr
        self._signer = signer
        secret = max(added.stdout.split(), key=len)
        self._basic = base64.b64encode(f"{name}:{secret}".encode()).decode()

    def post(self, path: str, **form: str) -> Response:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": f"Basic {self._basic}",
        }
        return request(self._signer, path, method="POST", headers=headers, body=urlencode(form).encode())

    def token(self) -> str:
        answer = self.post("/token", grant_type="client_credentials")
        assert answer.status == 200, answer.text
        found: str = answer.json()["access_token"]
        return found


@pytest.fixture(scope="module")
def running(backend: Backend) -> Iterator[tuple[Gateway, Client]]:
    signer = f"127.0.0.1:{free_port()}"
    text = f"""
workers: 2
issuers:
  signer: {{issuer: "http://{signer}", discovery: true, audience: services, algorithms: [ES256],
            types: [at+jwt], required_claims: [status], status_lists: "http://{signer}/status-list"}}
policies: {{one: {{issuer: signer}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: one, staleness: {STALENESS}s}}]
signer: {{issuer: "http://{signer}", audience: services, algorithm: ES256, listen: "{signer}", key_dir: signer,
          status_list_max_age: {MAX_AGE}s}}
"""
    with Gateway(text, nginx=find_nginx().path) as gateway:
        yield gateway, Client(gateway, signer, "batch")


def test_a_token_that_is_new_is_let_through(running: tuple[Gateway, Client]) -> None:
    gateway, client = running
    for _ in range(5):
        assert gateway.request("/", token=client.token()).status == 200


def test_a_token_that_was_revoked_stops_working_within_max_age_and_staleness(
    running: tuple[Gateway, Client],
) -> None:
    gateway, client = running
    token, other = client.token(), client.token()
    for each in (token, other):
        assert gateway.request("/", token=each).status == 200
    assert client.post("/revoke", token=token).status == 200
    began = time.monotonic()
    wait_until(lambda: gateway.request("/", token=token).status != 200, patience=60)
    assert time.monotonic() - began <= MAX_AGE + STALENESS + SLACK
    denied = gateway.request("/", token=token)
    assert denied.status == 401
    assert gateway.logged(denied.headers["x-request-id"])["reason"] == "token_revoked"
    assert gateway.request("/", token=other).status == 200
    assert gateway.request("/", token=client.token()).status == 200


def test_explain_says_that_it_was_revoked(running: tuple[Gateway, Client]) -> None:
    gateway, client = running
    token = client.token()

    def explained() -> Any:
        return jwtgate("explain", str(gateway.configuration), "--route", "/", "-", input=token)

    good = explained()
    assert good.returncode == 0, good.stdout + good.stderr
    assert "status-list" in good.stdout
    client.post("/revoke", token=token)
    wait_until(lambda: "token_revoked" in explained().stdout)
