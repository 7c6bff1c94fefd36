"""In which order requests are answered.

- Those that come together are read together, those that are quick to answer are answered first, and answers are
  sent together: NGINX wakes up once for many, and a user whose token is known does not wait behind a flood of
  tokens that are not.
- After each of the others that lets nobody through at once, NGINX may run first: whoever sends forged tokens takes
  no time from users whom NGINX can serve by itself.
- Only an answer that waits for an issuer's keys becomes a task.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from jwtgate.validator.connection import Connection, Request

_log = structlog.get_logger()

TURN = 0.001  # seconds of slow answers before those that are ready are sent, and new requests are looked at

# What a fault of ours comes to. NGINX makes a 500 of it, and we a 503.
_FAULT = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

_DENIED = b"HTTP/1.1 401"  # what an answer begins with, by which nobody was let through


class Answering(Protocol):
    """What answers. A question is whatever `read` makes of a request."""

    def read(self, request: Request) -> Any:
        """The question that a request asks."""

    def is_quick(self, question: Any) -> bool:
        """Whether its answer takes microseconds."""

    def answer(self, question: Any) -> bytes | Coroutine[None, None, bytes]:
        """The answer; or, when something is to be waited for, a coroutine that will have it."""


class Turns:
    """Takes the questions of all connections, and answers them turn by turn."""

    def __init__(
        self,
        application: Answering,
        loop: asyncio.AbstractEventLoop,
        give_way: Callable[[], None] = os.sched_yield,
    ) -> None:
        self._give_way = give_way
        self._application = application
        self._loop = loop
        self._new: list[tuple[Connection, Any]] = []
        self._slow: deque[tuple[Connection, Any]] = deque()
        self._waiting: set[asyncio.Task[None]] = set()
        self._due = False

    def take(self, connection: Connection, request: Request) -> None:
        """A request has come."""
        self._new.append((connection, self._application.read(request)))
        self._call()

    async def end(self, grace: float) -> None:
        """Answer what has been asked, in `grace` seconds at most."""
        deadline = self._loop.time() + grace
        while self._new or self._slow or self._waiting:
            if self._waiting:
                await asyncio.wait(self._waiting, timeout=deadline - self._loop.time())
            if self._loop.time() >= deadline:
                break
            await asyncio.sleep(0)

    def _call(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """What is quick, then what is slow for as long as a turn lasts, then send it all."""
        self._due = False
        new, self._new = self._new, []
        ready: list[tuple[Connection, bytes]] = []
        if len(new) == 1 and not self._slow:
            self._answer(*new[0], ready)
        else:
            is_quick = self._application.is_quick
            for connection, question in new:
                if is_quick(question):
                    self._answer(connection, question, ready)
                else:
                    self._slow.append((connection, question))
            end = monotonic() + TURN
            while self._slow:
                answer = self._answer(*self._slow.popleft(), ready)
                if answer is None or answer.startswith(_DENIED):
                    self._give_way()
                if monotonic() > end:
                    break
        for connection, answer in ready:
            connection.send(answer)
        if self._slow:
            self._call()

    def _answer(
        self, connection: Connection, question: Any, ready: list[tuple[Connection, bytes]]
    ) -> bytes | None:
        """The answer, which is `ready` then; None: it will come."""
        try:
            answer = self._application.answer(question)
        except Exception:  # noqa: BLE001 - whatever it was, NGINX waits for an answer
            _log.exception("a request failed")
            answer = _FAULT
        if isinstance(answer, bytes):
            ready.append((connection, answer))
            return answer
        task = self._loop.create_task(_wait(connection, answer))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return None


async def _wait(connection: Connection, coming: Coroutine[None, None, bytes]) -> None:
    try:
        answer = await coming
    except Exception:  # noqa: BLE001 - as above
        _log.exception("a request failed")
        answer = _FAULT
    connection.send(answer)
