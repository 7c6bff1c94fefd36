"""A system that does not start is named at once, and what was started ends, however the benchmark does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.machine import GATEWAY_CORE, running
from bench.processes import listens

ROOT = Path(__file__).parents[3]


def never(_: int) -> bool:
    return False


def test_a_system_that_ends_at_its_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "broken" / "log"
    log.parent.mkdir()
    begin = time.monotonic()
    command = ["sh", "-c", "echo no such option; exit 3"]
    with pytest.raises(SystemExit, match=r"broken \(`sh -c") as ended, running(command, None, log, never):
        pass
    assert "ended by itself, with 3. It said:\n    no such option" in str(ended.value)
    assert time.monotonic() - begin < 30


def test_a_system_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    seen: list[int] = []

    def ready(pid: int) -> bool:
        seen.append(pid)
        return False

    command = ["sleep", "600"]
    with (
        pytest.raises(SystemExit, match=r"is not ready after 0 s\. It said nothing"),
        running(command, GATEWAY_CORE, tmp_path / "log", ready, patience=0.2),
    ):
        pass
    assert not Path(f"/proc/{seen[0]}").exists()


def test_a_system_that_ends_during_a_measurement_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sh", "-c", "echo out of memory; sleep 0.1; exit 9"]
    with contextlib.suppress(ValueError), running(command, None, tmp_path / "log", bool) as process:
        process.wait(30)
        raise ValueError("strange figures")
    assert "ended by itself, with 9. It said:\n    out of memory" in capsys.readouterr().err


_KILLED = """
import os, signal, sys
from pathlib import Path
from bench.machine import running
with running(["sleep", "600"], None, Path(sys.argv[1]), bool) as process:
    print(process.pid, flush=True)
    while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\\n":
        pass
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_started_ends_with_a_benchmark_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "log")]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    pid = int(killed.stdout)
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether it is there, and no zombie that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


_LISTENING = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    input()
"""


def test_a_stranger_on_the_port_is_not_the_system() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LISTENING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as system:
        assert system.stdout is not None
        address = f"127.0.0.1:{system.stdout.readline().strip()}"
        with subprocess.Popen(["sleep", "600"]) as other:
            answers = listens(system.pid, address), listens(os.getpid(), address), listens(other.pid, address)
            other.terminate()
        system.communicate("\n")
    assert answers == (True, True, False)  # it is below this process
    assert not listens(os.getpid(), address)
