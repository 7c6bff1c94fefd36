"""Where the supervisor takes orders: from the control process, and by signals."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import structlog

from jwtgate.control.channel import Result
from jwtgate.errors import JwtgateError
from jwtgate.supervisor import StopAskedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jwtgate.control.channel import Channel
    from jwtgate.supervisor import Child, Supervisor

_log = structlog.get_logger()

# Seconds without a sign of life of the control process, after which it is killed. It gives one each second.
CONTROL_PATIENCE = 10.0


class Desk:
    """Carries out orders, one after the other, for as long as the supervisor lives."""

    def __init__(self, supervisor: Supervisor, channel: Channel, control: Child) -> None:
        self._supervisor = supervisor
        self._channel = channel
        self._control = control
        self._alive_at = time.monotonic()
        self._on_terminal = sys.stdin is not None and sys.stdin.isatty()

    def serve(
        self,
        orders: Mapping[str, Callable[[str], str]],
        signals: Mapping[signal.Signals, str],
        each_second: Callable[[], None] = lambda: None,
    ) -> NoReturn:
        """Until StopAskedError. `orders`: what each does, and says that it has done; `signals` stand for orders.

        On a terminal, SIGHUP says that the terminal is gone, and not that there is something to do.
        """
        while True:
            number = self._supervisor.wait()
            if number is signal.SIGHUP and self._on_terminal:
                raise StopAskedError
            for order in self._channel.orders():
                self._alive_at = time.monotonic()
                if order.number:
                    done, text = _obey(orders, order.verb, order.argument)
                    self._channel.answer(Result(order.number, done, text))
            if number is not None and number in signals:
                _obey(orders, signals[number], "", told=_log.warning)  # the log is all that answers a signal
            self._watch_control()
            each_second()

    def _watch_control(self) -> None:
        now = time.monotonic()
        if self._control.pid is None or self._control.started > self._alive_at:
            self._alive_at = now
        elif now > self._alive_at + CONTROL_PATIENCE:
            _log.error("the control process does not answer: killed")
            self._supervisor.kill(self._control)


def _obey(
    orders: Mapping[str, Callable[[str], str]],
    verb: str,
    argument: str,
    told: Callable[..., object] = _log.info,
) -> tuple[bool, str]:
    """Carry out an order. Whatever goes wrong with it, the gateway runs on."""
    done, text = False, f"{verb}: not here. NGINX was not started by this gateway; do it where it was"
    try:
        if verb in orders:
            done, text = True, orders[verb](argument)
    except (JwtgateError, OSError) as error:
        text = str(error)
    quiet = done or verb == "replace"  # which is asked again, and has its own line
    (told if quiet else _log.error)("order", order=verb, done=done, text=text)
    return done, text
