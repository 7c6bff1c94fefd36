"""A client that sends exactly what it is told, and reads one answer."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Header names are lower case; of a repeated header, `headers` has the last and `pairs` all."""

    status: int
    headers: dict[str, str]
    pairs: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def connect(address: str, timeout: float = 10) -> socket.socket:
    """A TCP connection to `host:port`."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def exchange(connection: socket.socket, request: bytes, method: str = "GET") -> Response:
    """Send a request's bytes and read its answer; the connection stays open if the server keeps it."""
    connection.sendall(request)
    return read_response(connection, method)


def send(address: str, request: bytes, method: str = "GET", timeout: float = 10) -> Response:
    """A request's bytes on a connection of their own, and the first answer to them."""
    with connect(address, timeout) as connection:
        return exchange(connection, request, method)


def read_response(connection: socket.socket, method: str = "GET") -> Response:
    """Read one answer."""
    answer = HTTPResponse(connection, method=method)
    answer.begin()
    body = answer.read()
    pairs = tuple((name.lower(), value) for name, value in answer.getheaders())
    return Response(answer.status, dict(pairs), pairs, body)


def request(
    address: str,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    body: bytes | None = None,
    token: str | None = None,
    timeout: float = 10,
) -> Response:
    """One request on a connection of its own. `token` goes into `Authorization: Bearer`."""
    pairs = list((headers or {}).items()) if not isinstance(headers, list) else headers
    if token is not None:
        pairs = [*pairs, ("Authorization", f"Bearer {token}")]
    if body is not None:
        pairs = [*pairs, ("Content-Length", str(len(body)))]
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs = [("Host", address), *pairs]
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs)
    with connect(address, timeout) as connection:
        return exchange(connection, head.encode("latin-1") + b"Connection: close\r\n\r\n" + (body or b""), method)
