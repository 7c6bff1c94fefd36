"""One validator worker: a process with one unix socket of its own.

Its own, so that NGINX notices at once when it dies: a connection to a dead worker's socket is refused, and NGINX
asks the next one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
import structlog

from jwtgate.authenticate import Authenticator
from jwtgate.errors import StartError
from jwtgate.jwks import KeyStore, StatusStore
from jwtgate.revocation import Standing
from jwtgate.tokens import VerifiedTokens
from jwtgate.validator.app import Validator
from jwtgate.validator.connection import Request
from jwtgate.validator.deny_file import DenyFile, RevocationAnswer
from jwtgate.validator.measured import Measurements, Stopwatch
from jwtgate.validator.respond import plain
from jwtgate.validator.room import CacheRoom
from jwtgate.validator.server import serve
from jwtgate.validator.shadows import shadows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from jwtgate.plan import Plan
    from jwtgate.validator.app import Question

MAX_SOCKET_PATH = 107  # bytes: sun_path of sockaddr_un (unix(7)), less its ending NUL

# The supervisor asks here whether a worker can do its work. No policy's id is a single word.
READY_PATH = "/ready"

# The control process asks here where issuers' keys stand, and has them fetched: `POST`, with `since` in the query,
# when somebody asked for it (steady clock), and `issuer`, a name in gateway.yaml, for the keys of one issuer.
KEYS_PATH = "/keys"

# It asks here for `Measurements`.
METRICS_PATH = "/metrics"

# Seconds that a fetch which a person asks for may take: longer than most issuers are given.
REFRESH_PATIENCE = 15.0

# Who has changed the deny-list tells a worker so here, by POST; it reads it and answers with a DeniedAnswer.
DENIED_PATH = "/denied"

# Where status lists and the deny-list stand: a RevocationAnswer.
REVOCATION_PATH = "/revocation"

# Bytes of verified tokens that a worker remembers.
VERIFIED_TOKENS_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs besides the Plan. `owner` is (uid, gid) of whom NGINX's workers run as."""

    socket: Path
    cache_dir: Path
    cache_empty: int  # bytes in use on the cache's file system when the cache was empty
    owner: tuple[int, int] | None
    keys_dir: Path  # what the workers know of issuers' keys, shared


def run_worker(plan: Plan, settings: WorkerSettings) -> None:
    """Answer NGINX until told to stop. Call it in the main thread of a process."""
    store = KeyStore(plan.issuers.values(), directory=settings.keys_dir)
    room = CacheRoom(
        settings.cache_dir,
        empty=settings.cache_empty,
        share=plan.cache.max_size,
        entry=plan.decision_buffer,
        workers=plan.workers,
    )
    standing = Standing()
    statuses = StatusStore(plan.issuers.values(), store, standing, directory=settings.keys_dir / "status")
    denied = DenyFile(plan.deny_list, standing)
    denied.load()
    logging_in = frozenset(route.policy for route in plan.routes if route.login)
    verified, stopwatch = VerifiedTokens(VERIFIED_TOKENS_BYTES), Stopwatch()
    shadows = shadows_of(plan, verified, standing)
    validator = Validator(
        Authenticator(plan, verified, standing),
        store,
        statuses,
        room=room,
        stopwatch=stopwatch,
        logging_in=logging_in,
        shadows=shadows,
        tells_who=plan.tells_who,
    )

    def measured() -> Measurements:
        return Measurements(
            tuple(stopwatch.buckets),
            stopwatch.seconds,
            verified.hits,
            len(verified),
            room.is_full,
            shadows.counts if shadows is not None else (),
        )

    with listen(settings.socket, settings.owner) as listener:
        serve(_Application(validator, store, statuses, denied, room, measured), listener)


def listen(path: Path, owner: tuple[int, int] | None) -> socket.socket:
    """A listening unix socket that only its owner can connect to. Raises StartError when it cannot be had."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise StartError(
            f"the path of the socket {path} is longer than {MAX_SOCKET_PATH} bytes. Choose a shorter run_dir"
        )
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))  # nobody else can enter the directory between here and the next line
        path.chmod(0o600)
        if owner is not None:
            os.chown(path, *owner)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {path}: {error.strerror}") from error
    return listener


class _Application:
    """The validator, what our own parts ask beside NGINX, and what runs for as long as the server does."""

    def __init__(
        self,
        validator: Validator,
        store: KeyStore,
        statuses: StatusStore,
        denied: DenyFile,
        room: CacheRoom,
        measured: Callable[[], Measurements],
    ) -> None:
        self._validator = validator
        self._store = store
        self._statuses = statuses
        self._denied = denied
        self._room = room
        self._measured = measured
        self._own = {
            READY_PATH: self._ready,
            KEYS_PATH: self._keys,
            DENIED_PATH: self._look,
            REVOCATION_PATH: self._revocation,
            METRICS_PATH: self._metrics,
        }

    def read(self, request: Request) -> Question | Request:
        """NGINX's question, or a request of our own."""
        if request.path in self._own:
            return request
        return self._validator.read(request.target, request.headers)

    def is_quick(self, question: Question | Request) -> bool:
        """See Validator.is_quick."""
        return isinstance(question, Request) or self._validator.is_quick(question)

    def answer(self, question: Question | Request) -> bytes | Coroutine[None, None, bytes]:
        """See Validator.answer."""
        if isinstance(question, Request):
            return self._own[question.path](question)
        return self._validator.answer(question)

    async def background(self) -> None:
        """Keep keys and status lists fresh, and an eye on the cache, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for start in (self._store.run, self._statuses.run, self._denied.watch, self._room.watch):
                tasks.create_task(_never_ending(start()))

    async def _ready(self, _request: Request) -> bytes:
        """200, or 503 and the issuers that are required and have no keys or no status list yet."""
        missing = ", ".join((*self._store.missing, *self._statuses.missing))
        return plain(503 if missing else 200, missing.encode())

    async def _keys(self, request: Request) -> bytes:
        """Where the keys stand, as JSON; after a fetch, if it is asked for.

        202: that has failed, or has not ended yet. 404: no such issuer.
        """
        status = 200
        if request.method == "POST":
            asked = dict(parse_qsl(request.query))
            since = float(asked["since"])
            try:
                answered = await self._store.refresh(asked.get("issuer"), patience=REFRESH_PATIENCE, since=since)
            except KeyError:
                return plain(404)
            status = 200 if answered else 202
        return plain(status, msgspec.json.encode(self._store.view()))

    async def _metrics(self, _request: Request) -> bytes:
        """What this worker has measured, as JSON."""
        return plain(200, msgspec.json.encode(self._measured()))

    async def _revocation(self, _request: Request) -> bytes:
        """Where status lists and the deny-list stand, as JSON."""
        answer = RevocationAnswer(self._statuses.view(), self._denied.view())
        return plain(200, msgspec.json.encode(answer))

    async def _look(self, _request: Request) -> bytes:
        """What is denied, as JSON, after a look at the file."""
        return plain(200, msgspec.json.encode(await self._denied.look()))


async def _never_ending(task: Coroutine[Any, Any, None]) -> None:
    """A background task that ends by a fault takes the worker with it: the supervisor starts a whole one."""
    try:
        await task
    except asyncio.CancelledError:
        raise
    except BaseException:  # noqa: BLE001 - whatever it was, a worker without it must not go on
        structlog.get_logger().exception("a background task failed; the worker ends")
        os._exit(70)  # EX_SOFTWARE (sysexits.h)
