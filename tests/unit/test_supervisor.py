"""The supervisor, with programs that are plain functions. It runs in a process of its own: it blocks signals."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from support.gateway import is_alive

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """
import os, signal, sys, time
from pathlib import Path
from jwtgate.errors import StartError
from jwtgate.supervisor import Program, StopAskedError, Supervisor, signals_held

work = Path(sys.argv[1])

def note(name):
    with (work / "notes").open("a") as file:
        file.write(name + "\\n")

def notes():
    return (work / "notes").read_text().split() if (work / "notes").exists() else []

def sleeper(name):
    def run():
        note(name)
        signal.signal(signal.SIGTERM, lambda *_: (note("stopped-" + name), os._exit(0)))
        time.sleep(60)
    return Program(name, run)

# Whether it came true; then a SIGTERM comes, and all is stopped.
def keep_running(programs, *, until, patience=10):
    try:
        with signals_held(), Supervisor() as supervisor:
            started = supervisor.start(programs)
            if not supervisor.wait_until(until, patience=patience, needs=started):
                return False
            os.kill(os.getpid(), signal.SIGTERM)
            supervisor.wait()
    except StopAskedError:
        return True
"""


def supervise(script: str, tmp_path: Path) -> tuple[int, list[str]]:
    """Run a script; its exit code and what was noted."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    file = tmp_path / "notes"
    return result.returncode, file.read_text().split() if file.exists() else [result.stderr]


def test_programs_stop_in_the_opposite_order(tmp_path: Path) -> None:
    code, noted = supervise(
        """
        sys.exit(not keep_running([sleeper("a"), sleeper("b")],
            until=lambda: len(notes()) == 2 and not time.sleep(0.2)))
        """,
        tmp_path,
    )
    assert code == 0
    assert sorted(noted[:2]) == ["a", "b"]
    assert noted[2:] == ["stopped-b", "stopped-a"]


def test_what_ends_is_started_again(tmp_path: Path) -> None:
    code, noted = supervise(
        """
        sys.exit(not keep_running([Program("short", lambda: note("short"))], until=lambda: len(notes()) >= 3))
        """,
        tmp_path,
    )
    assert (code, noted[:3]) == (0, ["short"] * 3)


@pytest.mark.parametrize(
    ("program", "patience"),
    [
        ('Program("vital", lambda: note("vital"), vital=True)', 60),
        ('Program("wrong", fault)', 60),
        ('Program("idle", lambda: time.sleep(60))', 1),
    ],
    ids=["a vital program ends", "a program says that it cannot work", "patience is over"],
)
def test_what_does_not_become_ready_fails(tmp_path: Path, program: str, patience: int) -> None:
    code, _ = supervise(
        f"""
        def fault():
            raise StartError("it is wrong, and stays so")

        began = time.monotonic()
        ready = keep_running([{program}], until=lambda: False, patience={patience})
        sys.exit(not ready and time.monotonic() - began < 20)
        """,
        tmp_path,
    )
    assert code == 1


def test_a_program_that_dies_takes_its_own_children_with_it(tmp_path: Path) -> None:
    """NGINX's workers would keep the port from the next NGINX."""
    _, noted = supervise(
        """
        def leader():
            if not notes():
                child = os.fork()
                if child == 0:
                    signal.pause()
                note(str(child))
                os.kill(os.getpid(), signal.SIGKILL)
            note("again")
            signal.pause()

        keep_running([Program("leader", leader)], until=lambda: "again" in notes())
        """,
        tmp_path,
    )
    assert noted[1] == "again"
    assert not is_alive(int(noted[0]))


def test_children_share_the_session_and_have_groups_of_their_own(tmp_path: Path) -> None:
    _, noted = supervise(
        """
        def run():
            note(f"{os.getsid(0)} {os.getpgid(0)} {os.getpid()}")
            signal.pause()

        note(str(os.getsid(0)))
        keep_running([Program("child", run)], until=lambda: len(notes()) == 4)
        """,
        tmp_path,
    )
    own, session, group, pid = map(int, noted)
    assert own == session
    assert group == pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_batch_program_does_not_interrupt_others(tmp_path: Path) -> None:
    code, notes = supervise(
        """
        def policy():
            note("batch" if os.sched_getscheduler(0) == os.SCHED_BATCH else "normal")
            time.sleep(60)

        programs = [Program("nginx", policy, batch=True), Program("validator", policy)]
        sys.exit(not keep_running(programs, until=lambda: len(notes()) == 2))
        """,
        tmp_path,
    )
    assert (code, sorted(notes)) == (0, ["batch", "normal"])
