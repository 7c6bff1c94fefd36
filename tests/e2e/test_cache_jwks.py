"""`cache_jwks`: key sets are repeated without asking the issuer, and nobody's own answer is ever repeated."""

from __future__ import annotations

import itertools
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from support.gateway import wait_until
from support.stand_alone import StandAlone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.http import Response


class Keys:
    """A service whose answers are numbered, and may be repeated for a minute, unless the path says otherwise."""

    def __init__(self) -> None:
        numbers = itertools.count(1)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = (
                    f"{next(numbers)} {self.headers.get('Authorization') or self.headers.get('Cookie')}".encode()
                )
                self.send_response(200)
                if "no-store" in self.path:
                    self.send_header("Cache-Control", "no-store")
                elif "silent" not in self.path:
                    self.send_header("Cache-Control", f"max-age={1 if 'short' in self.path else 60}")
                if "cookie" in self.path:
                    self.send_header("Set-Cookie", "session=1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def gate(nginx: Path) -> Iterator[tuple[StandAlone, Keys]]:
    """NGINX before the service."""
    keys = Keys()
    Thread(target=keys.server.serve_forever, args=(0.02,), daemon=True).start()
    text = f"""
upstreams: {{keys: "http://127.0.0.1:{keys.server.server_address[1]}"}}
routes: [{{path: /keys/, upstream: keys, public: true, cache_jwks: true, strip_prefix: true}}]
"""
    try:
        with StandAlone(text, nginx=nginx) as alone:
            yield alone, keys
    finally:
        keys.server.shutdown()
        keys.server.server_close()


def cache(answer: Response) -> str:
    """What the gateway says about its cache."""
    return answer.headers["x-cache-status"]


def test_a_key_set_is_repeated_for_as_long_as_it_says(gate: tuple[StandAlone, Keys]) -> None:
    alone, _ = gate
    first, second = (alone.request("/keys/jwks") for _ in range(2))
    assert (cache(first), cache(second)) == ("MISS", "HIT")
    assert first.body == second.body
    assert alone.request("/keys/jwks?other").body != first.body
    short = alone.request("/keys/short").body
    wait_until(lambda: alone.request("/keys/short").body != short, patience=10, interval=0.2)


@pytest.mark.parametrize("path", ["/keys/no-store", "/keys/silent", "/keys/cookie"])
def test_what_may_not_be_repeated_is_not(gate: tuple[StandAlone, Keys], path: str) -> None:
    alone, _ = gate
    assert len({alone.request(path).body for _ in range(3)}) == 3


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_an_answer_to_somebody_is_for_nobody_else(gate: tuple[StandAlone, Keys], header: str) -> None:
    alone, _ = gate
    path = f"/keys/{header}"
    own = alone.request(path, headers={header: "alice=1"})
    assert "alice=1" in own.text
    everybody = alone.request(path)
    assert "alice=1" not in everybody.text
    assert cache(everybody) == "MISS", "what somebody got was not kept"
    # And somebody does not get what everybody gets, nor replaces it.
    assert "alice=1" in alone.request(path, headers={header: "alice=1"}).text
    assert alone.request(path).body == everybody.body


def test_a_key_set_is_repeated_when_its_service_is_gone(nginx: Path) -> None:
    keys = Keys()
    Thread(target=keys.server.serve_forever, args=(0.02,), daemon=True).start()
    text = f"""
upstreams: {{keys: "http://127.0.0.1:{keys.server.server_address[1]}"}}
routes: [{{path: /, upstream: keys, public: true, cache_jwks: true}}]
"""
    with StandAlone(text, nginx=nginx) as alone:
        kept = alone.request("/short")
        keys.server.shutdown()
        keys.server.server_close()
        time.sleep(1.2)
        for _ in range(3):
            answer = alone.request("/short")
            assert (answer.status, answer.body) == (200, kept.body)
