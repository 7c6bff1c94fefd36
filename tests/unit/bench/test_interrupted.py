"""A benchmark that is stopped cleans up, one that was killed is cleaned up after, and there is one at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from bench.interrupted import alone, directory_in_memory

ROOT = Path(__file__).parents[3]

_WORK = """
import sys
from pathlib import Path
from bench.interrupted import alone, directory_in_memory, stop_as_by_ctrl_c
stop_as_by_ctrl_c()
place = Path(sys.argv[1])
try:
    with alone(place), directory_in_memory(place) as work:
        (work / "file").touch()
        print(work, flush=True)
        sys.stdin.read()
except KeyboardInterrupt:
    print("stopped")
"""


def started(place: Path) -> tuple[subprocess.Popen[str], IO[str], Path]:
    """A process that has a directory in `place`, what it says, and the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WORK, str(place)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_ctrl_c_does(tmp_path: Path, number: signal.Signals) -> None:
    process, said, work = started(tmp_path)
    with process:
        assert (work / "file").exists()
        process.send_signal(number)
        assert said.read() == "stopped\n"
        assert process.wait(30) == 0
    assert not work.exists()


def test_what_a_killed_run_has_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    process, _, work = started(tmp_path)
    with process:
        with directory_in_memory(tmp_path):
            assert work.exists()  # it is in use
        process.kill()
        process.wait(30)
    assert (work / "file").exists()
    with directory_in_memory(tmp_path) as next_one:
        assert not work.exists()
        assert next_one.exists()
    assert not next_one.exists()


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    process, _, _ = started(tmp_path)
    with process:
        with pytest.raises(SystemExit, match=f"process {process.pid} is measuring here"), alone(tmp_path):
            pass
        process.terminate()
        with alone(tmp_path, patience=30):
            assert (tmp_path / "lock").read_text() == str(os.getpid())
