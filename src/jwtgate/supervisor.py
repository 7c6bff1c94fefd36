"""Starts processes, restarts what dies, stops them all.

Children are forked, not spawned anew: a validator worker that died is back within milliseconds, with the very
Plan that NGINX was rendered from. That is safe because the supervisor has one thread and no event loop: it waits
in `sigtimedwait`, and whoever has to wait for something longer waits in `wait_until`, which goes on looking after
all the others.

Children stay in the supervisor's session, so that a validator's lower priority counts against NGINX's (Linux
schedules sessions, not processes, when autogroups are on). Each gets a process group of its own, so that Ctrl-C
reaches the supervisor alone, and a parent-death signal, so that none outlives a supervisor that was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NoReturn, Self

import structlog

from jwtgate.errors import JwtgateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

_log = structlog.get_logger()

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
# Signals that ask for something else; `Supervisor.wait` returns them.
REQUESTS = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
_WATCHED = STOP_SIGNALS | REQUESTS | {signal.SIGCHLD}

# The numbers of prctl(2) in linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

EX_CONFIG = 78  # sysexits.h: a program that ends so will not do better the next time

_BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before the n-th restart in a row
_AFTER_KILL = 6.0  # seconds in which the kernel removes what was killed
_SETTLED = 10.0  # seconds of life after which a death is the first in a row again
_CURIOUS = 0.02  # seconds between two looks at what is waited for


class StopAskedError(Exception):
    """SIGTERM or SIGINT came: leave the supervisor's `with`."""


@dataclass(frozen=True, slots=True)
class Program:
    """Something to keep running. `run` is called in the child; the child ends when it returns or raises.

    `grace`: seconds to stop in, before it is killed. `about`: whatever tells it from others of its name.

    `batch`: being woken up does not interrupt whoever runs (SCHED_BATCH of sched(7)).

    `vital`: when it ends before everything is ready, starting has failed. So it has when any other ends by one of
    our own errors: the next try would end the same way.
    """

    name: str
    run: Callable[[], object]
    stop_signal: signal.Signals = signal.SIGTERM
    nice: int = 0
    batch: bool = False
    vital: bool = False
    grace: float = 6.0
    about: str = ""


@dataclass(slots=True, eq=False)
class Child:
    """A program and the process that it has at the moment, if any."""

    program: Program
    pid: int | None = None
    started: float = 0.0
    deaths: int = 0
    gave_up: bool = False  # it ended in a way that another start will not mend
    once: bool = False  # it is not started again
    due: float | None = field(default=None)  # when to start it (again), on the monotonic clock
    killed_at: float = inf  # retired: when its patience is over


class Supervisor:
    """Keeps programs running for as long as its `with` lasts, which stands inside of `signals_held`.

    Nothing interrupts what happens inside; `wait` and `wait_until` raise StopAskedError when SIGTERM or SIGINT has
    come. At the end all programs are stopped, in the opposite order, each only when the one after it is gone.
    """

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._retired: list[Child] = []
        self._asked: deque[signal.Signals] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._children + self._retired):
            if child.pid is None:
                continue
            _kill(child.pid, child.program.stop_signal)
            ended = _gone(child.pid, child.program.grace)
            if not ended and child.program.stop_signal != signal.SIGTERM:
                _kill(child.pid, signal.SIGTERM)  # NGINX stops at once, and ends what is still open
                ended = _gone(child.pid, 1.0)
            if not ended:
                _log.warning("does not stop: killed", program=child.program.name)
                _kill(child.pid, signal.SIGKILL)
                _gone(child.pid, _AFTER_KILL)
            _end_group(child.pid)
            child.pid = None

    def start(self, programs: Iterable[Program], *, before: Child | None = None) -> list[Child]:
        """Start programs, in their order. They stop after those that follow; `before` is one that follows."""
        children = [Child(program) for program in programs]
        place = len(self._children) if before is None else self._children.index(before)
        self._children[place:place] = children
        for child in children:
            self._start(child)
        return children

    def retire(self, children: Sequence[Child]) -> None:
        """Have them stop, for good, without waiting for it."""
        for child in children:
            self._children.remove(child)
            child.due = None
            if child.pid is not None:
                _kill(child.pid, child.program.stop_signal)
                child.killed_at = time.monotonic() + child.program.grace
                self._retired.append(child)

    def kill(self, child: Child) -> None:
        """End a program that does nothing any more. It is started again, like any that died."""
        if child.pid is not None:
            _kill(child.pid, signal.SIGKILL)

    def tell(self, child: Child, number: signal.Signals) -> None:
        """Send a signal to a program."""
        if child.pid is not None:
            _kill(child.pid, number)

    def wait_until(self, fact: Callable[[], bool], *, patience: float, needs: Sequence[Child] = ()) -> bool:
        """Whether something becomes true within `patience` seconds; not if one of `needs` gives up before."""
        deadline = time.monotonic() + patience
        while not fact():
            if time.monotonic() > deadline or any(child.gave_up for child in needs):
                return False
            self._turn(_CURIOUS)
        return True

    def run_once(self, program: Program, *, patience: float) -> bool:
        """Whether a program ends well within `patience` seconds. If it is not over by then, it is killed."""
        child = Child(program, once=True)
        self._children.append(child)
        self._start(child)
        ended = self.wait_until(lambda: child.pid is None, patience=patience)
        if not ended:
            self.kill(child)
            self.wait_until(lambda: child.pid is None, patience=_AFTER_KILL)
        self._children.remove(child)
        return ended and not child.deaths

    def wait(self) -> signal.Signals | None:
        """The next signal that asks for something; None after a second without one."""
        if not self._asked:
            self._turn(1.0)
        return self._asked.popleft() if self._asked else None

    def _turn(self, longest: float) -> None:
        """Wait for a signal, `longest` seconds at most, and do what is due."""
        received = signal.sigtimedwait(_WATCHED, self._until_next(longest))
        number = 0 if received is None else received.si_signo  # 0 also when a SIGCONT ended the waiting
        if number in STOP_SIGNALS:
            raise StopAskedError
        if number in REQUESTS and number not in self._asked:
            self._asked.append(signal.Signals(number))
        self._reap()
        now = time.monotonic()
        for child in self._children:
            if child.due is not None and child.due <= now:
                _log.warning("restarting", program=child.program.name)
                self._start(child)
        for child in self._retired:
            if child.pid is not None and child.killed_at <= now:
                _log.warning("does not stop: killed", program=child.program.name)
                _kill(child.pid, signal.SIGKILL)
                child.killed_at = inf

    def _until_next(self, longest: float) -> float:
        due = [child.due for child in self._children if child.due is not None]
        due += [child.killed_at for child in self._retired]
        return max(0.0, min([*(moment - time.monotonic() for moment in due), longest]))

    def _start(self, child: Child) -> None:
        child.due = None
        child.started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(child.program, supervisor)
        child.pid = pid

    def _reap(self) -> None:
        """Take note of the children that have ended, and of when to start them again."""
        for child in [*self._children, *self._retired]:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                _end_group(child.pid)
                child.pid = None
                self._mourn(child, os.waitstatus_to_exitcode(status))
        self._retired = [child for child in self._retired if child.pid is not None]

    def _mourn(self, child: Child, code: int) -> None:
        if child.once:
            child.deaths = int(code != 0)
            return
        if child in self._retired:
            _log.info("retired", program=child.program.name, code=code)
            return
        _log.warning("ended", program=child.program.name, code=code)  # a negative code is a signal
        now = time.monotonic()
        child.gave_up = child.program.vital or code == EX_CONFIG
        child.deaths = 1 if now - child.started > _SETTLED else child.deaths + 1
        child.due = now + _BACKOFF[min(child.deaths, len(_BACKOFF)) - 1]


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Signals of ours wait until the end of this block, in which nothing may be left half done.

    Those that came meanwhile have been obeyed by then: it ends because of them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    try:
        yield
    finally:
        while signal.sigtimedwait(_WATCHED, 0):
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)


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
    gc.freeze()  # the child's collector leaves alone what it has in common with us: touched, it would be copied
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
            if program.batch:
                with contextlib.suppress(OSError):  # forbidden where we run; it is only slower
                    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            program.run()
            code = 0
    except JwtgateError as error:
        sys.stderr.write(f"{program.name}: {error}\n")
        code = EX_CONFIG
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of a process: say it and end
        _log.exception("failed", program=program.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
