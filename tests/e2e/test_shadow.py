"""Shadow policies through the real gateway: never enforced, counted, logged, told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway import Gateway, jwtgate, wait_until
from support.http import request
from support.issuer import AUDIENCE, URL
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.issuer import Issuer


@pytest.fixture(scope="module")
def admin() -> str:
    """Where the gateway tells about itself."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def gateway(nginx: Path, backend: Backend, issuer: Issuer, admin: str) -> Iterator[Gateway]:
    """A gateway with a shadow that is stricter, one that is milder, and one that reads the request."""
    text = f"""
admin: {admin}
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
upstreams: {{backend: http://{backend.address}}}
policies:
  any: {{issuer: main}}
  writer: {{issuer: main, require: {{scopes: write}}}}
  poster: {{issuer: main, require: {{methods: {{GET: true, POST: {{scopes: write}}}}}}}}
routes:
  - {{path: /strict/, upstream: backend, policy: any, shadow: writer, staleness: 600s}}
  - {{path: /mild/, upstream: backend, policy: writer, shadow: any, staleness: 0}}
  - {{path: /method/, upstream: backend, policy: any, shadow: poster, staleness: 600s}}
"""
    with Gateway(text, nginx=nginx) as running:
        yield running


def told(gateway: Gateway) -> dict[tuple[str, str], dict[str, Any]]:
    """What `jwtgate shadow --json` says, by policy and shadow."""
    done = jwtgate("shadow", str(gateway.configuration), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["answering"] == report["workers"]
    return {(each["policy"], each["shadow"]): each for each in report["shadows"]}


def test_a_shadow_is_counted_logged_and_never_enforced(gateway: Gateway, issuer: Issuer, admin: str) -> None:
    assert {name: each["seen"] for name, each in told(gateway).items()} == {
        ("any", "writer"): 0,
        ("writer", "any"): 0,
        ("any", "poster"): 0,
    }
    # Stricter, and it denies nobody. NGINX repeats what it knows: one token is two misses, and hits.
    reader = issuer.token(scope="read", jti="reader")
    for _ in range(6):
        assert gateway.request("/strict/x", token=reader).status == 200
    assert gateway.request("/strict/x", token=issuer.token(scope="write")).status == 200
    assert gateway.request("/strict/x").status == 401
    # Milder, and it lets nobody in.
    for _ in range(3):
        assert gateway.request("/mild/x", token=reader).status == 403
    # What the shadow reads is sent, and a decision about one method is not repeated for another.
    for method in ("GET", "GET", "GET", "POST"):
        assert gateway.request("/method/x", method=method, token=reader).status == 200

    report = told(gateway)
    strict, mild, by_method = report["any", "writer"], report["writer", "any"], report["any", "poster"]
    (differing,) = strict["disagreements"]
    assert (differing["enforced"], differing["would_be"]) == ("allowed", "scope_missing")
    assert 1 <= differing["count"] < 6, "NGINX repeated none"
    assert strict["counted"] == "decisions"
    assert strict["seen"] == differing["count"] + 2
    assert strict["agreed"] == 2
    assert mild["counted"] == "requests"
    assert mild["disagreements"] == [{"enforced": "scope_missing", "would_be": "allowed", "count": 3}]
    assert by_method["disagreements"] == [{"enforced": "allowed", "would_be": "scope_missing", "count": 1}]

    printed = jwtgate("shadow", str(gateway.configuration))
    assert printed.returncode == 0, printed.stderr
    lines = [" ".join(line.split()) for line in printed.stdout.splitlines()]
    assert f"any writer {strict['seen']} decisions 2 {differing['count']} scope_missing 0 0" in lines
    assert "writer any 3 requests 0 0 3 scope_missing 0" in lines

    labels = 'enforced="scope_missing",policy="writer",shadow="any",would_be="allowed"'
    assert f"jwtgate_shadow_decisions_total{{{labels}}} 3.0" in request(admin, "/metrics").text
    wait_until(lambda: gateway.said.count("shadow_disagrees") >= 3, patience=5)
    logged = [line for line in gateway.said.splitlines() if "shadow_disagrees" in line]
    assert any("scope_missing" in line and "writer" in line for line in logged)
    assert not any(part in line or "alice" in line for line in logged for part in reader.split("."))
