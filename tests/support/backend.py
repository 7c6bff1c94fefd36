"""A service behind the gateway that says what it got."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from starlette.requests import Request
    from starlette.websockets import WebSocket

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Backend:
    """Answers every path with a JSON description of the request, but for these, under any prefix:

    `…/status/418` that status; `…/accel` an X-Accel-Redirect into the gateway's own locations;
    `…/events` server-sent events; `…/echo` a websocket that repeats what it hears.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []  # the descriptions, in order
        self._server = uvicorn.Server(
            uvicorn.Config(
                _app(self.seen),
                host="127.0.0.1",
                port=0,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="websockets-sansio",
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the backend did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

    @property
    def address(self) -> str:
        """`host:port`."""
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return f"127.0.0.1:{port}"


def _app(seen: list[dict[str, Any]]) -> Starlette:
    async def describe(request: Request) -> Response:
        digest, size = hashlib.sha256(), 0
        async for part in request.stream():
            digest.update(part)
            size += len(part)
        description = {
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1"),
            "query": request.scope["query_string"].decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw],
            "size": size,
            "sha256": digest.hexdigest(),
        }
        seen.append(description)
        return JSONResponse(description)

    async def status(request: Request) -> Response:
        return PlainTextResponse("the service's own words", int(request.path_params["code"]))

    async def accel(_request: Request) -> Response:
        return PlainTextResponse("plain", headers={"X-Accel-Redirect": "/_jwtgate/deny/default/token_missing"})

    async def events(_request: Request) -> Response:
        every = [f"data: {json.dumps({'number': number})}\n\n" for number in range(3)]

        async def stream() -> AsyncIterator[str]:
            for event in every:
                yield event
                await asyncio.sleep(0.2)

        # Of an answer in chunks NGINX passes on each, buffered or not.
        length = str(sum(map(len, every)))
        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Content-Length": length})

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(Exception):
            while True:
                await websocket.send_text(await websocket.receive_text())

    return Starlette(
        routes=[
            Route("/{prefix:path}status/{code:int}", status, methods=METHODS),
            Route("/{prefix:path}accel", accel, methods=METHODS),
            Route("/{prefix:path}events", events),
            WebSocketRoute("/{prefix:path}echo", echo),
            Route("/{path:path}", describe, methods=METHODS),
        ]
    )
