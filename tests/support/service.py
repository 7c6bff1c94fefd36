"""The smallest service: one address, with TLS or without, one answer, and what it was told by TLS."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from support.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

    from support.certificates import Authority, Pair


class Service:
    """Answers every GET with `body`. `names` are the names that clients asked for by SNI, in order.

    `clients`: the authority whose certificates clients must have.
    """

    def __init__(
        self,
        address: str | None = None,
        body: bytes = b"service",
        *,
        tls: Pair | None = None,
        clients: Authority | None = None,
    ) -> None:
        host, _, port = (address or f"127.0.0.1:{free_port()}").rpartition(":")
        self.names: list[str | None] = []
        self._server = _Server((host, int(port)), _handler(body))
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls.certificate, tls.key)
            context.sni_callback = lambda _socket, name, _context: self.names.append(name)
            if clients is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(clients.file)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """`host:port`."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A handshake that fails is what some tests are about."""


def _handler(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
