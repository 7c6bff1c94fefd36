"""A name server (RFC 1035) that knows the addresses it is told, and nothing else."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_TYPE_A, _CLASS_IN = 1, 1
_RESPONSE = 0x8180  # QR, RD, RA
_NXDOMAIN = 3


class NameServer:
    """Answers over UDP on loopback. `addresses` can be changed at any time; `asked` are the names, in order."""

    def __init__(self, addresses: dict[str, list[str]] | None = None, *, ttl: int = 1) -> None:
        self.addresses = addresses or {}
        self.asked: list[str] = []
        self._ttl = ttl
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An empty datagram wakes the thread up, and is no question.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    @property
    def address(self) -> str:
        """`host:port`."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def _serve(self) -> None:
        while query := self._socket.recvfrom(4096):
            data, client = query
            if not data:
                return
            self._socket.sendto(self._answer(data), client)

    def _answer(self, query: bytes) -> bytes:
        (identity,) = struct.unpack_from("!H", query)
        name, end = _name(query, 12)
        kind, _ = struct.unpack_from("!HH", query, end)
        self.asked.append(name)
        known = self.addresses.get(name)
        found = known if known and kind == _TYPE_A else []
        flags = _RESPONSE | (0 if known else _NXDOMAIN)
        header = struct.pack("!6H", identity, flags, 1, len(found), 0, 0)
        # 0xC00C: the name is the one at byte 12.
        records = [
            struct.pack("!HHHIH", 0xC00C, _TYPE_A, _CLASS_IN, self._ttl, 4) + socket.inet_aton(address)
            for address in found
        ]
        return header + query[12 : end + 4] + b"".join(records)


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name that stands at a place, and where it ends."""
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), at + 1
