"""Services by name: a name that does not resolve keeps nothing from starting, and one that changes is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.dns import NameServer
from support.gateway import Gateway, wait_until
from support.issuer import AUDIENCE, URL
from support.ports import free_port
from support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.issuer import Issuer


def configuration(names: NameServer, backend: Backend, issuer: Issuer, port: int) -> str:
    """gateway.yaml with services by name."""
    return f"""
resolver: {{servers: [{names.address}], valid: 1s, timeout: 1s}}
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies: {{caller: {{issuer: main}}}}
rate_limits: {{many: {{by: subject, rate: 10000/s}}}}
upstreams:
  backend: http://backend.test:{backend.address.rpartition(":")[2]}
  moving: http://moving.test:{port}
  several: [http://first.test:{port}, http://second.test:{port}]
  later: http://later.test:{port}
  local: http://localhost:{backend.address.rpartition(":")[2]}
routes:
  - {{path: /raw/, upstream: backend, policy: caller, identity: {{X-User: sub}}}}
  - {{path: /strip/, upstream: backend, policy: caller, strip_prefix: true}}
  - {{path: /strip.(twice/é/, upstream: backend, policy: caller, strip_prefix: true}}
  - {{path: /limited/, upstream: backend, policy: caller, strip_prefix: true, rate_limit: many}}
  - {{path: /moving/, upstream: moving, public: true}}
  - {{path: /several/, upstream: several, public: true}}
  - {{path: /later/, upstream: later, public: true}}
  - {{path: /local/, upstream: local, public: true}}
"""


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    """A name server."""
    with NameServer({"backend.test": ["127.0.0.1"]}) as running:
        yield running


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[Service, Service]]:
    """Two services on the same port of two addresses; each says which one it is."""
    port = free_port()
    with Service(f"127.0.0.1:{port}", b"first") as first, Service(f"127.0.0.2:{port}", b"second") as second:
        yield first, second


@pytest.fixture(scope="module")
def gate(
    nginx: Path, names: NameServer, services: tuple[Service, Service], backend: Backend, issuer: Issuer
) -> Iterator[Gateway]:
    """A gateway whose services have names, of which the name server knows one."""
    names.addresses = {"backend.test": ["127.0.0.1"]}
    port = int(services[0].address.rpartition(":")[2])
    with Gateway(configuration(names, backend, issuer, port), nginx=nginx) as running:
        wait_until(lambda: running.request("/raw/x", token=issuer.token()).status == 200, patience=10)
        yield running


def test_a_name_that_does_not_resolve_yet_is_502_until_it_does(gate: Gateway, names: NameServer) -> None:
    answer = gate.request("/later/x")
    assert (answer.status, answer.json()["code"]) == (502, "upstream_unavailable")
    names.addresses["later.test"] = ["127.0.0.1"]
    wait_until(lambda: gate.request("/later/x").text == "first", patience=20, interval=0.2)


def test_a_name_whose_address_changes_is_followed(gate: Gateway, names: NameServer) -> None:
    names.addresses["moving.test"] = ["127.0.0.1"]
    wait_until(lambda: gate.request("/moving/x").text == "first", patience=20, interval=0.2)
    names.addresses["moving.test"] = ["127.0.0.2"]
    wait_until(lambda: gate.request("/moving/x").text == "second", patience=20, interval=0.2)
    assert {gate.request("/moving/x").text for _ in range(10)} == {"second"}


def test_several_names_share_the_load(gate: Gateway, names: NameServer) -> None:
    names.addresses |= {"first.test": ["127.0.0.1"], "second.test": ["127.0.0.2"]}
    wait_until(lambda: gate.request("/several/x").status == 200, patience=20, interval=0.2)

    def both() -> bool:
        return {gate.request("/several/x").text for _ in range(40)} == {"first", "second"}

    wait_until(both, patience=20)


def test_a_name_of_the_hosts_file_needs_no_name_server(gate: Gateway, names: NameServer) -> None:
    assert gate.request("/local/x").status == 200
    assert "localhost" not in names.asked


@pytest.mark.parametrize("prefix", ["/strip", "/strip.(twice/%C3%A9", "/limited"])
@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/x", "/x"),
        ("/", "/"),
        ("/x/y/", "/x/y/"),
        ("/a%20b", "/a%20b"),
        ("/a+b=c,d", "/a+b=c,d"),
        ("/%C3%A9", "/%C3%A9"),
        ("/x%25y", "/x%25y"),
        ("/x%3Fy", "/x%3Fy"),
        ("/x%0A", "/x%0A"),
        ("/$1", "/$1"),
    ],
)
def test_a_prefix_is_stripped_alike_however_the_service_is_reached(
    gate: Gateway, issuer: Issuer, prefix: str, path: str, arrives: str
) -> None:
    answer = gate.request(f"{prefix}{path}?a=1&b=%2F%3F", token=issuer.token())
    assert answer.status == 200
    assert answer.json()["path"] == arrives
    assert answer.json()["query"] == "a=1&b=%2F%3F"


@pytest.mark.parametrize("path", ["/raw/x", "/raw/a%20b%3Fc", "/raw//x"])
def test_a_path_that_is_not_stripped_arrives_as_it_is(gate: Gateway, issuer: Issuer, path: str) -> None:
    answer = gate.request(f"{path}?a=%2F", token=issuer.token(), headers={"X-User": "mallory"})
    assert (answer.json()["path"], answer.json()["query"]) == (path, "a=%2F")
    assert [value for name, value in answer.json()["headers"] if name == "x-user"] == ["alice"]
    assert [value for name, value in answer.json()["headers"] if name == "host"] == [gate.address]


@pytest.mark.parametrize("path", ["/raw/x", "/strip/x", "/limited/x"])
def test_a_token_is_asked_for(gate: Gateway, path: str) -> None:
    assert gate.request(path).status == 401


def test_a_name_server_that_is_gone_costs_only_what_needs_it(
    nginx: Path, backend: Backend, issuer: Issuer, services: tuple[Service, Service]
) -> None:
    with NameServer() as names:
        text = configuration(names, backend, issuer, int(services[0].address.rpartition(":")[2]))
    with Gateway(text, nginx=nginx) as gate:
        assert gate.request("/local/x").status == 200
        answer = gate.request("/later/x", timeout=10)
        assert (answer.status, answer.json()["code"]) == (502, "upstream_unavailable")
