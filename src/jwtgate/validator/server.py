"""HTTP for NGINX's `auth_request`: as little of it as one known client on a unix socket needs.

Our own, because it is a large part of what a new token costs: beside a general ASGI server it saves tasks, message
dictionaries, flow control and timers for each request. Parsing is httptools' (llhttp). The rules:

- A request is read whole, an answer is bytes, whole. Requests that come together are read together,
  those that are quick to answer are answered first, and answers are sent together: NGINX wakes up once for many,
  and a user whose token is known does not wait behind a flood of tokens that are not.
- After each of these that is denied, NGINX may run first: whoever sends forged tokens takes no time from users
  whom NGINX can serve by itself.
- Only an answer that waits for an issuer's keys becomes a task.
- What is not HTTP is answered by 400. A request of more than MAX_REQUEST bytes, or a second one before the first
  one's answer, ends the connection without a word: NGINX does neither.
- SIGTERM and SIGINT end it with exit code 0, after the answers that are under way, and GRACE seconds at most.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, cast

import httptools
import msgspec
import structlog
import uvloop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine

_log = structlog.get_logger()

Headers = list[tuple[bytes, bytes]]  # names in lower case

MAX_REQUEST = 1024 * 1024  # bytes; NGINX bounds the token, and everything else is ours
GRACE = 5.0  # seconds
TURN = 0.001  # seconds of slow answers before those that are ready are sent, and new requests are looked at
_BACKLOG = 1024

# What a fault of ours comes to. NGINX makes a 500 of it, and we a 503.
_FAULT = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

_DENIED = b"HTTP/1.1 401"  # what an answer begins with, by which nobody was let through

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


class Application(Protocol):
    """What answers. A question is whatever `read` makes of a request."""

    def read(self, request: Request) -> Any:
        """The question that a request asks."""

    def is_quick(self, question: Any) -> bool:
        """Whether its answer takes microseconds."""

    def answer(self, question: Any) -> bytes | Coroutine[None, None, bytes]:
        """The answer; or, when something is to be waited for, a coroutine that will have it."""

    async def background(self) -> None:
        """What runs beside, until cancelled."""


def serve(application: Application, listener: socket.socket) -> None:
    """Answer requests on a bound socket until told to stop.

    Call it in the main thread: signals are handled there only.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(application, listener))


async def _serve(application: Application, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    beside = asyncio.create_task(application.background())
    desk = _Desk(application, loop)
    server = await loop.create_unix_server(lambda: _Connection(desk), sock=listener, backlog=_BACKLOG)
    # What lives by now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    await stopped.wait()
    server.close()
    await desk.close()
    beside.cancel()
    await asyncio.wait([beside])


class _Desk:
    """Takes the questions of all connections, and answers them turn by turn."""

    def __init__(
        self,
        application: Application,
        loop: asyncio.AbstractEventLoop,
        give_way: Callable[[], None] = os.sched_yield,
    ) -> None:
        self.connections: set[_Connection] = set()
        self._give_way = give_way
        self._application = application
        self._loop = loop
        self._new: list[tuple[_Connection, Any]] = []
        self._slow: deque[tuple[_Connection, Any]] = deque()
        self._waiting: set[asyncio.Task[None]] = set()
        self._due = False

    def take(self, connection: _Connection, request: Request) -> None:
        """A request has come."""
        self._new.append((connection, self._application.read(request)))
        self._call()

    async def close(self) -> None:
        """Answer what has been asked, and end."""
        deadline = self._loop.time() + GRACE
        while self._new or self._slow or self._waiting:
            if self._waiting:
                await asyncio.wait(self._waiting, timeout=deadline - self._loop.time())
            if self._loop.time() >= deadline:
                break
            await asyncio.sleep(0)
        for connection in tuple(self.connections):
            connection.close()

    def _call(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """What is quick, then what is slow for as long as a turn lasts, then send it all."""
        self._due = False
        new, self._new = self._new, []
        ready: list[tuple[_Connection, bytes]] = []
        if len(new) == 1 and not self._slow:
            self._answer(*new[0], ready)
        else:
            is_quick = self._application.is_quick
            for connection, question in new:
                if is_quick(question):
                    self._answer(connection, question, ready)
                else:
                    self._slow.append((connection, question))
            end = monotonic() + TURN
            while self._slow:
                self._answer(*self._slow.popleft(), ready)
                if ready and ready[-1][1].startswith(_DENIED):
                    self._give_way()
                if monotonic() > end:
                    break
        for connection, answer in ready:
            connection.send(answer)
        if self._slow:
            self._call()

    def _answer(self, connection: _Connection, question: Any, ready: list[tuple[_Connection, bytes]]) -> None:
        try:
            answer = self._application.answer(question)
        except Exception:  # noqa: BLE001 - whatever it was, NGINX waits for an answer
            _log.exception("a request failed")
            answer = _FAULT
        if isinstance(answer, bytes):
            ready.append((connection, answer))
        else:
            task = self._loop.create_task(_wait(connection, answer))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)


async def _wait(connection: _Connection, coming: Coroutine[None, None, bytes]) -> None:
    try:
        answer = await coming
    except Exception:  # noqa: BLE001 - as above
        _log.exception("a request failed")
        answer = _FAULT
    connection.send(answer)


class _Connection(asyncio.Protocol):
    """One connection of an NGINX worker, kept for many requests, one at a time."""

    __slots__ = ("_asked", "_body", "_desk", "_headers", "_parser", "_size", "_target", "_transport")

    _transport: asyncio.Transport

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
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
        self._desk.connections.add(self)

    def connection_lost(self, _exception: Exception | None) -> None:
        self._desk.connections.discard(self)

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
        self._desk.take(self, Request(method, self._target.decode("latin-1"), self._headers, self._body))
