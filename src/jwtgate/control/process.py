"""The control process: one event loop, a unix socket for commands, an address for what may be read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
import uvicorn

from jwtgate.control.app import admin_app, control_app
from jwtgate.control.commands import Running
from jwtgate.control.counts import Counts
from jwtgate.control.parts import Parts
from jwtgate.control.watchdog import watch

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

    from jwtgate.control.channel import Channel
    from jwtgate.plan import Plan

_GRACE = 2  # seconds for answers under way when we are told to stop


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Where the parts of this gateway are."""

    validators: Sequence[Path]
    nginx: Path | None  # its control socket; None: NGINX is not ours
    counts: Path | None  # what it notes of each request


def run_control(
    plan: Plan, settings: ControlSettings, channel: Channel, commands: socket.socket, admin: socket.socket | None
) -> None:
    """Serve on both sockets until SIGTERM or SIGINT. Call it in the main thread of a process."""
    asyncio.run(_serve(plan, settings, channel, commands, admin))


async def _serve(
    plan: Plan, settings: ControlSettings, channel: Channel, commands: socket.socket, admin: socket.socket | None
) -> None:
    caller = channel.caller()
    running = Running(plan, Parts(settings.validators, settings.nginx), caller, Counts(settings.counts))
    servers = {_Server(control_app(running)): commands}
    if admin is not None:
        servers[_Server(admin_app(running))] = admin
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, [*servers])
    beside = [
        asyncio.create_task(work)
        for work in (caller.listen(), caller.live(), watch(running), running.counts.follow())
    ]
    for task in beside:
        task.add_done_callback(_end_with)
    await asyncio.gather(*(server.serve([listener]) for server, listener in servers.items()))
    for task in beside:
        task.cancel()


def _end_with(task: asyncio.Task[None]) -> None:
    """What runs beside never ends by itself. A fault in it ends the process, so that a whole one is started."""
    if not task.cancelled():
        structlog.get_logger().error("a background task failed; control ends", error=repr(task.exception()))
        os._exit(70)  # EX_SOFTWARE (sysexits.h)


class _Server(uvicorn.Server):
    """One of several in an event loop: signals are not its own business."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _stop(servers: Sequence[_Server]) -> None:
    for server in servers:
        server.should_exit = True
