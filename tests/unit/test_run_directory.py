"""The directories of a gateway: made private, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jwtgate.errors import StartError
from jwtgate.run_directory import remove_abandoned, run_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that NGINX's workers can get to, whoever they are."""
    with tempfile.TemporaryDirectory(prefix="jwtgate-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_directory_that_holds_something_of_somebody_is_refused_and_left_as_it_is(place: Path) -> None:
    run_dir = place / "home"
    run_dir.mkdir(mode=0o755)
    (run_dir / "letter").write_text("dear")
    with (
        pytest.raises(StartError, match="is not empty, and no gateway has left it behind"),
        run_directory(run_dir),
    ):
        pytest.fail("it was used")
    assert [file.name for file in run_dir.iterdir()] == ["letter"]
    assert run_dir.stat().st_mode & 0o777 == 0o755


def test_a_file_or_a_link_in_its_place_is_refused(place: Path) -> None:
    (place / "target").mkdir()
    (place / "link").symlink_to(place / "target")
    (place / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(StartError), run_directory(place / name):
            pytest.fail("it was used")
    assert list((place / "target").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that is somebody else's")
def test_somebody_elses_directory_is_refused(place: Path) -> None:
    run_dir = place / "theirs"
    run_dir.mkdir()
    os.chown(run_dir, 12345, 12345)
    with pytest.raises(StartError, match="belongs to another user"), run_directory(run_dir):
        pytest.fail("it was used")
    assert run_dir.stat().st_uid == 12345


def test_what_a_gateway_left_behind_is_used_again_and_emptied(place: Path) -> None:
    run_dir = place / "run"
    with run_directory(run_dir, keep=True):
        (run_dir / "temp" / "old").write_text("")
    with run_directory(run_dir) as directory:
        assert list((run_dir / "temp").iterdir()) == []
        assert directory.cache.stat().st_mode & 0o077 in (0, 0o011)  # 0711 for workers who are somebody else
        assert (directory.cache / "decisions").stat().st_mode & 0o777 == 0o700
    assert not (run_dir / "sockets").exists()


def test_a_directory_of_ours_goes_though_a_killed_gateway_had_made_it(place: Path) -> None:
    run_dir = place / "run"
    killed = os.fork()
    if killed == 0:
        with run_directory(run_dir):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)
    assert (run_dir / "lock").exists()
    with run_directory(run_dir):
        pass
    assert not run_dir.exists()


def test_what_was_abandoned_goes_and_all_else_stays(place: Path) -> None:
    parent = place
    abandoned, used, foreign, unlocked = (
        parent / f"gate-{name}" for name in ("dead", "used", "foreign", "unlocked")
    )
    with run_directory(abandoned) as made:
        cache = made.cache
    killed = os.fork()
    if killed == 0:
        with run_directory(abandoned):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(killed, 0)
    assert cache.is_dir()
    foreign.mkdir()
    (foreign / "lock").write_text("somebody else's")
    unlocked.mkdir()
    (parent / "gate-link").symlink_to(foreign)
    with run_directory(used):
        remove_abandoned(parent, "gate-*")
        assert used.is_dir()
    assert not abandoned.exists()
    assert not cache.exists()
    assert (foreign / "lock").read_text() == "somebody else's"
    assert unlocked.is_dir()
    assert (parent / "gate-link").is_symlink()


def test_a_directory_that_was_there_before_stays(place: Path) -> None:
    with run_directory(place / "empty"):
        pass
    (place / "empty").mkdir()
    with run_directory(place / "empty"):
        pass
    assert list((place / "empty").iterdir()) == []


def test_gateways_that_start_while_others_end_never_run_together(place: Path) -> None:
    """Each holds the directory for a moment; a second one in it would see the mark of the first."""
    script = """
import os, sys
from pathlib import Path
from jwtgate.errors import StartError
from jwtgate.run_directory import run_directory
place, held = Path(sys.argv[1]), 0
while held < 40:
    try:
        with run_directory(place / "run"):
            os.close(os.open(place / "mark", os.O_CREAT | os.O_EXCL))
            os.unlink(place / "mark")
            held += 1
    except StartError as error:
        if "is running" not in str(error) and "is not empty" not in str(error):
            raise
"""
    running = [subprocess.Popen([sys.executable, "-c", script, str(place)]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
