"""Where the gateway listens, and whom it believes about the client's address."""

from __future__ import annotations

import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.gateway import Gateway
from support.http import exchange
from support.issuer import AUDIENCE, URL
from support.ports import free_port, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response
    from support.issuer import Issuer


def configuration(backend: Backend, issuer: Issuer) -> str:
    """gateway.yaml with a protected route and a public one."""
    return f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes:
  - {{path: /raw/, upstream: backend, policy: caller}}
  - {{path: /public/, upstream: backend, public: true}}
"""


def got(answer: Response, name: str) -> list[str]:
    """What the service got for a header."""
    return [value for header, value in answer.json()["headers"] if header == name.lower()]


def test_tls_and_plain_listeners_beside_each_other(
    nginx: Path, backend: Backend, issuer: Issuer, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "gateway.crt", tmp_path / "gateway.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    port = free_ports(2)
    listen = (
        f"[{{address: 127.0.0.1:{port}}}, "
        f"{{address: 127.0.0.1:{port + 1}, tls: {{certificate: {certificate}, key: {key}}}}}]"
    )
    with Gateway(configuration(backend, issuer), nginx=nginx, listen=listen) as gateway:
        assert got(gateway.request("/raw/x", token=issuer.token()), "X-Forwarded-Proto") == ["http"]
        context = ssl.create_default_context(cafile=certificate)
        for token, status in ((issuer.token(), 200), (None, 401)):
            line = f"Authorization: Bearer {token}\r\n" if token else ""
            with (
                socket.create_connection(("127.0.0.1", port + 1), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                assert secure.version() in ("TLSv1.2", "TLSv1.3")
                head = f"GET /raw/x HTTP/1.1\r\nHost: localhost:{port + 1}\r\n{line}\r\n"
                answer = exchange(secure, head.encode())
            assert answer.status == status
            if status == 200:
                assert got(answer, "X-Forwarded-Proto") == ["https"]
                assert got(answer, "X-Forwarded-Port") == [str(port + 1)]
                assert got(answer, "Host") == [f"localhost:{port + 1}"]


FORWARDED = {
    "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Request-Id": "given-by-proxy",
}


@pytest.mark.parametrize(
    ("trusted", "client", "scheme"),
    [("127.0.0.0/8", "203.0.113.7", "https"), ("192.0.2.0/24", "127.0.0.1", "http")],
)
def test_only_a_trusted_proxy_is_believed(
    nginx: Path, backend: Backend, issuer: Issuer, trusted: str, client: str, scheme: str
) -> None:
    text = f"trusted_proxies: [{trusted}]\n" + configuration(backend, issuer)
    with Gateway(text, nginx=nginx) as gateway:
        answer = gateway.request("/raw/x", token=issuer.token(), headers=FORWARDED)
        assert got(answer, "X-Forwarded-For") == [client]
        assert got(answer, "X-Real-IP") == [client]
        assert got(answer, "X-Forwarded-Proto") == [scheme]
        request_id = answer.headers["x-request-id"]
        assert (request_id == "given-by-proxy") == (scheme == "https")
        assert got(answer, "X-Request-Id") == [request_id]
        assert gateway.logged(request_id)["client"] == client
        for bad in ("short", "x" * 200, 'a"b\\c-1234567', "with space 12345"):
            assert gateway.request("/public/x", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad
        strange = gateway.request("/public/x", headers={"X-Forwarded-Proto": "gopher"})
        assert got(strange, "X-Forwarded-Proto") == ["http"]


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_listener(nginx: Path, backend: Backend, issuer: Issuer) -> None:
    port = free_port()
    listen = f'[127.0.0.1:{port}, "[::1]:{port}"]'
    with Gateway(configuration(backend, issuer), nginx=nginx, listen=listen) as gateway:
        assert gateway.request("/raw/x", token=issuer.token()).status == 200
        with socket.create_connection(("::1", port), timeout=10) as connection:
            head = f"GET /raw/x HTTP/1.1\r\nHost: [::1]:{port}\r\nAuthorization: Bearer {issuer.token()}\r\n\r\n"
            answer = exchange(connection, head.encode())
        assert (answer.status, got(answer, "X-Forwarded-For")) == (200, ["::1"])
        assert got(answer, "Host") == [f"[::1]:{port}"]
