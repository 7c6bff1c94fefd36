"""`max_connection_age`: no connection outlives it, be it a websocket, an event stream, or an endless download.

NGINX has no setting for that: its timeouts count silence. What it has is a graceful reload, after which the old
workers serve what they have for `drain_timeout`, and then end it. So NGINX is reloaded again and again, by the
configuration that it has, as often as that makes it true. Who is cut off comes back, and is asked for a token that
is good by then.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from jwtgate.gateway.running import RunningGateway

_log = structlog.get_logger()


class ConnectionAge:
    """Renews NGINX's workers in time. Call it each second."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._renewed = time.monotonic()
        self._before: frozenset[int] | None = None  # the workers that should give way

    def __call__(self) -> None:
        """Reload NGINX if it is time."""
        plan, nginx = self._gateway.plan, self._gateway.nginx
        if plan.max_connection_age is None or nginx is None or nginx.pid is None:
            return
        workers = self._gateway.nginx_workers()
        if self._before is not None and workers <= self._before:
            _log.error("NGINX has not renewed its workers: connections stay open. Its log says why")
        self._before = None
        patience = max(plan.drain_timeout, plan.shutdown_timeout)  # of NGINX's old workers
        if time.monotonic() >= self._renewed + plan.max_connection_age - patience - 1:
            self._renewed, self._before = time.monotonic(), workers
            self._gateway.supervisor.tell(nginx, signal.SIGHUP)
