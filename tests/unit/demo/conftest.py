"""Real servers for the demo's services."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
import uvicorn

from jwtgate.serve import bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp


@pytest.fixture
def serving() -> Iterator[Callable[[ASGIApp], str]]:
    """Start an application on a free port, in a thread; gives its URL. All stop at the end of the test."""
    with contextlib.ExitStack() as running:
        yield lambda app: running.enter_context(_served(app))


@contextlib.contextmanager
def _served(app: ASGIApp) -> Iterator[str]:
    # The socket listens from here on: a request that is faster than the thread waits in the backlog.
    with bind("127.0.0.1:0") as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, log_level="error", access_log=False, ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
