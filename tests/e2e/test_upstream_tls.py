"""TLS to services: whom the gateway believes, by which name, and how it says who it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.certificates import Authority
from support.service import Service
from support.stand_alone import StandAlone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Services:
    """A service at localhost whose certificate says `service.example`, and one that wants a certificate too."""

    plain: Service
    wanting: Service


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, Authority, Authority]]:
    """The services, their authority, and another one that signed nothing of theirs."""
    directory = tmp_path_factory.mktemp("upstream-tls")
    authority, other = Authority(directory), Authority(directory, "other")
    pair = authority.issue("service.example")
    with Service(tls=pair) as plain, Service(tls=pair, clients=authority) as wanting:
        yield Services(plain, wanting), authority, other


@pytest.fixture(scope="module")
def gate(nginx: Path, services: tuple[Services, Authority, Authority]) -> Iterator[StandAlone]:
    """NGINX, with a way to the services for each kind of trust."""
    running, authority, other = services
    ours, strangers = authority.issue("gateway.example"), other.issue("stranger.example")
    ways = {
        "good": f"ca_file: {authority.file}, server_name: service.example",
        "wrong-name": f"ca_file: {authority.file}, server_name: other.example",
        "no-name": f"ca_file: {authority.file}",
        "wrong-authority": f"ca_file: {other.file}, server_name: service.example",
        "system-authorities": "server_name: service.example",
        "skipped": "insecure_skip_verify: true",
    }
    wanting = {
        "shown": f"client_certificate: {ours.certificate}, client_key: {ours.key}",
        "strangers": f"client_certificate: {strangers.certificate}, client_key: {strangers.key}",
        "none": f"ca_file: {authority.file}",
    }

    def upstream(name: str, service: Service, settings: str) -> str:
        port = service.address.rpartition(":")[2]
        return f"  {name}: {{servers: ['https://localhost:{port}'], tls: {{{settings}}}}}\n"

    text = "upstreams:\n"
    text += "".join(upstream(name, running.plain, settings) for name, settings in ways.items())
    for name, settings in wanting.items():
        own = settings if "ca_file" in settings else f"ca_file: {authority.file}, {settings}"
        text += upstream(name, running.wanting, f"{own}, server_name: service.example")
    text += "routes:\n"
    text += "".join(f"  - {{path: /{name}/, upstream: {name}, public: true}}\n" for name in [*ways, *wanting])
    with StandAlone(text, nginx=nginx) as alone:
        yield alone


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("good", 200),
        ("wrong-name", 502),
        ("no-name", 502),
        ("wrong-authority", 502),
        ("system-authorities", 502),
        ("skipped", 200),
        ("shown", 200),
    ],
)
def test_a_service_is_believed_by_its_name_and_its_authority(gate: StandAlone, way: str, status: int) -> None:
    answer = gate.request(f"/{way}/x")
    assert answer.status == status
    assert (answer.text == "service") is (status == 200)


@pytest.mark.parametrize("way", ["strangers", "none"])
def test_a_service_that_wants_a_certificate_gets_the_one_that_is_configured(gate: StandAlone, way: str) -> None:
    assert gate.request(f"/{way}/x").status == 502


def test_the_name_is_asked_for_by_sni(gate: StandAlone, services: tuple[Services, Authority, Authority]) -> None:
    for way in ("good", "wrong-name"):
        gate.request(f"/{way}/x")
    assert {"service.example", "other.example"} <= {name for name in services[0].plain.names if name}
