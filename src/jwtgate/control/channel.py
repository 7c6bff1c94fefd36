"""Between the control process and the supervisor: orders one way, results the other.

A socket pair that exists before the control process does and outlives it, with one message a packet. The
supervisor has no event loop: SIGUSR2 tells it to look. An order that was given by a control process that has died
since is carried out all the same, and its result is read by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from typing import TYPE_CHECKING

import msgspec

from jwtgate.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_PACKET = 1 << 18
_MAX_TEXT = 16_000  # characters of a result: one packet must fit into the kernel's buffer, whatever they are

# Seconds for the supervisor to carry out an order: it may wait for validators to get ready and for NGINX.
PATIENCE = 180.0


class Order(msgspec.Struct, frozen=True):
    """What the supervisor is to do. `number` is repeated in the result; 0 is a sign of life, and no order."""

    number: int
    verb: str
    argument: str = ""


class Result(msgspec.Struct, frozen=True):
    """What came of an order. `text` is for a person."""

    number: int
    done: bool
    text: str


class Channel:
    """The supervisor's end, and the control process's, which that inherits."""

    def __init__(self) -> None:
        self._supervisor, self._control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._supervisor.setblocking(False)
        self._control.setblocking(False)
        self._pid = os.getpid()

    def orders(self) -> Iterator[Order]:
        """In the supervisor: what has been asked for since the last look."""
        with contextlib.suppress(BlockingIOError):
            while True:
                yield msgspec.json.decode(self._supervisor.recv(_MAX_PACKET), type=Order)

    def answer(self, result: Result) -> None:
        """In the supervisor: what came of it. A control process that does not read is not waited for."""
        if len(result.text) > _MAX_TEXT:
            result = msgspec.structs.replace(result, text=result.text[:_MAX_TEXT] + " …")
        with contextlib.suppress(BlockingIOError):
            self._supervisor.send(msgspec.json.encode(result))

    def caller(self) -> Caller:
        """In the control process: the way to ask the supervisor."""
        return Caller(self._control, self._pid)


class Caller:
    """Asks the supervisor. `listen` has to run beside it."""

    def __init__(self, end: socket.socket, supervisor: int) -> None:
        self._end = end
        self._supervisor = supervisor
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        # A number is not used twice, not even by the control process that comes after this one.
        self._numbers = itertools.count(os.getpid() << 20)

    async def ask(self, verb: str, argument: str = "") -> Result:
        """Have something done. Raises ControlError with the supervisor's words when it was not."""
        loop = asyncio.get_running_loop()
        order = Order(next(self._numbers), verb, argument)
        answered: asyncio.Future[Result] = loop.create_future()
        self._waiting[order.number] = answered
        try:
            await loop.sock_sendall(self._end, msgspec.json.encode(order))
            os.kill(self._supervisor, signal.SIGUSR2)
            async with asyncio.timeout(PATIENCE):
                result = await answered
        except TimeoutError as error:
            raise ControlError(
                f"the supervisor has not finished it after {PATIENCE:.0f} s: see its log"
            ) from error
        finally:
            del self._waiting[order.number]
        if not result.done:
            raise ControlError(result.text)
        return result

    async def live(self) -> None:
        """Show the supervisor each second that this event loop turns, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await loop.sock_sendall(self._end, msgspec.json.encode(Order(0, "alive")))
            await asyncio.sleep(1)

    async def listen(self) -> None:
        """Hand results to those who wait for them, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            result: Result = msgspec.json.decode(await loop.sock_recv(self._end, _MAX_PACKET), type=Result)
            answered = self._waiting.get(result.number)
            if answered is not None and not answered.done():
                answered.set_result(result)
