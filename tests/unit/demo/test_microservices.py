"""The demo's services over real HTTP; the gateway is played by a small application."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jwtgate.demo import microservice_a, microservice_b
from jwtgate.serve import bind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    Serving = Callable[[ASGIApp], str]

PATIENCE = 20  # seconds; far above what anything here takes


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the gateway's part was asked, and by which connection."""

    answer: Response
    authorization: list[list[bytes]] = field(default_factory=list)
    cookies: list[str | None] = field(default_factory=list)
    clients: list[object] = field(default_factory=list)

    def app(self) -> Starlette:
        async def b(request: Request) -> Response:
            self.authorization.append([v for name, v in request.headers.raw if name == b"authorization"])
            self.cookies.append(request.headers.get("cookie"))
            self.clients.append(request.client)
            return self.answer

        return Starlette(routes=[Route("/b/", b)])


def get(url: str, authorization: bytes | None = None) -> httpx2.Response:
    headers = [] if authorization is None else [(b"Authorization", authorization)]
    return httpx2.get(url, headers=headers, trust_env=False, timeout=PATIENCE)


def test_b_greets(serving: Serving) -> None:
    answer = get(serving(microservice_b.create_app()))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"message": "hello, valid jwt holder!"}


@pytest.mark.parametrize(
    "authorization",
    [
        b"Bearer eyJ.eyJ.sig",
        b"bEARER  two-spaces",
        b"eyJ.a-bare.token",
        b"Bearer \xff\xfe not ASCII",
        b"",
    ],
)
def test_a_passes_the_authorization_header_on_exactly_as_it_came(serving: Serving, authorization: bytes) -> None:
    gateway = Gateway(JSONResponse({"message": "from B"}))
    answer = get(serving(microservice_a.create_app(serving(gateway.app()))), authorization)
    assert answer.json() == {"message": "from B"}
    assert gateway.authorization == [[authorization]]


def test_a_sends_no_authorization_of_its_own(serving: Serving) -> None:
    gateway = Gateway(JSONResponse({}))
    get(serving(microservice_a.create_app(serving(gateway.app()))))
    assert gateway.authorization == [[]]


@pytest.mark.parametrize(
    ("status", "content_type", "body", "headers"),
    [
        (200, "application/json", b'{"message":"hello"}', {}),
        (400, "application/json", b'{"success": false, "error": "token is empty"}', {}),
        (401, "application/problem+json", b'{"code":"invalid_token"}', {"WWW-Authenticate": "Bearer"}),
        (503, "application/json", b"{}", {"Retry-After": "5"}),
        (200, "text/plain; charset=latin-1", b"\xe9", {}),
    ],
)
def test_a_returns_the_answer_that_it_got(
    serving: Serving, status: int, content_type: str, body: bytes, headers: dict[str, str]
) -> None:
    gateway = Gateway(Response(body, status_code=status, media_type=content_type, headers=headers))
    answer = get(serving(microservice_a.create_app(serving(gateway.app()))), b"Bearer x")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        status,
        content_type,
        body,
    )
    assert {name: answer.headers.get(name) for name in headers} == headers


def test_a_keeps_its_connection_and_no_cookies_between_two_callers(serving: Serving) -> None:
    gateway = Gateway(Response(headers={"Set-Cookie": "session=of-the-first-caller; Path=/"}))
    a = serving(microservice_a.create_app(serving(gateway.app())))
    get(a, b"Bearer first")
    get(a, b"Bearer second")
    assert gateway.cookies == [None, None]
    assert gateway.clients[0] == gateway.clients[1]


def test_a_takes_no_proxy_from_the_environment(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    gateway = Gateway(JSONResponse({}))
    assert get(serving(microservice_a.create_app(serving(gateway.app())))).status_code == 200


def test_a_says_502_when_the_gateway_cannot_be_reached(serving: Serving) -> None:
    with bind("127.0.0.1:0") as listener:
        gone = f"http://127.0.0.1:{listener.getsockname()[1]}"
    answer = get(serving(microservice_a.create_app(gone)), b"Bearer secret")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "status": 502,
        "title": "Microservice A cannot reach the gateway (ConnectError).",
    }


def test_a_says_504_when_the_gateway_is_silent(serving: Serving) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        answer = get(serving(microservice_a.create_app(url, timeout=0.2)))
    assert answer.status_code == 504
    assert answer.json()["title"] == "The gateway did not answer microservice A within 0.2 seconds."


def test_a_says_504_when_the_answer_never_ends(serving: Serving) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.05)
            yield b"."

    async def endless(_request: Request) -> Response:
        return StreamingResponse(trickle())

    url = serving(Starlette(routes=[Route("/b/", endless)]))
    assert get(serving(microservice_a.create_app(url, timeout=0.5))).status_code == 504
