"""Notices a validator that hangs, and has the supervisor replace it.

A validator that died is the supervisor's own business. One that is stopped, or turns in a circle, is there and
does not answer: NGINX waits for it as long as it waits for any decision, and asks another one then. So a request
is late, and none is lost; but more would be late for as long as the worker is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from jwtgate.control.parts import Silence
from jwtgate.errors import ControlError
from jwtgate.validator import READY_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.control.commands import Running

INTERVAL = 1.0  # seconds between two questions

# Seconds of silence after which a validator is taken for hung; the supervisor looks whether it is busy instead.
HUNG_AFTER = 5.0


async def watch(running: Running) -> None:
    """Ask each validator again and again, until cancelled."""
    heard: dict[Path, float] = {}
    while True:
        answers = await running.parts.ask_validators(READY_PATH)
        now = time.monotonic()
        for path, said in answers.items():
            # Who refuses is not there: it died, or is being started.
            if said is not Silence.LATE:
                heard[path] = now
            elif now - heard.setdefault(path, now) > HUNG_AFTER:
                with contextlib.suppress(ControlError):  # it is busy, or a reload has just replaced it
                    await running.supervisor.ask("replace", f"{now - heard[path]:.0f} {path}")
                    heard[path] = now
        await asyncio.sleep(INTERVAL)
