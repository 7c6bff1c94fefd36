"""The commands that a running gateway takes: a table.

A handler gets the running gateway and the arguments of the command, a JSON object, and returns what the caller is
told, any JSON. Raises ControlError when it cannot do it; its text is for the person who asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jwtgate.control.channel import Caller
    from jwtgate.control.parts import Parts
    from jwtgate.plan import Plan


@dataclass(slots=True)
class Running:
    """The gateway as the control process sees it.

    `plan` is the one that this process was started with; what can change by a reload is in `parts`.
    """

    plan: Plan
    parts: Parts
    supervisor: Caller


Arguments = Mapping[str, Any]
Handler = Callable[[Running, Arguments], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Command:
    """What to do, and how many seconds a caller should wait for it."""

    handler: Handler
    patience: float = 10.0


async def status(running: Running, _arguments: Arguments) -> Any:
    """Who is up."""
    readiness = await running.parts.readiness()
    return {"ready": readiness.is_ready, **asdict(readiness)}


async def flush(running: Running, _arguments: Arguments) -> Any:
    """Forget all decisions."""
    result = await running.supervisor.ask("flush")
    return result.text


COMMANDS: Mapping[str, Command] = {
    "status": Command(status),
    "flush": Command(flush, patience=150.0),
}
