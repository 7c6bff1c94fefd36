"""`jwtgate up` as a process, from a configuration written for the test."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.http import Response, request
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PATIENCE = 30.0


def wait_until(fact: Callable[[], Any], *, patience: float = PATIENCE, interval: float = 0.02) -> Any:
    """Wait for something to become true, and return it. Raises TimeoutError when it does not."""
    deadline = time.monotonic() + patience
    while not (found := fact()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not true after {patience} s")
        time.sleep(interval)
    return found


def jwtgate(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of jwtgate to its end."""
    return subprocess.run(
        [sys.executable, "-m", "jwtgate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **options,
    )


def is_alive(pid: int) -> bool:
    """Whether a process runs. A zombie does not: it waits for nothing but its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Process:
    """A command of jwtgate that keeps running, and what it said."""

    def __init__(self, *arguments: str, ready: str, environment: dict[str, str] | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="jwtgate-test-")
        self.work = Path(self._directory.name)
        self.work.chmod(0o755)  # started by root, NGINX's workers are somebody else, and have to get to run_dir
        self._ready = ready
        self._command = [sys.executable, "-m", "jwtgate", *arguments]
        # As people start it: how much to log is not said.
        unsaid = {name: value for name, value in os.environ.items() if name != "JWTGATE_LOG"}
        self._environment = unsaid | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._directory.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._directory.cleanup()

    def start(self) -> None:
        """Start, and wait until it says that it is ready."""
        with (self.work / "said").open("ab") as said:
            before = self.said.count(self._ready)
            self._process = subprocess.Popen(
                self._command, stdout=said, stderr=said, env=self._environment, cwd=self.work
            )
        process = self._process
        try:
            wait_until(lambda: self.said.count(self._ready) > before or process.poll() is not None)
        except TimeoutError:
            self.stop(signal.SIGKILL)
            raise RuntimeError(f"it does not become ready: {self.said}") from None
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}: {self.said}")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Tell it to stop, and return its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(30)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    @property
    def said(self) -> str:
        """Everything it wrote to standard output and standard error."""
        return (self.work / "said").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def descendants(self) -> set[int]:
        """The process ids of its children, their children, and so on."""
        found: set[int] = set()
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                own = set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
                waiting += own
                found |= own
        return found

    def children(self, name: str = "") -> dict[int, str]:
        """Its children by process id, with their names, those whose name starts with `name`."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = {}
        for pid in map(int, listed):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
        return {pid: comm for pid, comm in found.items() if comm.startswith(name)}


class Gateway(Process):
    """A whole gateway. `configuration` is the text of gateway.yaml without its `listen`, `run_dir` and log.

    `listen` is what stands after `listen:`; the first address in it is `address`.
    """

    def __init__(
        self,
        configuration: str,
        *,
        nginx: Path,
        listen: str | None = None,
        ready: str = "serving on",
        environment: dict[str, str] | None = None,
    ) -> None:
        listen = listen or f"127.0.0.1:{free_port()}"
        self.address = re.findall(r"[0-9.]+:[0-9]+", listen)[0]
        self._nginx = nginx
        super().__init__(ready=ready, environment=environment)
        self.run_dir = self.work / "run"
        self.configuration = self.work / "gateway.yaml"
        self.configuration.write_text(
            f"version: 1\nlisten: {listen}\nrun_dir: {self.run_dir}\naccess_log: {self.work}/access.log\n"
            + ("" if "\nadmin:" in configuration else "admin: off\n")
            + configuration
        )
        self._command += ["up", str(self.configuration), "--nginx", str(nginx)]

    @property
    def cache_dir(self) -> Path:
        """Where NGINX keeps decisions, as the running configuration says."""
        found = re.search(r"proxy_cache_path (\S+)/decisions ", (self.run_dir / "nginx.conf").read_text())
        assert found is not None
        return Path(found[1])

    def request(self, path: str, **options: Any) -> Response:
        """One request; see `support.http.request`."""
        return request(self.address, path, **options)

    def log(self) -> list[dict[str, Any]]:
        """The access log, parsed."""
        return entries(self.work / "access.log")

    def logged(self, request_id: str) -> dict[str, Any]:
        """The log entry of a request, by its id."""
        return logged(self.work / "access.log", request_id)


def entries(file: Path) -> list[dict[str, Any]]:
    """An access log, parsed: the lines that are whole by now."""
    # NGINX writes a client's bytes as they came.
    text = file.read_text(errors="surrogateescape") if file.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def logged(file: Path, request_id: str) -> dict[str, Any]:
    """The entry of a request in an access log. NGINX writes it after the answer, so it is waited for."""
    entry: dict[str, Any] = wait_until(
        lambda: next((entry for entry in entries(file) if entry["request_id"] == request_id), None), patience=5
    )
    return entry
