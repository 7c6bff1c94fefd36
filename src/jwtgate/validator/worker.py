"""One validator worker: a process with one unix socket of its own.

Its own, so that NGINX notices at once when it dies: a connection to a dead worker's socket is refused, and NGINX
asks the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import structlog

from jwtgate.authenticate import Authenticator
from jwtgate.errors import StartError
from jwtgate.jwks import KeyStore, StatusStore
from jwtgate.revocation import Standing
from jwtgate.serve import serve_socket
from jwtgate.tokens import VerifiedTokens
from jwtgate.validator.app import Validator
from jwtgate.validator.deny_file import DenyFile
from jwtgate.validator.measured import Measurements, Stopwatch
from jwtgate.validator.room import CacheRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from jwtgate.plan import Plan

MAX_SOCKET_PATH = 107  # bytes: sun_path of sockaddr_un (unix(7)), less its ending NUL

# The supervisor asks here whether a worker can do its work. No policy's id is a single word.
READY_PATH = "/ready"

# The control process asks here where issuers' keys stand, and has them fetched: `POST`, with a name in
# gateway.yaml as the query for the keys of one issuer.
KEYS_PATH = "/keys"

# It asks here for `Measurements`.
METRICS_PATH = "/metrics"

# Seconds that a fetch which a person asks for may take: longer than most issuers are given.
REFRESH_PATIENCE = 15.0

# Who has changed the deny-list tells a worker so here, by POST; it reads it and answers with a DeniedAnswer.
DENIED_PATH = "/denied"

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
    verified, stopwatch = VerifiedTokens(VERIFIED_TOKENS_BYTES), Stopwatch()
    validator = Validator(Authenticator(plan, verified, standing), store, statuses, room=room, stopwatch=stopwatch)

    def measured() -> Measurements:
        return Measurements(
            tuple(stopwatch.buckets), stopwatch.seconds, verified.hits, len(verified), room.is_full
        )

    with listen(settings.socket, settings.owner) as listener:
        serve_socket(_Application(validator, store, statuses, denied, room, measured), listener, date_header=False)


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
    """The validator, what runs beside it for as long as the server does, and whether it is ready."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == READY_PATH:
            await self._ready(send)
        elif scope["path"] == METRICS_PATH:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": msgspec.json.encode(self._measured())})
        elif scope["path"] == KEYS_PATH:
            await self._keys(scope, send)
        elif scope["path"] == DENIED_PATH:
            body = msgspec.json.encode(await self._denied.look())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
        else:
            await self._validator(scope, receive, send)

    async def _ready(self, send: Send) -> None:
        """200, or 503 and the issuers that are required and have no keys or no status list yet."""
        missing = ", ".join((*self._store.missing, *self._statuses.missing))
        await send({"type": "http.response.start", "status": 503 if missing else 200, "headers": []})
        await send({"type": "http.response.body", "body": missing.encode()})

    async def _keys(self, scope: Scope, send: Send) -> None:
        """Where the keys stand, as JSON; after a fetch, if it is asked for. 404: no such issuer."""
        found = True
        if scope["method"] == "POST":
            name = unquote(scope["query_string"].decode("ascii")) or None
            found = await self._store.refresh(name, patience=REFRESH_PATIENCE)
        body = msgspec.json.encode(self._store.view()) if found else b""
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        background = (self._store.run, self._statuses.run, self._denied.watch, self._room.watch)
        tasks = [asyncio.create_task(_never_ending(start())) for start in background]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await send({"type": "lifespan.shutdown.complete"})


async def _never_ending(task: Coroutine[Any, Any, None]) -> None:
    """A background task that ends by a fault takes the worker with it: the supervisor starts a whole one."""
    try:
        await task
    except asyncio.CancelledError:
        raise
    except BaseException:  # noqa: BLE001 - whatever it was, a worker without it must not go on
        structlog.get_logger().exception("a background task failed; the worker ends")
        os._exit(70)  # EX_SOFTWARE (sysexits.h)
