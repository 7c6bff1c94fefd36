"""The commands that a running gateway takes: a table.

A handler gets the running gateway and the arguments of the command, a JSON object, and returns what the caller is
told, any JSON. Raises ControlError when it cannot do it; its text is for the person who asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from jwtgate.control.keys import refresh_keys, show_keys
from jwtgate.control.metrics import look
from jwtgate.control.parts import Said, Silence
from jwtgate.control.shadows import show_shadows
from jwtgate.errors import ControlError
from jwtgate.validator import DENIED_PATH, DeniedAnswer

if TYPE_CHECKING:
    from jwtgate.control.channel import Caller
    from jwtgate.control.counts import Counts
    from jwtgate.control.parts import Parts
    from jwtgate.plan import Plan


@dataclass(slots=True)
class Running:
    """The gateway as the control process sees it.

    A reload starts this process anew, with another Plan.
    """

    plan: Plan
    parts: Parts
    supervisor: Caller
    counts: Counts


Arguments = Mapping[str, Any]
Handler = Callable[[Running, Arguments], Awaitable[Any]]


async def status(running: Running, _arguments: Arguments) -> Any:
    """Who is up."""
    readiness = await running.parts.readiness()
    return {"ready": readiness.is_ready, **asdict(readiness)}


async def flush(running: Running, _arguments: Arguments) -> Any:
    """Forget all decisions."""
    result = await running.supervisor.ask("flush")
    return result.text


async def revoke(running: Running, arguments: Arguments) -> Any:
    """Have every validator read the deny-list `file`, and then forget what was decided without it."""
    answers = await running.parts.ask_validators(DENIED_PATH, method="POST", patience=60.0)
    silent = sorted(socket.stem for socket, said in answers.items() if isinstance(said, Silence))
    if silent:
        raise ControlError(
            f"{', '.join(silent)} of {len(answers)} validators did not answer, and may not have read the "
            "deny-list; cached decisions are as they were: try again"
        )
    spoken = [said for said in answers.values() if isinstance(said, Said)]
    read = [msgspec.json.decode(said.body, type=DeniedAnswer) for said in spoken]
    for each in read:
        if each.file != arguments.get("file"):
            raise ControlError(
                f"the running gateway reads {each.file or 'no deny-list'}, not {arguments.get('file')}: "
                "restart it with the new gateway.yaml"
            )
        if each.error is not None:
            raise ControlError(f"the deny-list cannot be used, and the last good one is: {each.error}")
    flushed = await running.supervisor.ask("flush")
    entries = max(each.entries for each in read)
    return f"{len(read)} validators have read the deny-list, {entries} entries; {flushed.text}"


async def view(running: Running, _arguments: Arguments) -> Any:
    """What `jwtgate up` shows on a terminal."""
    snapshot = await look(running)
    return {
        "ready": snapshot.readiness.is_ready,
        "missing_issuers": snapshot.readiness.missing_issuers,
        "counted": running.plan.admin is not None,
        "routes": list(dict.fromkeys(route.path for route in running.plan.routes)),
        "kinds": [{**asdict(kind), "count": count} for kind, count in snapshot.kinds],
        "issuers": [
            {"name": each.name, "available": each.available, "keys": len(each.keys), "age": each.age}
            for each in snapshot.issuers
        ],
    }


async def reload(running: Running, _arguments: Arguments) -> Any:
    """Run by what gateway.yaml says now."""
    result = await running.supervisor.ask("reload")
    return result.text


# By the names of `jwtgate.control.protocol`.
COMMANDS: Mapping[str, Handler] = {
    "status": status,
    "view": view,
    "flush": flush,
    "reload": reload,
    "keys": show_keys,
    "keys-refresh": refresh_keys,
    "shadow": show_shadows,
    "revoke": revoke,
}
