"""What can be done to a running gateway, in the supervisor.

Each step is taken only after the one before it has succeeded, and NGINX's own word counts: it is told to reload,
and asked which configuration it answers by. A step that fails leaves the gateway as it was, and says why.
"""

from __future__ import annotations

import secrets
import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from jwtgate.control import Channel
from jwtgate.control.channel import Result
from jwtgate.errors import ControlError, JwtgateError
from jwtgate.gateway.decisions import forget_decisions
from jwtgate.nginx.render import render
from jwtgate.nginx.runtime import check, running_generation, write_configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jwtgate.control import Order
    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site
    from jwtgate.plan import Plan
    from jwtgate.supervisor import Child, Supervisor

_log = structlog.get_logger()

# Seconds for NGINX to answer by a new configuration, once it was told to read it.
RELOAD_PATIENCE = 30.0


@dataclass(slots=True)
class RunningGateway:
    """A gateway and its parts, as they are now. `nginx` is its process."""

    supervisor: Supervisor
    binary: Nginx
    plan: Plan
    site: Site
    channel: Channel = field(default_factory=Channel)
    nginx: Child | None = None

    def serve(self) -> None:
        """Do what is asked for, until StopAskedError."""
        while True:
            if self.supervisor.wait() is signal.SIGUSR2:
                for order in self.channel.orders():
                    self.channel.answer(self._obey(order))

    def flush(self) -> str:
        """Forget all decisions: no request that begins after this is answered from an older one."""
        epoch = secrets.token_hex(8)
        self._switch(self.plan, replace(self.site, epoch=epoch, generation=secrets.token_hex(8)))
        count = forget_decisions(self.site.cache_dir / "decisions", but=epoch)
        return f"flushed: {count} cached decisions are forgotten"

    def _obey(self, order: Order) -> Result:
        try:
            act = _ORDERS.get(order.verb)
            if act is None:
                raise ControlError(f"the supervisor knows no order {order.verb!r}")
            done, text = True, act(self)
        except JwtgateError as error:
            done, text = False, str(error)
        log = _log.info if done else _log.error
        log("order", order=order.verb, done=done, text=text)
        return Result(order.number, done, text, tuple(map(str, self.site.validator_sockets)))

    def _switch(self, plan: Plan, site: Site) -> None:
        """Have NGINX answer by another configuration. Raises NginxError, ControlError: it is the old one still."""
        if self.nginx is None:
            raise ControlError("NGINX is not running")
        before = site.configuration.read_text()
        candidate = site.configuration.with_suffix(".new")
        try:
            write_configuration(render(plan, site), candidate)
            check(self.binary, candidate)
            candidate.replace(site.configuration)
        finally:
            candidate.unlink(missing_ok=True)
        self.supervisor.tell(self.nginx, signal.SIGHUP)
        if not self.supervisor.wait_until(
            lambda: running_generation(site) == site.generation, patience=RELOAD_PATIENCE
        ):
            write_configuration(before, site.configuration)
            self.supervisor.tell(self.nginx, signal.SIGHUP)
            raise ControlError(
                "NGINX found nothing wrong with the new configuration, but did not begin to answer by it: its log "
                "says why. The old one is in place, and answers on"
            )
        self.plan, self.site = plan, site


_ORDERS: Mapping[str, Callable[[RunningGateway], str]] = {"flush": RunningGateway.flush}
