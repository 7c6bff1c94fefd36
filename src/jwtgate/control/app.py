"""The two applications of the control process.

Commands: `POST /<name>`, a JSON object in, JSON out, on a unix socket that is its owner's alone.
Admin: what may be read by whoever reaches its address, `GET /live`, `/ready` and `/metrics`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from jwtgate.control.commands import COMMANDS
from jwtgate.control.metrics import look, write
from jwtgate.errors import ControlError

if TYPE_CHECKING:
    from starlette.requests import Request

    from jwtgate.control.commands import Running


def control_app(running: Running) -> Starlette:
    """Commands, for the gateway's owner."""

    async def obey(request: Request) -> Response:
        name = request.path_params["name"]
        handler = COMMANDS.get(name)
        if handler is None:
            return JSONResponse(
                {"error": f"this gateway knows no command {name!r}: is it of an older version?"}, 404
            )
        try:
            arguments = msgspec.json.decode(await request.body() or b"{}", type=dict)
            return JSONResponse({"result": await handler(running, arguments)})
        except msgspec.DecodeError:
            return JSONResponse({"error": "the arguments of a command are a JSON object"}, 400)
        except ControlError as refused:
            return JSONResponse({"error": str(refused)}, 409)

    return Starlette(routes=[Route("/{name}", obey, methods=["POST"])])


def admin_app(running: Running) -> Starlette:
    """What may be read."""

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        readiness = await running.parts.readiness()
        return JSONResponse({"ready": readiness.is_ready, **asdict(readiness)}, 200 if readiness.is_ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(write(await look(running)), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/live", live), Route("/ready", ready), Route("/metrics", metrics)])
