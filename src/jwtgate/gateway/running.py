"""What can be done to a running gateway, in the supervisor.

Each step is taken only after the one before it has succeeded, and NGINX's own word counts: it is told to reload,
and asked which configuration it answers by. A step that fails leaves the gateway as it was, and says why.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from jwtgate.errors import ControlError, StartError
from jwtgate.gateway.decisions import forget_decisions
from jwtgate.gateway.prepare import prepare
from jwtgate.gateway.programs import (
    is_ready,
    missing_issuers,
    reading_patience,
    replace_validator,
    signer_programs,
)
from jwtgate.nginx.runtime import running_generation, write_configuration
from jwtgate.serve import bind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jwtgate.gateway.prepare import Prepared
    from jwtgate.gateway.programs import ControlSockets, Validators
    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site
    from jwtgate.plan import Plan
    from jwtgate.supervisor import Child, Supervisor

_log = structlog.get_logger()

# Seconds for new validators to be ready, and for NGINX to answer by a new configuration.
VALIDATORS_PATIENCE = 15.0
NGINX_PATIENCE = 30.0


# The control process takes what it has read out of the counts within a second or two.
MAX_COUNTS_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Draining:
    """Validators of a former configuration, and the NGINX workers that may still ask them."""

    validators: Sequence[Child]
    nginx_workers: frozenset[int]
    until: float  # on the monotonic clock


@dataclass(slots=True)
class RunningGateway:
    """A gateway and its parts, as they are now. `load` reads its configuration anew."""

    supervisor: Supervisor
    binary: Nginx
    plan: Plan
    site: Site
    make_validators: Validators
    load: Callable[[], Plan]
    sockets: ControlSockets
    nginx: Child | None = None
    control: Child | None = None
    validators: Sequence[Child] = ()
    signer: Sequence[Child] = ()
    draining: list[Draining] = field(default_factory=list)

    def orders(self) -> Mapping[str, Callable[[str], str]]:
        """What can be asked for, by the names of `jwtgate.control.protocol`."""
        return {
            "flush": self.flush,
            "reload": self.reload,
            "reopen": self.reopen,
            "replace": lambda path: replace_validator(self.supervisor, self.validators, path),
        }

    def flush(self, _argument: str) -> str:
        """Forget all decisions: no request that begins after this is answered from an older one."""
        epoch = secrets.token_hex(8)
        plan = self.plan
        site = replace(self.site, epoch=epoch, generation=secrets.token_hex(8))
        self._switch(prepare(self.supervisor, lambda: plan, site, self.binary))
        count = forget_decisions(self.site.cache_dir / "decisions", but=epoch)
        return f"flushed: {count} cached decisions are forgotten"

    def reload(self, _argument: str) -> str:
        """Run by what gateway.yaml says now.

        New validators are there before NGINX learns of them, and the old ones go after the NGINX workers that know
        only these.
        """
        site = replace(self.site, generation=secrets.token_hex(8), turn=self.site.turn + 1)
        prepared = prepare(self.supervisor, self.load, site, self.binary)
        before = self.plan
        self._require_possible(prepared.plan)
        programs = self.make_validators.programs(prepared.plan, prepared.site.validator_sockets)
        validators = self.supervisor.start(programs, before=self.nginx)
        try:
            self._require_ready(prepared.plan, prepared.site, validators)
            nginx_workers = self.nginx_workers()
            self._switch(prepared)
        except BaseException:
            self.supervisor.retire(validators)
            raise
        drained_at = time.monotonic() + max(before.drain_timeout, before.shutdown_timeout) + 1
        self.draining.append(Draining(self.validators, nginx_workers, drained_at))
        self.validators = validators
        self._renew_others(before)
        count = len(self.plan.routes)
        return f"reloaded: {count} route{'' if count == 1 else 's'}"

    def reopen(self, _argument: str) -> str:
        """Have NGINX open its log files anew, after somebody has renamed them."""
        self.supervisor.tell(self._running_nginx(), signal.SIGUSR1)
        return "log files are opened anew"

    def _switch(self, prepared: Prepared) -> None:
        """Have NGINX answer by the prepared configuration. Raises ControlError; then the old one answers on."""
        nginx, site = self._running_nginx(), prepared.site
        before = site.configuration.read_text()
        write_configuration(prepared.configuration, site.configuration)
        self.supervisor.tell(nginx, signal.SIGHUP)
        if not self.supervisor.wait_until(
            lambda: running_generation(site) == site.generation, patience=NGINX_PATIENCE
        ):
            write_configuration(before, site.configuration)
            self.supervisor.tell(nginx, signal.SIGHUP)
            raise ControlError(
                "NGINX found nothing wrong with the new configuration, but did not begin to answer by it: its log "
                "says why. The old one is in place, and answers on"
            )
        self.plan, self.site = prepared.plan, site

    def _require_possible(self, plan: Plan) -> None:
        """What NGINX would say in its log only, and what cannot change while the gateway runs."""
        for name in ("run_dir", "nginx_scheduling"):
            if getattr(plan, name) != getattr(self.plan, name):
                raise ControlError(f"{name} cannot change while the gateway runs: stop it and start it again")
        had = {listener.address for listener in self.plan.listeners}
        try:
            for listener in plan.listeners:
                if listener.address not in had:
                    bind(listener.address).close()
            self.sockets.require_admin(plan.admin)
        except StartError as error:
            raise ControlError(str(error)) from error

    def _require_ready(self, plan: Plan, site: Site, validators: Sequence[Child]) -> None:
        patience = VALIDATORS_PATIENCE + reading_patience(plan)
        ready = self.supervisor.wait_until(
            lambda: all(map(is_ready, site.validator_sockets)), patience=patience, needs=validators
        )
        if not ready:
            missing = ", ".join(sorted(missing_issuers(site.validator_sockets)))
            raise ControlError(
                f"no keys of issuers with start: require: {missing}"
                if missing
                else "the new validators did not start; what they said is in the gateway's log"
            )

    def _renew_others(self, before: Plan) -> None:
        """The signer, when its settings are others; the control process, for the new Plan."""
        if self.plan.signer != before.signer:
            self.supervisor.retire(self.signer)
            self.signer = self.supervisor.start(signer_programs(self.plan), before=self.control)
        if self.nginx is not None:
            self.nginx.program = replace(self.nginx.program, grace=self.plan.shutdown_timeout)
        self.sockets.move_admin(self.plan.admin)
        if self.control is not None:
            # It answers first who is waiting for an answer. Its sockets are ours: nobody is refused meanwhile.
            self.supervisor.tell(self.control, signal.SIGTERM)

    def _end_drained(self) -> None:
        """Retire the validators of former configurations that nobody asks any more."""
        for old in [*self.draining]:
            if time.monotonic() > old.until or not old.nginx_workers & self.nginx_workers():
                self.supervisor.retire(old.validators)
                self.draining.remove(old)

    def each_second(self) -> None:
        """What has to be looked after."""
        self._end_drained()
        with contextlib.suppress(OSError):
            if self.site.counts_log.stat().st_blocks * 512 > MAX_COUNTS_BYTES:
                os.truncate(self.site.counts_log, 0)  # nobody reads it, for whatever reason

    def _running_nginx(self) -> Child:
        if self.nginx is None or self.nginx.pid is None:
            raise ControlError("NGINX is not running at the moment; it is being started again")
        return self.nginx

    def nginx_workers(self) -> frozenset[int]:
        """The process ids of NGINX's workers, old and new."""
        pid = None if self.nginx is None else self.nginx.pid
        try:
            listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            return frozenset()
        return frozenset(map(int, listed.split()))
