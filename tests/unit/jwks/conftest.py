"""An issuer: a real HTTP server in a thread, whose answers a test sets and whose requests it can read."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from jwtgate.keys.encoding import encode_base64url
from jwtgate.plan import Issuer, JwksUrl, KeySource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Answer:
    """What the server says to a GET."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None  # called in the server's thread before it answers


@dataclass
class FakeIssuer:
    """`answer` is what every path answers; `requests` are the headers it saw, lower case, with `:path`."""

    url: str
    answer: Answer = field(default_factory=Answer)
    paths: dict[str, Answer] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def fake_issuer() -> Iterator[FakeIssuer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fake.requests.append(
                {":path": self.path, **{name.lower(): value for name, value in self.headers.items()}}
            )
            answer = fake.paths.get(self.path, fake.answer)
            answer.before()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            with contextlib.suppress(ConnectionError):  # who has read enough hangs up
                self.end_headers()
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeIssuer(f"http://127.0.0.1:{server.server_port}/jwk")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def make_jwks(*kids: str) -> bytes:
    """A JWKS of P-256 keys. A kid gives a new key each time: keep the bytes to keep the key."""
    return json.dumps({"keys": [_jwk(kid) for kid in kids]}).encode()


def _jwk(kid: str) -> dict[str, str]:
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    x, y = (encode_base64url(number.to_bytes(32)).decode() for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y, "alg": "ES256"}


def make_issuer(keys: KeySource, name: str = "idp", algorithms: tuple[str, ...] = ("ES256",)) -> Issuer:
    """An issuer with nothing special about it but where its keys come from."""
    return Issuer(
        name=name,
        issuer="http://idp",
        keys=keys,
        audience=("services",),
        algorithms=algorithms,
        leeway=0,
        max_token_bytes=8192,
        types=None,
        required_claims=(),
        max_lifetime=None,
    )


@pytest.fixture
def jwks() -> Callable[..., bytes]:
    return make_jwks


@pytest.fixture
def issuer() -> Callable[..., Issuer]:
    return make_issuer


@pytest.fixture
def url_issuer(fake_issuer: FakeIssuer) -> Issuer:
    return make_issuer(JwksUrl(fake_issuer.url))


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A directory that is not there yet."""
    return tmp_path / "keys"
