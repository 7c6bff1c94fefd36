"""TLS on the gateway: HTTP/2, hosts with certificates of their own, and plain http that leads there."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.certificates import Authority
from support.gateway import Gateway
from support.http import exchange, request
from support.issuer import AUDIENCE, URL
from support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response
    from support.issuer import Issuer


def _curl_speaks_http2() -> bool:
    if shutil.which("curl") is None:
        return False
    return "HTTP2" in subprocess.run(["curl", "-V"], capture_output=True, text=True, check=False).stdout


needs_curl = pytest.mark.skipif(
    not _curl_speaks_http2(), reason="HTTP/2 is spoken by curl here, and there is none that can"
)


@dataclass(frozen=True, slots=True)
class Tls:
    """A gateway whose first address redirects to https."""

    gateway: Gateway
    authority: Authority
    port: int  # TLS; plain HTTP/2 is two ports above


@pytest.fixture(scope="module")
def tls(nginx: Path, backend: Backend, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    """The gateway."""
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    pairs = {name: authority.issue(name) for name in ("gateway.example", "api.example", "*.wild.example")}
    port = free_ports(4)
    listen = (
        f"[{{address: 127.0.0.1:{port}, redirect_to_https: true}},"
        f" {{address: 127.0.0.1:{port + 1}, tls: {pairs['gateway.example'].yaml}}},"
        f" {{address: 127.0.0.1:{port + 3}, http2: true}}]"
    )
    text = f"""
hosts:
  api.example: {{tls: {pairs["api.example"].yaml}}}
  "*.wild.example": {{tls: {pairs["*.wild.example"].yaml}}}
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes:
  - {{path: /raw/, upstream: backend, policy: caller, identity: {{X-User: sub}}}}
  - {{host: one.wild.example, path: /public/, upstream: backend, public: true}}
"""
    with Gateway(text, nginx=nginx, listen=listen) as gateway:
        yield Tls(gateway, authority, port + 1)


def shown_certificate(tls: Tls, name: str) -> list[str]:
    """The names in the certificate that a client is shown who asks for `name`."""
    context = ssl.create_default_context(cafile=tls.authority.file)
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", tls.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        shown: Any = secure.getpeercert()
        return [value for _, value in shown["subjectAltName"]]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("gateway.example", "gateway.example"),
        ("nobody.example", "gateway.example"),
        ("api.example", "api.example"),
        ("API.example", "api.example"),
        ("x.api.example", "gateway.example"),
        ("one.wild.example", "*.wild.example"),  # it has a route of its own
        ("two.wild.example", "*.wild.example"),
    ],
)
def test_a_host_shows_its_own_certificate(tls: Tls, asked: str, shown: str) -> None:
    assert shown_certificate(tls, asked) == [shown]


def https(tls: Tls, path: str, *, name: str, host: str, token: str | None = None) -> Response:
    """A request over TLS by HTTP/1.1, with a name for SNI and another for Host."""
    context = ssl.create_default_context(cafile=tls.authority.file)
    context.check_hostname = False
    line = f"Authorization: Bearer {token}\r\n" if token else ""
    with (
        socket.create_connection(("127.0.0.1", tls.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return exchange(secure, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{line}\r\n".encode())


def test_every_host_serves_and_protects_what_it_shares(tls: Tls, issuer: Issuer) -> None:
    for host in ("gateway.example", "api.example", "one.wild.example", "two.wild.example"):
        assert https(tls, "/raw/x", name=host, host=host).status == 401
        assert https(tls, "/raw/x", name=host, host=host, token=issuer.token()).status == 200
    assert https(tls, "/public/x", name="one.wild.example", host="one.wild.example").status == 200
    assert https(tls, "/public/x", name="two.wild.example", host="two.wild.example").status == 404
    # The Host that is asked for decides, not the name of the connection.
    assert https(tls, "/public/x", name="one.wild.example", host="two.wild.example").status == 404


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_plain_http_leads_to_https_and_nowhere_else(
    tls: Tls, backend: Backend, issuer: Issuer, method: str
) -> None:
    before = len(backend.seen)
    answer = request(
        tls.gateway.address,
        "/raw/x%2F..?a=//evil.example",
        method=method,
        token=issuer.token(),
        headers={"Host": "api.example:80"},
        body=b"body" if method == "POST" else None,
    )
    assert answer.status == 308
    assert answer.headers["location"] == f"https://api.example:{tls.port}/raw/x%2F..?a=//evil.example"
    assert len(backend.seen) == before


def curl(tls: Tls, path: str, *options: str, port: int = 0, scheme: str = "https") -> tuple[str, int, str, Any]:
    """(version of HTTP, status, content type, body) of an answer that curl gets."""
    url = f"{scheme}://gateway.example:{tls.port + port}{path}"
    command = [
        *("curl", "-s", "--max-time", "20", "--cacert", str(tls.authority.file), "--noproxy", "*"),
        *("--resolve", f"gateway.example:{tls.port + port}:127.0.0.1"),
        *("-w", "\n%{http_version} %{http_code} %{content_type}", *options, url),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    body, _, status = said.rpartition("\n")
    version, code, content_type = status.split(" ", 2)
    return version, int(code), content_type, json.loads(body or "null")


@needs_curl
def test_http2_is_spoken_over_tls_and_everything_holds(tls: Tls, backend: Backend, issuer: Issuer) -> None:
    bearer = f"Authorization: Bearer {issuer.token()}"
    for _ in ("asked", "cached"):
        spoofed = ("-H", "X-User: root", "-H", "X_User: root")
        version, status, _, got = curl(tls, "/raw/x?a=1", "--http2", "-H", bearer, *spoofed)
        assert (version, status, got["path"], got["query"]) == ("2", 200, "/raw/x", "a=1")
        names = ("x-user", "x_user", "host", "x-forwarded-proto")
        assert sorted((name, value) for name, value in got["headers"] if name in names) == [
            ("host", f"gateway.example:{tls.port}"),
            ("x-forwarded-proto", "https"),
            ("x-user", "alice"),
        ]
    before = len(backend.seen)
    for options, expected in (
        ((), (401, "token_missing")),
        (("-H", "Authorization: Bearer x"), (401, "invalid_token")),
        (("-H", bearer, "-H", bearer), (400, "invalid_request")),
        (("-H", "Authorization: Bearer " + "x" * 16_000), (401, "invalid_token")),
        (("-X", "POST", "-d", "body"), (401, "token_missing")),
    ):
        version, status, content_type, got = curl(tls, "/raw/x", "--http2", *options)
        assert (version, status, got["code"]) == ("2", *expected)
        assert content_type == "application/problem+json"
    for path in ("/raw/y/%2e%2e/x", "/raw/a%2fb", "/raw/x;y"):
        assert curl(tls, path, "--http2", "--path-as-is", "-H", bearer)[1] == 400
    assert len(backend.seen) == before


@needs_curl
def test_http2_over_plain_tcp_where_the_listener_says_so(tls: Tls, issuer: Issuer) -> None:
    options = ("--http2-prior-knowledge", "-H", f"Authorization: Bearer {issuer.token()}")
    version, status, _, got = curl(tls, "/raw/x", *options, port=2, scheme="http")
    assert (version, status, got["path"]) == ("2", 200, "/raw/x")
    assert curl(tls, "/raw/x", "--http2-prior-knowledge", port=2, scheme="http")[:2] == ("2", 401)


@needs_curl
def test_http1_is_still_spoken_over_tls(tls: Tls, issuer: Issuer) -> None:
    version, status, _, got = curl(tls, "/raw/x", "--http1.1", "-H", f"Authorization: Bearer {issuer.token()}")
    assert (version, status, got["path"]) == ("1.1", 200, "/raw/x")
