"""The control process: one event loop, a unix socket for commands, an address for what may be read."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from jwtgate.control.app import admin_app, control_app
from jwtgate.control.commands import Running
from jwtgate.control.parts import Parts
from jwtgate.serve import bind
from jwtgate.validator import listen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

    from jwtgate.control.channel import Channel
    from jwtgate.plan import Plan

_GRACE = 2  # seconds for answers under way when we are told to stop


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Where the parts of this gateway are."""

    socket: Path
    validators: Sequence[Path]
    nginx: Path | None  # its control socket; None: NGINX is not ours


def control_socket(run_dir: Path) -> Path:
    """Where a running gateway takes commands."""
    return run_dir / "control.sock"


def run_control(plan: Plan, settings: ControlSettings, channel: Channel) -> None:
    """Serve until SIGTERM or SIGINT. Call it in the main thread of a process."""
    asyncio.run(_serve(plan, settings, channel))


async def _serve(plan: Plan, settings: ControlSettings, channel: Channel) -> None:
    caller = channel.caller()
    running = Running(plan, Parts(settings.validators, settings.nginx), caller)
    with contextlib.ExitStack() as open_sockets:
        servers = [_Server(control_app(running))]
        sockets = [open_sockets.enter_context(listen(settings.socket, None))]
        if plan.admin is not None:
            servers.append(_Server(admin_app(running)))
            sockets.append(open_sockets.enter_context(bind(plan.admin)))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, servers)
        listening = asyncio.create_task(caller.listen())
        await asyncio.gather(*(server.serve([each]) for server, each in zip(servers, sockets, strict=True)))
        listening.cancel()


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
