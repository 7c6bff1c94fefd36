"""Serve an ASGI application on a TCP address, quietly, until SIGTERM or SIGINT.

A leaf that the signer and the demo's services share. The rules:

- The address is taken before the server starts, so that a taken port is a StartError that says so.
- SIGTERM and SIGINT end the process with exit code 0, after the requests that are under way, and after
  GRACE seconds at most. A signal that comes while the server is still starting is not lost.
- Nothing is logged per request, and no header names the server or believes a client's X-Forwarded-For.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from jwtgate.errors import StartError

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp

# Seconds for requests that are under way when we are told to stop.
GRACE = 5

# Seconds that an idle connection is kept: longer than NGINX keeps one to us (60 s), so that it is NGINX who closes
# it, and never in the moment in which it sends a request.
KEEP_ALIVE = 75


def serve(app: ASGIApp, listen: str) -> None:
    """Take `listen` (`host:port`, `[::1]:port`) and serve `app` there until told to stop.

    Call it in the main thread: signals are handled there only. Raises StartError when the address cannot be
    had.
    """
    with bind(listen) as listener:
        serve_socket(app, listener)


def bind(listen: str) -> socket.socket:
    """A TCP socket bound to `listen` (`host:port`, `[::1]:port`). Raises StartError when it cannot be had."""
    host, colon, port = listen.rpartition(":")
    # RFC 3986, section 3.2.2: an IPv6 address stands in square brackets.
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise StartError(f"cannot listen on {listen!r}: write host:port, such as 127.0.0.1:3000 or [::1]:3000")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise StartError(f"cannot listen on {listen}: {_advice(error)}") from error


def is_listening(listen: str) -> bool:
    """Whether somebody listens on `listen` (`host:port`) of this machine, any address included."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    try:
        socket.create_connection((here, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def serve_socket(app: ASGIApp, listener: socket.socket) -> None:
    """Serve `app` on a bound socket until told to stop. Raises StartError when its startup fails."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            interface="asgi3",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn has its own handlers while it runs, and afterwards raises what it caught again, for whoever
    # handled it before. That is `stop`, which by then has nothing left to do: the process ends in peace.
    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    except SystemExit as error:
        # Only by a failed startup: its reason is in the log of the application.
        raise StartError("the application did not start: see its log") from error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is taken. Stop what listens there, or choose another port"
        case errno.EACCES:
            return "permission denied. Ports below 1024 need root or CAP_NET_BIND_SERVICE"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        case _ if isinstance(error, socket.gaierror):
            return f"the host name does not resolve ({error.strerror})"
        case number:
            return os.strerror(number) if number else str(error)
