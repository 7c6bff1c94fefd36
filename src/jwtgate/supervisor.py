"""Starts processes, restarts what dies, stops them all.

Children are forked, not spawned anew: a validator worker that died is back within milliseconds, with the very
Plan that NGINX was rendered from. That is safe because the supervisor has one thread and no event loop.

Children stay in the supervisor's session, so that a validator's lower priority counts against NGINX's (Linux
schedules sessions, not processes, when autogroups are on). Each gets a process group of its own, so that Ctrl-C
reaches the supervisor alone, and a parent-death signal, so that none outlives a supervisor that was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import structlog

from jwtgate.errors import JwtgateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = structlog.get_logger()

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = STOP_SIGNALS | {signal.SIGCHLD}

# The numbers of prctl(2) in linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before the n-th restart in a row
_AFTER_KILL = 6.0  # seconds in which the kernel removes what was killed
_SETTLED = 10.0  # seconds of life after which a death is the first in a row again


@dataclass(frozen=True, slots=True)
class Program:
    """Something to keep running. `run` is called in the child; the child ends when it returns or raises.

    `grace`: seconds to stop in, before it is killed.

    `vital`: when it ends before everything is ready, starting has failed.
    """

    name: str
    run: Callable[[], object]
    stop_signal: signal.Signals = signal.SIGTERM
    nice: int = 0
    vital: bool = False
    grace: float = 6.0


@dataclass(slots=True)
class _Child:
    program: Program
    pid: int | None = None
    started: float = 0.0
    deaths: int = 0
    due: float | None = field(default=None)  # when to start it (again), on the monotonic clock


class Supervisor:
    """Keeps programs running until it is told to stop.

    Programs start in their order and stop in the opposite one, each only when the one before it is gone.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        self._children = [_Child(program) for program in programs]

    def run(self, *, is_ready: Callable[[], bool], on_ready: Callable[[], None], patience: float) -> int:
        """Start everything, and keep it running until SIGTERM, SIGINT or SIGHUP. Returns an exit code.

        `is_ready` is asked until it says yes or `patience` seconds are over, then `on_ready` is called, or all
        is stopped. 0: stopped as told. 1: did not become ready.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            return self._run(is_ready, on_ready, time.monotonic() + patience)
        finally:
            self._stop()
            while signal.sigtimedwait(_WATCHED, 0):  # whoever asked more than once has been obeyed
                pass
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    def _run(self, is_ready: Callable[[], bool], on_ready: Callable[[], None], deadline: float) -> int:
        ready = False
        for child in self._children:
            self._start(child)
        while True:
            received = signal.sigtimedwait(_WATCHED, self._until_next(ready=ready))
            if received is not None and received.si_signo in STOP_SIGNALS:
                return 0
            for child in self._reap():
                if child.program.vital and not ready:
                    return 1
                self._mourn(child)
            for child in self._children:
                if child.due is not None and child.due <= time.monotonic():
                    _log.warning("restarting", program=child.program.name)
                    self._start(child)
            if not ready and is_ready():
                ready = True
                on_ready()
            elif not ready and time.monotonic() > deadline:
                return 1

    def _until_next(self, *, ready: bool) -> float:
        due = [child.due - time.monotonic() for child in self._children if child.due is not None]
        return max(0.0, min([*due, 1.0 if ready else 0.02]))

    def _start(self, child: _Child) -> None:
        child.due = None
        child.started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(child.program, supervisor)
        child.pid = pid

    def _reap(self) -> list[_Child]:
        """The children that have ended since the last call."""
        ended: list[_Child] = []
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                _end_group(child.pid)
                child.pid = None
                ended.append(child)
                _log.warning(
                    "ended", program=child.program.name, code=os.waitstatus_to_exitcode(status)
                )  # a negative code is a signal
        return ended

    @staticmethod
    def _mourn(child: _Child) -> None:
        now = time.monotonic()
        child.deaths = 1 if now - child.started > _SETTLED else child.deaths + 1
        child.due = now + _BACKOFF[min(child.deaths, len(_BACKOFF)) - 1]

    def _stop(self) -> None:
        for child in reversed(self._children):
            if child.pid is None:
                continue
            _kill(child.pid, child.program.stop_signal)
            if not _gone(child.pid, child.program.grace):
                _log.warning("does not stop: killed", program=child.program.name)
                _kill(child.pid, signal.SIGKILL)
                _gone(child.pid, _AFTER_KILL)
            _end_group(child.pid)
            child.pid = None


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_group(leader: int) -> None:
    """What a process that died has left behind: NGINX's workers would serve on, and keep the port from the next.

    No other group can have this number while one of its processes lives.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _gone(pid: int, patience: float) -> bool:
    """Whether a child ends within `patience` seconds. SIGCHLD is blocked, so it can be waited for."""
    deadline = time.monotonic() + patience
    while not os.waitpid(pid, os.WNOHANG)[0]:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        signal.sigtimedwait({signal.SIGCHLD}, min(left, 0.5))
    return True


def _become(program: Program, supervisor: int) -> NoReturn:
    """The child's life. It never returns into the supervisor's code."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number in _WATCHED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NAME, program.name.encode()[:15])
        libc.prctl(_PR_SET_PDEATHSIG, program.stop_signal)
        if os.getppid() == supervisor:  # else it died before the line above
            os.nice(program.nice)
            program.run()
            code = 0
    except JwtgateError as error:
        sys.stderr.write(f"{program.name}: {error}\n")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of a process: say it and end
        _log.exception("failed", program=program.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
