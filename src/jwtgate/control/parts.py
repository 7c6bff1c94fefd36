"""HTTP to the gateway's own parts, over their unix sockets, from the control process.

Nothing here raises for a part that does not answer: that it does not is what there is to tell.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2

from jwtgate.validator import READY_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Never used, and without it each question would load the system's certificates.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

_PATIENCE = 1.0  # seconds for a part to answer; a worker with a queue of requests is slow, and not gone


@dataclass(frozen=True, slots=True)
class Said:
    """What a part answered."""

    status: int
    body: bytes


class Silence(Enum):
    """A part that did not answer."""

    ABSENT = auto()  # nobody listens, or it broke off
    LATE = auto()  # somebody listens, and did not answer in time


class Parts:
    """The validators and NGINX. `validators` are the sockets of those that answer NGINX at the moment."""

    def __init__(self, validators: Sequence[Path], nginx: Path | None) -> None:
        self.validators = tuple(validators)
        self.nginx = nginx

    async def ask_validators(
        self, target: str, *, method: str = "GET", body: bytes | None = None, patience: float = _PATIENCE
    ) -> Mapping[Path, Said | Silence]:
        """What each validator answers."""
        sockets = self.validators
        answers = await asyncio.gather(
            *(_ask(socket, target, method=method, body=body, patience=patience) for socket in sockets)
        )
        return dict(zip(sockets, answers, strict=True))

    async def ask_nginx(self, target: str) -> Said | Silence:
        """What NGINX answers on its control socket."""
        if self.nginx is None:
            return Silence.ABSENT
        return await _ask(self.nginx, target, method="GET", body=None, patience=_PATIENCE)

    async def readiness(self) -> Readiness:
        """Who is ready to decide."""
        answers = await self.ask_validators(READY_PATH)
        spoken = [said for said in answers.values() if isinstance(said, Said)]
        unready = [said for said in spoken if said.status == HTTPStatus.SERVICE_UNAVAILABLE]
        missing = sorted({name for said in unready for name in said.body.decode().split(", ") if name})
        generation = await self.ask_nginx("/generation")
        return Readiness(
            validators=len(answers),
            answering=len(spoken),
            ready_validators=sum(
                isinstance(said, Said) and said.status == HTTPStatus.OK for said in answers.values()
            ),
            nginx=None if self.nginx is None else isinstance(generation, Said),
            generation=generation.body.decode() if isinstance(generation, Said) else None,
            missing_issuers=tuple(missing),
        )


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the gateway can do its work, and what keeps it from it."""

    validators: int
    answering: int
    ready_validators: int
    nginx: bool | None  # None: it is not ours
    generation: str | None
    missing_issuers: tuple[str, ...]  # those with `start: require` whose keys some validator does not have

    @property
    def is_ready(self) -> bool:
        """One validator that is restarted does not make the gateway unready: the others answer."""
        return self.ready_validators > 0 and not self.missing_issuers and self.nginx is not False


async def _ask(socket: Path, target: str, *, method: str, body: bytes | None, patience: float) -> Said | Silence:
    transport = httpx2.AsyncHTTPTransport(uds=str(socket), trust_env=False, verify=_NO_TLS)
    try:
        async with httpx2.AsyncClient(transport=transport, timeout=patience, trust_env=False) as client:
            answer = await client.request(method, f"http://localhost{target}", content=body)
            return Said(answer.status_code, answer.content)
    except httpx2.TimeoutException:
        return Silence.LATE
    except httpx2.HTTPError:
        return Silence.ABSENT
