"""The programs of a gateway, and whether they do their work."""

from __future__ import annotations

import signal
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import httpcore2  # noqa: F401 - what httpx2 imports when it is first used: here once, not in each child
import structlog

from jwtgate.control.process import ControlSettings, run_control
from jwtgate.control.protocol import control_socket
from jwtgate.errors import ControlError
from jwtgate.nginx.runtime import execute, running_generation
from jwtgate.serve import bind, is_listening
from jwtgate.supervisor import Program
from jwtgate.unix_http import ask
from jwtgate.validator import READY_PATH, WorkerSettings, listen, run_worker, used_bytes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence

    from jwtgate.control.channel import Channel
    from jwtgate.nginx.binary import Nginx
    from jwtgate.nginx.site import Site
    from jwtgate.plan import Plan
    from jwtgate.run_directory import RunDirectory
    from jwtgate.supervisor import Child, Supervisor

_log = structlog.get_logger()

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

        def program(number: int, path: Path) -> Program:
            settings = WorkerSettings(path, self._directory.cache, self._empty, self._owner, keys_dir)
            name = f"validator-{number}"
            return Program(name, lambda: run_worker(plan, settings), nice=VALIDATOR_NICE, about=str(path))

        return [program(number, path) for number, path in enumerate(sockets)]


class ControlSockets:
    """What the control process listens on. Held here: who asks while that is restarted waits in the queue."""

    def __init__(self, run_dir: Path, admin: str | None) -> None:
        self._where = admin
        self.admin = None if admin is None else _listening(bind(admin))
        self.commands = _listening(listen(control_socket(run_dir), None))

    def require_admin(self, address: str | None) -> None:
        """Raises StartError when `move_admin` would."""
        if address not in (None, self._where):
            bind(address).close()

    def move_admin(self, address: str | None) -> None:
        """Listen on another address, or on none, from the next control process on. Raises StartError."""
        if address == self._where:
            return
        admin = None if address is None else _listening(bind(address))
        if self.admin is not None:
            self.admin.close()
        self._where, self.admin = address, admin


def _listening(listener: socket.socket) -> socket.socket:
    listener.listen()
    return listener


def control_program(
    sockets: ControlSockets, channel: Channel, plan: Callable[[], Plan], site: Callable[[], ControlSettings]
) -> Program:
    """The control process. It learns at its start who is there by then."""
    return Program("control", lambda: run_control(plan(), site(), channel, sockets.commands, sockets.admin))


def nginx_program(nginx: Nginx, site: Callable[[], Site], plan: Plan) -> Program:
    """NGINX. What is open after `shutdown_timeout` ends by the SIGTERM that follows.

    With `nginx_scheduling: batch` a validator that answers many is not interrupted by the first answer, nor NGINX
    woken up for each (docs/decisions/0014-nginx-is-scheduled-as-batch.md).
    """

    def run() -> NoReturn:
        site().control_socket.unlink(missing_ok=True)  # an NGINX that was killed has left it
        execute(nginx, site().configuration)

    return Program(
        "nginx",
        run,
        stop_signal=signal.SIGQUIT,
        batch=plan.nginx_scheduling == "batch",
        vital=True,
        grace=plan.shutdown_timeout,
    )


def signer_programs(plan: Plan) -> list[Program]:
    """The signer, if there is one."""
    settings = plan.signer
    if settings is None:
        return []
    # A database and its tools: 0.1 to 0.2 s that a start without a signer need not take.
    from jwtgate.signer import run as run_signer

    return [Program("signer", lambda: run_signer(settings))]


def signer_listens(plan: Plan) -> bool:
    """Whether the signer, if there is one, takes connections."""
    return plan.signer is None or is_listening(plan.signer.listen)


def answers(validator: Path) -> bool:
    """Whether a validator answers, be it that it is not ready."""
    return ask(validator, READY_PATH) is not None


def is_ready(validator: Path) -> bool:
    """Whether a validator can do its work."""
    answer = ask(validator, READY_PATH)
    return answer is not None and answer[0] == HTTPStatus.OK


# Seconds of silence after which a validator is killed though it has work in hand. Before, it may be a machine with
# more to do than it can, and to start another would make that worse.
BUSY_PATIENCE = 30.0


def replace_validator(supervisor: Supervisor, validators: Iterable[Child], argument: str) -> str:
    """Kill a validator that hangs; another takes its place. Raises ControlError when there is no such one.

    `argument`: how many seconds it has been silent, and its socket.
    """
    silence, _, socket = argument.partition(" ")
    for child in validators:
        if child.program.about == socket:
            if child.pid is not None and float(silence) < BUSY_PATIENCE and _is_runnable(child.pid):
                raise ControlError(f"{child.program.name} is busy")
            _log.error("a validator does not answer: killed", program=child.program.name)
            supervisor.kill(child)
            return f"{child.program.name} is replaced"
    raise ControlError(f"no validator listens on {socket}")


def _is_runnable(pid: int) -> bool:
    """Whether a process runs, or would if it had a processor (proc(5): state R)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:
        return False


_READ_A_SECOND = 2_000_000  # bytes of a deny-list: a tenth of what a machine does that has nothing else to do


def reading_patience(plan: Plan) -> float:
    """Seconds in which a validator should have read the deny-list, which it does before it answers."""
    if plan.deny_list is None:
        return 0.0
    with suppress(OSError):  # the validator will say so
        return plan.deny_list.stat().st_size / _READ_A_SECOND
    return 0.0


def missing_issuers(sockets: Sequence[Path]) -> set[str]:
    """The issuers for whose keys validators wait."""
    answers = [ask(path, READY_PATH) for path in sockets]
    named = [body.split(", ") for status, body in filter(None, answers) if status != HTTPStatus.OK]
    return {name for names in named for name in names if name}


def is_serving(site: Site) -> bool:
    """Whether every validator is ready, and NGINX answers by this configuration."""
    return all(map(is_ready, site.validator_sockets)) and running_generation(site) == site.generation
