"""HTTP to our own parts, over their unix sockets."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 1.0  # second


def ask(path: Path, target: str) -> tuple[int, str] | None:
    """Status and body of what a part answers to `GET target`; None when it does not answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return exchange(path, "GET", target, patience=_PATIENCE)
    return None


def exchange(path: Path, method: str, target: str, body: str | None = None, *, patience: float) -> tuple[int, str]:
    """Status and body of an answer. `patience`: seconds without a byte. Raises OSError and HTTPException."""
    with contextlib.closing(_UnixConnection(path, patience)) as connection:
        connection.request(method, target, None if body is None else body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
