"""Real NGINXes, and a gateway that most end-to-end tests share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from jwtgate.nginx.binary import find_nginx, packaged_nginx
from support.backend import Backend
from support.gateway import Gateway
from support.issuer import AUDIENCE, URL, Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _nginxes() -> dict[str, Path]:
    found = {"wheel": packaged_nginx(), "distribution": _on_path()}
    return {name: path for name, path in found.items() if path is not None}


def _on_path() -> Path | None:
    return find_nginx().path if shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") else None


NGINXES = _nginxes()


@pytest.fixture(scope="session", params=list(NGINXES.values()), ids=list(NGINXES))
def nginx(request: pytest.FixtureRequest) -> Path:
    """Each NGINX there is: the distribution's, and PyPI's."""
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """A service that says what it got."""
    with Backend() as running:
        yield running


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """An issuer that stays up."""
    with Issuer() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Gateway]:
    """A gateway with one route of each kind, for tests that leave it as it is."""
    with Gateway(configuration(backend, issuer), nginx=nginx) as running:
        yield running


def configuration(backend: Backend, issuer: Issuer) -> str:
    """gateway.yaml of the shared gateway."""
    return f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies:
  caller: {{issuer: main}}
upstreams:
  backend: [http://{backend.address}]
  nowhere: [http://127.0.0.1:1]
routes:
  - {{path: /raw/, upstream: backend, policy: caller, identity: {{X-User: sub, X-Roles: roles, X-Team: team}}}}
  - {{path: /strip/, upstream: backend, policy: caller, strip_prefix: true}}
  - {{path: /exact, upstream: backend, policy: caller}}
  - {{path: /bare/, upstream: backend, policy: caller, bare_token: true}}
  - {{path: /uncached/, upstream: backend, policy: caller, staleness: 0}}
  - {{path: /encoded/, upstream: backend, policy: caller, allow_encoded_slashes: true}}
  - {{path: /slash/, upstream: backend, policy: caller, redirect_slash: true}}
  - {{path: /big/, upstream: backend, policy: caller, max_body: 32m}}
  - {{path: /ws/, upstream: backend, policy: caller, websocket: true}}
  - {{path: /sse/, upstream: backend, policy: caller, sse: true}}
  - {{path: /gone/, upstream: nowhere, policy: caller}}
  - {{path: /public/, upstream: backend, public: true}}
  - path: /own/
    upstream: backend
    policy: caller
    denials: {{token_missing: {{status: 418, body: "own $$words"}}}}
  - {{host: other.example, path: /raw/, upstream: backend, public: true}}
"""
