"""HTTP for NGINX's `auth_request`: as little of it as one known client on a unix socket needs.

Parsing is httptools' (llhttp). A request is read whole, an answer is bytes, whole. What is not HTTP is answered by
400. A request of more than MAX_REQUEST bytes, or a second one before the first one's answer, ends the connection
without a word: NGINX does neither.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools
import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger()

Headers = list[tuple[bytes, bytes]]  # names in lower case

MAX_REQUEST = 1024 * 1024  # bytes; NGINX bounds the token, and everything else is ours

# NGINX passes on what a client put into a header; not all of it is HTTP.
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request, whole. `target` is what the request line has between method and version."""

    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def path(self) -> str:
        """The target up to its `?`."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target after its `?`."""
        return self.target.partition("?")[2]


class Connection(asyncio.Protocol):
    """One connection of an NGINX worker, kept for many requests, one at a time.

    `take` is called with each request, and `send` answers it. `all_open` has the connection while it is open.
    """

    __slots__ = ("_all_open", "_asked", "_body", "_headers", "_parser", "_size", "_take", "_target", "_transport")

    _transport: asyncio.Transport

    def __init__(self, take: Callable[[Connection, Request], None], all_open: set[Connection]) -> None:
        self._take = take
        self._all_open = all_open
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: Headers = []
        self._body = b""
        self._size = 0  # bytes since the last request was whole
        self._asked = False

    def send(self, answer: bytes) -> None:
        """The answer to what was asked."""
        self._asked = False
        self._transport.write(answer)

    def close(self) -> None:
        """No more."""
        self._transport.close()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class has its methods
        self._all_open.add(self)

    def connection_lost(self, _exception: Exception | None) -> None:
        self._all_open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            _log.exception("a request failed")
            self._transport.abort()
        except httptools.HttpParserError:
            self._transport.write(_BAD_REQUEST)
            self._transport.close()
        if self._size > MAX_REQUEST:
            self._transport.abort()

    # httptools calls these.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._body = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._size = 0
        if self._asked:
            self._transport.abort()
            return
        self._asked = True
        method = self._parser.get_method().decode()
        self._take(self, Request(method, self._target.decode("latin-1"), self._headers, self._body))
