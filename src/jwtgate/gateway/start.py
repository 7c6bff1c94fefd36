"""From a Plan to a running gateway, and to its end."""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import secrets
import signal
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from jwtgate.control.channel import Channel
from jwtgate.control.process import ControlSettings
from jwtgate.errors import StartError
from jwtgate.gateway.connection_age import ConnectionAge
from jwtgate.gateway.desk import Desk
from jwtgate.gateway.programs import (
    ControlSockets,
    Validators,
    answers,
    control_program,
    is_ready,
    is_serving,
    nginx_program,
    reading_patience,
    replace_validator,
    signer_listens,
    signer_programs,
)
from jwtgate.gateway.running import RunningGateway
from jwtgate.nginx.names import system_names
from jwtgate.nginx.render import render
from jwtgate.nginx.runtime import check, write_configuration
from jwtgate.nginx.site import Site, validator_sockets
from jwtgate.run_directory import RunDirectory, default_run_dir, run_directory
from jwtgate.serve import bind
from jwtgate.supervisor import StopAskedError, Supervisor, signals_held

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jwtgate.nginx.binary import Nginx
    from jwtgate.plan import Plan
    from jwtgate.supervisor import Program

OPEN_FILES = 65536  # what we ask for; as much of it as we may have

# Seconds until everything must be ready. An issuer with `start: require` is waited for as long as it takes.
PATIENCE = 20.0


def run_gateway(
    plan: Plan,
    nginx: Nginx,
    *,
    run_dir: Path | None = None,
    load: Callable[[], Plan],
    beside: Sequence[Program] = (),
    is_ready: Callable[[], bool] = lambda: True,
    on_ready: Callable[[Site], None],
) -> int:
    """Run until SIGTERM or SIGINT; returns an exit code.

    `load` reads the configuration anew, for a reload. `beside` are further programs to keep running;
    `is_ready` says when they are. Raises StartError, NginxError and UnquotableError for what keeps the gateway
    from starting.
    """
    gc.freeze()  # the Plan and all modules stay: the collector would look through them once more, and find nothing
    _require_addresses(plan)
    _raise_open_files()
    _append_to_logs()
    where = run_dir or plan.run_dir or default_run_dir()
    for kept in (plan.state_dir, plan.signer.place.key_dir if plan.signer else None):
        if kept is not None and kept.resolve().is_relative_to(where.resolve()):
            raise StartError(f"{kept} is in the run_dir {where}, which is removed when the gateway ends: move it")
    with signals_held(), run_directory(where) as directory:
        site = make_site(plan, nginx, directory)
        site.counts_log.touch(mode=0o600)  # before NGINX makes it for everybody to read
        write_configuration(render(plan, site), site.configuration)
        check(nginx, site.configuration)
        sockets = ControlSockets(directory.path, plan.admin)
        try:
            with Supervisor() as supervisor:
                gateway = RunningGateway(supervisor, nginx, plan, site, Validators(directory), load, sockets)
                desk = _start(gateway, beside, is_ready)
                on_ready(site)
                signals = {signal.SIGHUP: "reload", signal.SIGUSR1: "reopen"}
                age = ConnectionAge(gateway)

                def each_second() -> None:
                    gateway.each_second()
                    age()

                desk.serve(gateway.orders(), signals, each_second)
        except StopAskedError:
            return 0


def _start(gateway: RunningGateway, beside: Sequence[Program], is_ready: Callable[[], bool]) -> Desk:
    """Start everything. NGINX, and with it the port, comes last: when somebody is there to decide."""
    supervisor, plan, site, channel = gateway.supervisor, gateway.plan, gateway.site, Channel()
    control = control_program(
        gateway.sockets,
        channel,
        lambda: gateway.plan,
        lambda: ControlSettings(gateway.site.validator_sockets, gateway.site.control_socket, site.counts_log),
    )
    others = supervisor.start(beside)
    gateway.signer = supervisor.start(signer_programs(plan))
    (gateway.control,) = supervisor.start([control])
    gateway.validators = supervisor.start(gateway.make_validators.programs(plan, site.validator_sockets))
    parts = [*others, *gateway.signer, gateway.control, *gateway.validators]
    patience = PATIENCE + reading_patience(plan)
    up = supervisor.wait_until(lambda: all(map(answers, site.validator_sockets)), patience=patience, needs=parts)
    if up:
        (gateway.nginx,) = supervisor.start([nginx_program(gateway.binary, lambda: gateway.site, plan)])
        parts.append(gateway.nginx)
        up = supervisor.wait_until(
            lambda: is_serving(site) and signer_listens(plan) and is_ready(), patience=_patience(plan), needs=parts
        )
    if not up:
        raise StartError("the gateway did not start; what its parts said stands above")
    return Desk(supervisor, channel, gateway.control)


def run_validators(
    plan: Plan,
    *,
    run_dir: Path | None = None,
    nginx_user: str | None = None,
    on_ready: Callable[[Path], None],
) -> int:
    """Run the validators alone until SIGTERM or SIGINT; returns an exit code.

    The directories stay when it ends: an NGINX that we did not start is using them. `nginx_user` is whom its
    workers run as, when we are root.
    """
    _require_addresses(plan, listeners=False)
    _raise_open_files()
    _append_to_logs()
    where = run_dir or plan.run_dir or default_run_dir()
    with signals_held(), run_directory(where, keep=True, nginx_user=nginx_user) as directory:
        paths = validator_sockets(directory.path, plan.workers)
        channel, sockets = Channel(), ControlSockets(directory.path, plan.admin)
        settings = ControlSettings(paths, None, None)
        try:
            with Supervisor() as supervisor:
                (control,) = supervisor.start([control_program(sockets, channel, lambda: plan, lambda: settings)])
                validators = supervisor.start(Validators(directory).programs(plan, paths))
                if not supervisor.wait_until(
                    lambda: all(map(is_ready, paths)), patience=_patience(plan), needs=[control, *validators]
                ):
                    raise StartError("the validators did not start; what they said stands above")
                on_ready(directory.path)
                Desk(supervisor, channel, control).serve(
                    {"replace": lambda path: replace_validator(supervisor, validators, path)}, {}
                )
        except StopAskedError:
            return 0


def _append_to_logs() -> None:
    """Have every writer write at the end of a log.

    `jwtgate up > log` gives us a file with one place to write at, and NGINX, which opens it for itself, has
    another: they would write over each other.
    """
    for output in (1, 2):
        with suppress(OSError):  # it may be closed
            fcntl.fcntl(output, fcntl.F_SETFL, fcntl.fcntl(output, fcntl.F_GETFL) | os.O_APPEND)


def make_site(plan: Plan, nginx: Nginx, directory: RunDirectory) -> Site:
    """Where this run's parts find each other. Each has a generation and an epoch of its own."""
    return Site(
        run_dir=directory.path,
        cache_dir=directory.cache,
        nginx_version=nginx.version,
        workers=plan.workers,
        generation=secrets.token_hex(8),
        epoch=secrets.token_hex(8),
        account=(directory.account.user, directory.account.group) if directory.account else None,
        names=system_names(),
        stub_status="--with-http_stub_status_module" in nginx.configure_arguments,
        counts=plan.admin is not None,
        cores=_own_cores(),
    )


def _own_cores() -> int | None:
    """How many cores we may use, when that is not all of them: NGINX's `auto` counts those of the machine."""
    own = len(os.sched_getaffinity(0))
    return own if own != os.cpu_count() else None


def _require_addresses(plan: Plan, *, listeners: bool = True) -> None:
    """NGINX would say in its log only that a port is taken."""
    for listener in plan.listeners if listeners else ():
        bind(listener.address).close()
    if plan.admin is not None:
        try:
            bind(plan.admin).close()
        except StartError as error:
            raise StartError(f"admin: {error}. In gateway.yaml: admin: HOST:PORT, or admin: off") from error


def _patience(plan: Plan) -> float:
    needs_keys = any(issuer.start == "require" for issuer in plan.issuers.values())
    return inf if needs_keys else PATIENCE + reading_patience(plan)


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
