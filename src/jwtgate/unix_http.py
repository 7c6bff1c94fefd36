"""HTTP to our own parts, over their unix sockets."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 1  # second


def ask(path: Path, target: str) -> tuple[int, str] | None:
    """Status and body of what a part answers to `GET target`; None when it does not answer."""
    connection = _UnixConnection(path)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
