"""wrk sends the tokens that it was given, and ends when they are used up."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from bench.load import Load, Tokens, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")

CONNECTIONS = 4


def sent(tokens: Tokens, *, offset: int = 0, seconds: int = 20) -> tuple[Load, list[str]]:
    """What a run came to, and the tokens that a server got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            token = self.headers["Authorization"].removeprefix("Bearer ")
            got.append(token)
            self.send_response(401 if token == "refused" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        load = run(url, tokens, connections=CONNECTIONS, seconds=seconds, offset=offset)
        server.shutdown()
    return load, got


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("load") / "tokens"
    path.write_text("".join(f"token-{number}\n" for number in range(1000)))
    return path


@pytest.mark.parametrize("kind", ["fresh", "once"])
def test_a_run_ends_when_its_tokens_are_used_up_and_none_comes_twice(file: Path, kind: str) -> None:
    tokens = Tokens(file, 400, first=100, **{kind: True})  # type: ignore[arg-type]  # a flag by its name
    load, got = sent(tokens, offset=50)
    assert len(got) == len(set(got))
    assert set(got) <= {f"token-{number}" for number in range(150, 550)}
    assert 400 - 4 * CONNECTIONS <= load.requests <= len(got) <= load.taken <= 400
    assert load.seconds < 15
    assert not load.failed


def test_repeated_tokens_come_in_turn_for_the_whole_time(file: Path) -> None:
    load, got = sent(Tokens(file, 10), seconds=1)
    assert set(got) == {f"token-{number}" for number in range(10)}
    assert load.requests > 20
    assert 0.9 < load.seconds < 3


def test_refused_answers_are_counted(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("refused\n")
    load, got = sent(Tokens(tmp_path / "tokens", 1), seconds=1)
    assert load.refused == load.requests > 0
    assert set(got) == {"refused"}
