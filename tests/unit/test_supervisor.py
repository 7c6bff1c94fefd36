"""The supervisor, with programs that are plain functions. It runs in a process of its own: it blocks signals."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELUDE = """
import os, signal, sys, time
from pathlib import Path
from jwtgate.supervisor import Program, Supervisor

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

def stop_me():
    os.kill(os.getpid(), signal.SIGTERM)
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
        sys.exit(Supervisor([sleeper("a"), sleeper("b")]).run(
            is_ready=lambda: len(notes()) == 2 and not time.sleep(0.2), on_ready=stop_me, patience=10))
        """,
        tmp_path,
    )
    assert code == 0
    assert sorted(noted[:2]) == ["a", "b"]
    assert noted[2:] == ["stopped-b", "stopped-a"]


def test_what_ends_is_started_again(tmp_path: Path) -> None:
    code, noted = supervise(
        """
        sys.exit(Supervisor([Program("short", lambda: note("short"))]).run(
            is_ready=lambda: len(notes()) >= 3, on_ready=stop_me, patience=10))
        """,
        tmp_path,
    )
    assert (code, noted[:3]) == (0, ["short"] * 3)


@pytest.mark.parametrize(
    "program",
    ['Program("vital", lambda: note("vital"), vital=True)', 'Program("idle", lambda: time.sleep(60))'],
    ids=["a vital program ends", "patience is over"],
)
def test_what_does_not_become_ready_fails(tmp_path: Path, program: str) -> None:
    code, _ = supervise(
        f"""
        sys.exit(Supervisor([{program}]).run(is_ready=lambda: False, on_ready=stop_me, patience=1.0))
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

        Supervisor([Program("leader", leader)]).run(
            is_ready=lambda: "again" in notes(), on_ready=stop_me, patience=10)
        """,
        tmp_path,
    )
    assert noted[1] == "again"
    stat = Path(f"/proc/{noted[0]}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_children_share_the_session_and_have_groups_of_their_own(tmp_path: Path) -> None:
    _, noted = supervise(
        """
        def run():
            note(f"{os.getsid(0)} {os.getpgid(0)} {os.getpid()}")
            signal.pause()

        note(str(os.getsid(0)))
        Supervisor([Program("child", run)]).run(
            is_ready=lambda: len(notes()) == 4, on_ready=stop_me, patience=10)
        """,
        tmp_path,
    )
    own, session, group, pid = map(int, noted)
    assert own == session
    assert group == pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
