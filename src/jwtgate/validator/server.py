"""The server under a validator: connections, the order of their answers, signals.

Our own, because it is a large part of what a new token costs: beside a general ASGI server it saves tasks, message
dictionaries, flow control and timers for each request.

SIGTERM and SIGINT end it with exit code 0, after the answers that are under way, and GRACE seconds at most.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING, Protocol

import uvloop

from jwtgate.validator.connection import Connection
from jwtgate.validator.turns import Answering, Turns

if TYPE_CHECKING:
    import socket

GRACE = 5.0  # seconds
_BACKLOG = 1024


class Application(Answering, Protocol):
    """What is served."""

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
    turns = Turns(application, loop)
    connections: set[Connection] = set()

    def connected() -> Connection:
        return Connection(turns.take, connections)

    server = await loop.create_unix_server(connected, sock=listener, backlog=_BACKLOG)
    # What lives by now lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    await stopped.wait()
    server.close()
    await turns.end(GRACE)
    for connection in tuple(connections):
        connection.close()
    beside.cancel()
    await asyncio.wait([beside])
