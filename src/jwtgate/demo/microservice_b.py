"""Microservice B: greets. It is asked only after the gateway has checked the caller, so it checks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


def create_app() -> Starlette:
    """Microservice B as an ASGI application."""
    return Starlette(routes=[Route("/", greet)])


async def greet(_request: Request) -> Response:
    """`GET /`."""
    return JSONResponse({"message": "hello, valid jwt holder!"})
