"""NGINX alone, from what `jwtgate render` prints, and validators that say what they are told.

For what takes the gateway apart: validators that are all gone, requests that must not reach one, a hostile
configuration around ours.
"""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jwtgate.run_directory import run_directory, unprivileged_account
from jwtgate.validator.worker import listen
from support.gateway import jwtgate, logged
from support.http import Response, request
from support.nginx import serving
from support.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

Answer = tuple[int, dict[str, str]]  # status, headers
Answerer = Callable[[str, Mapping[str, str]], Answer]  # of a path and headers

ALLOW: Answer = (200, {})
UNCACHED = {"X-Accel-Expires": "0"}


def denied(reason: str) -> Answer:
    """What a validator says to `reason`."""
    return 401, {"X-Jwtgate-Reason": reason, **UNCACHED}


class StubValidators:
    """Listens on the sockets of the workers, and answers each request by `answer`; `asked` are the requests.

    A request is (path, headers), the names of the headers in lower case. `answer` can be changed at any time.
    """

    def __init__(self, run_dir: Path, answer: Answerer, workers: int = 2) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._servers = [_server(run_dir / "sockets" / f"validator-{n}.sock", self) for n in range(workers)]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """A threading HTTP server on a socket that is there already."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("", 0), handler)
        account = unprivileged_account()
        self.socket = listen(path, (account.uid, account.gid) if account else None)
        self.socket.listen(128)

    def fileno(self) -> int:
        return self.socket.fileno()

    def get_request(self) -> tuple[Any, Any]:
        return self.socket.accept()

    def server_close(self) -> None:
        self.socket.close()

    def shutdown_request(self, request: Any) -> None:
        request.close()

    def handle_error(self, *_: object) -> None:
        """NGINX closes idle connections as it likes."""


def _server(path: Path, stub: StubValidators) -> _Server:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            stub.asked.append((self.path, headers))
            status, out = stub.answer(self.path, headers)
            self.send_response_only(status)
            for name, value in (out | {"Content-Length": "0"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    return _Server(path, Handler)


class StandAlone:
    """gateway.yaml on disk, its rendered configuration, and an NGINX that runs it.

    `configuration` is as for `Gateway`; `change` is applied to the rendered text. The directories are made as
    `jwtgate validator` makes them; start that, or stubs, beside it.
    """

    def __init__(
        self, configuration: str, *, nginx: Path, change: Callable[[str], str] = lambda text: text
    ) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._directory = tempfile.TemporaryDirectory(prefix="jwtgate-test-")
        self.work = Path(self._directory.name)
        self.work.chmod(0o755)  # started by root, NGINX's workers are somebody else
        self.run_dir = self.work / "run"
        self.configuration = self.work / "gateway.yaml"
        self.configuration.write_text(
            f"version: 1\nlisten: {self.address}\nrun_dir: {self.run_dir}\naccess_log: {self.work}/access.log\n"
            "workers: 2\n" + ("" if "\nadmin:" in configuration else "admin: off\n") + configuration
        )
        rendered = jwtgate("render", str(self.configuration), "--nginx", str(nginx))
        assert rendered.returncode == 0, rendered.stderr
        file = self.work / "nginx.conf"
        file.write_text(change(rendered.stdout))
        self._serving = serving(nginx, file, self.address)

    def __enter__(self) -> Self:
        with run_directory(self.run_dir, keep=True):
            pass  # the directories stay
        self._said = self._serving.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.__exit__(kind, error, trace)
        self._directory.cleanup()

    @property
    def said(self) -> str:
        """NGINX's error log."""
        return self._said.read_text(errors="replace")

    def request(self, path: str, **options: Any) -> Response:
        """One request; see `support.http.request`."""
        return request(self.address, path, **options)

    def logged(self, request_id: str) -> dict[str, Any]:
        """The log entry of a request, by its id."""
        return logged(self.work / "access.log", request_id)
