"""Microservice A: calls microservice B through the gateway, in the name of whoever called A.

It passes the caller's Authorization header on exactly as it came, and never looks into it: the gateway
decides about the call to B as it decided about the call to A.
"""

from __future__ import annotations

import asyncio
import contextlib
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, TypedDict

import httpx2
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

# What B's answer (or the gateway's denial) says about itself that A's caller needs as well.
_PASSED_ON = ("content-type", "www-authenticate", "retry-after")


class _State(TypedDict):
    gateway: httpx2.AsyncClient


def create_app(gateway_url: str, *, timeout: float = 5.0) -> Starlette:
    """Microservice A as an ASGI application.

    `gateway_url` is where A finds the gateway, such as `http://127.0.0.1:58080`. It waits for an answer for
    `timeout` seconds at most.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[_State]:
        # One client, so that connections are kept alive. It takes no proxy from the environment, and a cookie
        # in the answer to one caller does not go out with the request of the next.
        async with httpx2.AsyncClient(
            base_url=gateway_url,
            timeout=timeout,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        ) as gateway:
            yield {"gateway": gateway}

    async def call_b(request: Request) -> Response:
        gateway: httpx2.AsyncClient = request.state.gateway
        authorization = [(name, value) for name, value in request.headers.raw if name == b"authorization"]
        try:
            # The client's own timeout bounds each step; a slow trickle of bytes is bounded here.
            async with asyncio.timeout(timeout):
                answer = await gateway.get("/b/", headers=authorization)
        except (TimeoutError, httpx2.TimeoutException):
            return _problem(504, f"The gateway did not answer microservice A within {timeout:g} seconds.")
        except httpx2.RequestError as error:
            return _problem(502, f"Microservice A cannot reach the gateway ({type(error).__name__}).")
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        return Response(answer.content, status_code=answer.status_code, headers=headers)

    return Starlette(routes=[Route("/", call_b)], lifespan=lifespan)


def _problem(status: int, title: str) -> Response:
    """RFC 9457: an error that a program can read."""
    return JSONResponse(
        {"status": status, "title": title}, status_code=status, media_type="application/problem+json"
    )
