"""HTTP as NGINX speaks it to a validator: what is quick comes first, and nothing is answered out of turn."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from jwtgate.validator.connection import MAX_REQUEST, Connection, Request
from jwtgate.validator.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
DENIED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class Application:
    """Answers each question by `answers`; `asked` are the questions in the order of their answers."""

    def __init__(self, answers: Callable[[str], bytes | Coroutine[None, None, bytes]] = lambda _: ANSWER) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.requests: list[Request] = []

    def read(self, request: Request) -> str:
        self.requests.append(request)
        return request.target

    def is_quick(self, question: str) -> bool:
        return question.startswith("/quick")

    def answer(self, question: str) -> bytes | Coroutine[None, None, bytes]:
        self.asked.append(question)
        return self.answers(question)

    async def background(self) -> None:
        """Nothing."""


class Wire(asyncio.Transport):
    """What a connection has written; `ended` when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True


def talk(application: Application, *sent: bytes) -> list[Wire]:
    """One connection for each of `sent`, all of which arrive before anything is answered."""

    async def run() -> list[Wire]:
        turns = Turns(application, asyncio.get_running_loop())
        wires = []
        for data in sent:
            wire, connection = Wire(), Connection(turns.take, set())
            connection.connection_made(wire)
            connection.data_received(data)
            wires.append(wire)
        await turns.end(5)
        return wires

    return asyncio.run(run())


def ask(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: validator\r\nAuthorization: Bearer abc\r\n\r\n".encode()


def test_a_request_is_read_whole() -> None:
    application = Application()
    (wire,) = talk(application, b"POST /a?b=c HTTP/1.1\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 2\r\n\r\nhi")
    (request,) = application.requests
    assert (request.method, request.path, request.query, request.body) == ("POST", "/a", "b=c", b"hi")
    assert request.headers == [(b"x-one", b"1"), (b"x-one", b"2"), (b"content-length", b"2")]
    assert wire.written == ANSWER


def test_what_is_quick_is_answered_first() -> None:
    application = Application()
    wires = talk(application, ask("/slow-1"), ask("/slow-2"), ask("/quick-1"), ask("/slow-3"), ask("/quick-2"))
    assert application.asked == ["/quick-1", "/quick-2", "/slow-1", "/slow-2", "/slow-3"]
    assert all(wire.written == ANSWER for wire in wires)


def test_nginx_may_run_after_each_token_that_lets_nobody_through_at_once() -> None:
    order: list[str] = []

    async def later() -> bytes:
        return ANSWER

    def answer(question: str) -> bytes | Coroutine[None, None, bytes]:
        order.append(question)
        if question == "/unknown":
            return later()
        return DENIED if "forged" in question else ANSWER

    async def run() -> None:
        turns = Turns(Application(answer), asyncio.get_running_loop(), give_way=lambda: order.append("NGINX"))
        for target in ("/forged-1", "/good", "/quick-forged", "/unknown", "/forged-2"):
            connection = Connection(turns.take, set())
            connection.connection_made(Wire())
            connection.data_received(ask(target))
        await turns.end(5)

    asyncio.run(run())
    assert order == ["/quick-forged", "/forged-1", "NGINX", "/good", "/unknown", "NGINX", "/forged-2", "NGINX"]


def test_a_fault_is_a_500_and_the_others_are_served() -> None:
    def answers(question: str) -> bytes:
        if question == "/fault":
            raise ValueError(question)
        return ANSWER

    fault, other = talk(Application(answers), ask("/fault"), ask("/other"))
    assert fault.written.startswith(b"HTTP/1.1 500 ")
    assert other.written == ANSWER


def test_what_waits_keeps_nobody_waiting() -> None:
    order: list[str] = []

    async def later() -> bytes:
        await asyncio.sleep(0.05)
        order.append("later")
        return ANSWER

    async def fails() -> bytes:
        raise ValueError("no luck")

    def answers(question: str) -> bytes | Coroutine[None, None, bytes]:
        if question == "/now":
            order.append("now")
            return ANSWER
        return later() if question == "/later" else fails()

    late, failed, now = talk(Application(answers), ask("/later"), ask("/fails"), ask("/now"))
    assert order == ["now", "later"]
    assert late.written == now.written == ANSWER
    assert failed.written.startswith(b"HTTP/1.1 500 ")


def test_a_kept_connection_serves_many_requests() -> None:
    application = Application()

    async def run() -> bytes:
        turns = Turns(application, asyncio.get_running_loop())
        wire, connection = Wire(), Connection(turns.take, set())
        connection.connection_made(wire)
        for number in range(3):
            request = ask(f"/{number}")
            connection.data_received(request[:20])
            connection.data_received(request[20:])
            await asyncio.sleep(0.01)
        return wire.written

    assert asyncio.run(run()) == 3 * ANSWER
    assert application.asked == ["/0", "/1", "/2"]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /a HTTP/1.1\r\nHost: validator\r\nX: " + b"a" * MAX_REQUEST,
        ask("/a") + ask("/b"),  # the second before the first one's answer
    ],
    ids=["too large", "pipelined"],
)
def test_what_nginx_never_does_ends_the_connection(sent: bytes) -> None:
    (wire,) = talk(Application(), sent)
    assert wire.ended


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\nno end",
        b"GET / HTTP/1.1\r\nAuthorization: Bearer a\x01b\r\n\r\n",
    ],
    ids=["not HTTP", "a bare line feed", "a control character"],
)
def test_what_is_not_http_is_answered_by_400(sent: bytes) -> None:
    (wire,) = talk(Application(), sent)
    assert wire.written.startswith(b"HTTP/1.1 400 ")
    assert wire.ended


PROGRAM = """
    import asyncio, socket, sys
    from jwtgate.validator.server import serve

    class Application:
        def read(self, request): return request.target
        def is_quick(self, question): return True
        def answer(self, question): return self.later() if question == "/later" else ANSWER
        async def later(self):
            print("asked", flush=True)
            await asyncio.sleep(0.5)
            return ANSWER
        async def background(self): await asyncio.Event().wait()

    ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    print("listening", flush=True)
    serve(Application(), listener)
    print("served", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_answers_that_are_under_way(number: signal.Signals, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"listening\n"
        with socket.socket(socket.AF_UNIX) as idle, socket.socket(socket.AF_UNIX) as connection:
            idle.settimeout(20)
            connection.settimeout(20)
            idle.connect(path)
            connection.connect(path)
            connection.sendall(ask("/later"))
            assert process.stdout.readline() == b"asked\n"
            process.send_signal(number)
            assert connection.recv(1000) == ANSWER
            assert connection.recv(1000) == idle.recv(1000) == b""
        assert process.communicate(timeout=20) == (b"served\n", b"")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
