"""`max_connection_age`: what is open for too long is ended, and who comes back needs a good token."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_websocket

from support.gateway import Gateway
from support.issuer import AUDIENCE, URL

if TYPE_CHECKING:
    from pathlib import Path

    from support.backend import Backend
    from support.issuer import Issuer

AGE = 7
LATE = 8  # a busy machine is; without a limit, it would be 3 * AGE


def test_a_websocket_is_ended_in_time_and_no_request_is_lost(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    text = f"""
shutdown_timeout: 1s
drain_timeout: 1s
max_connection_age: {AGE}s
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256], leeway: 0}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, websocket: true}}]
"""
    with Gateway(text, nginx=nginx) as gateway:
        short_lived = {"Authorization": f"Bearer {issuer.token(exp=int(time.time()) + 3)}"}
        token = issuer.token()
        statuses: list[int] = []
        done = threading.Event()

        def others() -> None:
            while not done.wait(0.02):
                statuses.append(gateway.request("/x", token=token).status)

        def open_websocket(headers: dict[str, str]) -> float:
            """How long it stays open."""
            url = f"ws://{gateway.address}/echo"
            with connect_websocket(url, additional_headers=headers, proxy=None) as socket:
                began = time.monotonic()
                while time.monotonic() < began + 3 * AGE:
                    try:
                        socket.send("hello")
                        socket.recv(timeout=5)
                    except ConnectionClosed:
                        break
                    time.sleep(0.1)
                return time.monotonic() - began

        requesting = threading.Thread(target=others)
        requesting.start()
        try:
            lived = open_websocket(short_lived)
            with pytest.raises(InvalidStatus) as denied:
                open_websocket(short_lived)
            again = open_websocket({"Authorization": f"Bearer {token}"})
        finally:
            done.set()
            requesting.join()
    assert 1 < lived <= AGE + LATE
    assert 1 < again <= AGE + LATE
    assert denied.value.response.status_code == 401
    assert set(statuses) == {200}
