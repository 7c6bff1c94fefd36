"""The programs of a gateway, and whether they do their work."""

from __future__ import annotations

import signal
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from jwtgate.control import ControlSettings, control_socket, run_control
from jwtgate.nginx.runtime import execute, running_generation
from jwtgate.serve import is_listening
from jwtgate.signer import run as run_signer
from jwtgate.supervisor import Program
from jwtgate.unix_http import ask
from jwtgate.validator import READY_PATH, WorkerSettings, run_worker, used_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jwtgate.control import Channel
    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site
    from jwtgate.plan import Plan
    from jwtgate.run_directory import RunDirectory

# A validator yields to NGINX: who has a cached decision does not feel a flood of tokens that need checking.
VALIDATOR_NICE = 10


class Validators:
    """Makes the programs of validators, one for each worker, for this Plan or the next."""

    def __init__(self, directory: RunDirectory) -> None:
        account = directory.account
        self._owner = (account.uid, account.gid) if account else None
        self._directory = directory
        self._empty = used_bytes(directory.cache)  # now, when there is nothing in it

    def programs(self, plan: Plan, sockets: Sequence[Path]) -> list[Program]:
        """A program for each socket."""
        keys_dir = (plan.state_dir or self._directory.path) / "keys"

        def program(number: int, socket: Path) -> Program:
            settings = WorkerSettings(socket, self._directory.cache, self._empty, self._owner, keys_dir)
            return Program(f"validator-{number}", lambda: run_worker(plan, settings), nice=VALIDATOR_NICE)

        return [program(number, socket) for number, socket in enumerate(sockets)]


def control_program(
    run_dir: Path,
    channel: Channel,
    plan: Callable[[], Plan],
    validators: Callable[[], Sequence[Path]],
    nginx: Path | None,
) -> Program:
    """The control process. It learns at its start who is there by then."""

    def run() -> None:
        run_control(plan(), ControlSettings(control_socket(run_dir), validators(), nginx), channel)

    return Program("control", run)


def nginx_program(nginx: Nginx, site: Callable[[], Site], shutdown_timeout: int) -> Program:
    """NGINX."""

    def run() -> NoReturn:
        site().control_socket.unlink(missing_ok=True)  # an NGINX that was killed has left it
        execute(nginx, site().configuration)

    grace = shutdown_timeout + 1.0  # NGINX ends what is still open itself
    return Program("nginx", run, stop_signal=signal.SIGQUIT, vital=True, grace=grace)


def signer_programs(plan: Plan) -> list[Program]:
    """The signer, if there is one."""
    settings = plan.signer
    return [] if settings is None else [Program("signer", lambda: run_signer(settings))]


def signer_listens(plan: Plan) -> bool:
    """Whether the signer, if there is one, takes connections."""
    return plan.signer is None or is_listening(plan.signer.listen)


def answers(socket: Path) -> bool:
    """Whether a validator answers, be it that it is not ready."""
    return ask(socket, READY_PATH) is not None


def is_ready(socket: Path) -> bool:
    """Whether a validator can do its work."""
    answer = ask(socket, READY_PATH)
    return answer is not None and answer[0] == HTTPStatus.OK


def is_serving(site: Site) -> bool:
    """Whether every validator is ready, and NGINX answers by this configuration."""
    return all(map(is_ready, site.validator_sockets)) and running_generation(site) == site.generation
