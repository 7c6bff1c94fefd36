"""A whole gateway on one machine: NGINX, validators and, where the configuration has one, the signer."""

from __future__ import annotations

import resource
import secrets
import signal
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, NoReturn

import structlog

from jwtgate.errors import StartError
from jwtgate.nginx.names import system_names
from jwtgate.nginx.render import render
from jwtgate.nginx.runtime import check, execute, running_generation, write_configuration
from jwtgate.nginx.site import Site, validator_sockets
from jwtgate.run_directory import RunDirectory, default_run_dir, run_directory
from jwtgate.serve import bind
from jwtgate.signer import run as run_signer
from jwtgate.supervisor import Program, Supervisor
from jwtgate.unix_http import ask
from jwtgate.validator import READY_PATH, WorkerSettings, run_worker, used_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jwtgate.nginx.binary import Nginx
    from jwtgate.plan import Plan

_log = structlog.get_logger()

OPEN_FILES = 65536  # what we ask for; as much of it as we may have

# A validator yields to NGINX: who has a cached decision does not feel a flood of tokens that need checking.
VALIDATOR_NICE = 10

# Seconds until everything must be ready. An issuer with `start: require` is waited for as long as it takes.
PATIENCE = 20.0


def run_gateway(
    plan: Plan,
    nginx: Nginx,
    *,
    run_dir: Path | None = None,
    beside: Sequence[Program] = (),
    is_ready: Callable[[], bool] = lambda: True,
    on_ready: Callable[[Site], None],
) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP; returns an exit code.

    `beside` are further programs to keep running; `is_ready` says when they are. Raises StartError, NginxError
    and UnquotableError for what keeps the gateway from starting.
    """
    for listener in plan.listeners:
        bind(listener.address).close()  # NGINX would say in its log only that a port is taken
    _raise_open_files()
    where = run_dir or plan.run_dir or default_run_dir()
    for kept in (plan.state_dir, plan.signer.key_dir if plan.signer else None):
        if kept is not None and kept.resolve().is_relative_to(where.resolve()):
            raise StartError(f"{kept} is in the run_dir {where}, which is removed when the gateway ends: move it")
    with run_directory(where) as directory:
        site = make_site(plan, nginx, directory)
        write_configuration(render(plan, site), site.configuration)
        check(nginx, site.configuration)
        programs = [
            *beside,
            *_signer(plan),
            *validators(plan, site.validator_sockets, directory),
            Program(
                "nginx",
                lambda: _run_nginx(nginx, site),
                stop_signal=signal.SIGQUIT,
                vital=True,
                grace=plan.shutdown_timeout + 1.0,  # NGINX ends what is still open itself
            ),
        ]
        code = Supervisor(programs).run(
            is_ready=lambda: is_serving(site) and is_ready(),
            on_ready=lambda: on_ready(site),
            patience=_patience(plan),
        )
        if code:
            raise StartError("the gateway did not start; what its parts said stands above")
        return code


def run_validators(plan: Plan, *, run_dir: Path | None = None, on_ready: Callable[[Path], None]) -> int:
    """Run the validators alone until SIGTERM, SIGINT or SIGHUP; returns an exit code.

    The directories stay when it ends: an NGINX that we did not start is using them.
    """
    _raise_open_files()
    with run_directory(run_dir or plan.run_dir or default_run_dir(), keep=True) as directory:
        sockets = validator_sockets(directory.path, plan.workers)
        code = Supervisor(validators(plan, sockets, directory)).run(
            is_ready=lambda: all(map(_is_ready, sockets)),
            on_ready=lambda: on_ready(directory.path),
            patience=_patience(plan),
        )
        if code:
            raise StartError("the validators did not start; what they said stands above")
        return code


def make_site(plan: Plan, nginx: Nginx, directory: RunDirectory) -> Site:
    """Where this run's parts find each other. Each has a generation of its own."""
    return Site(
        run_dir=directory.path,
        cache_dir=directory.cache,
        nginx_version=nginx.version,
        workers=plan.workers,
        generation=secrets.token_hex(8),
        account=(directory.account.user, directory.account.group) if directory.account else None,
        names=system_names(),
    )


def validators(plan: Plan, sockets: Sequence[Path], directory: RunDirectory) -> list[Program]:
    """A program for each worker."""
    account = directory.account
    owner = (account.uid, account.gid) if account else None
    empty = used_bytes(directory.cache)
    keys_dir = (plan.state_dir or directory.path) / "keys"

    def program(socket_path: Path) -> Program:
        settings = WorkerSettings(socket_path, directory.cache, empty, owner, keys_dir)
        return Program(socket_path.stem, lambda: run_worker(plan, settings), nice=VALIDATOR_NICE)

    return [program(path) for path in sockets]


def is_serving(site: Site) -> bool:
    """Whether every validator is ready, and NGINX answers by this configuration."""
    return all(map(_is_ready, site.validator_sockets)) and running_generation(site) == site.generation


def _run_nginx(nginx: Nginx, site: Site) -> NoReturn:
    site.control_socket.unlink(missing_ok=True)  # an NGINX that was killed has left it
    execute(nginx, site.configuration)


def _signer(plan: Plan) -> list[Program]:
    settings = plan.signer
    return [] if settings is None else [Program("signer", lambda: run_signer(settings))]


def _patience(plan: Plan) -> float:
    return inf if any(issuer.start == "require" for issuer in plan.issuers.values()) else PATIENCE


def _is_ready(validator: Path) -> bool:
    answer = ask(validator, READY_PATH)
    return answer is not None and answer[0] == HTTPStatus.OK


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
