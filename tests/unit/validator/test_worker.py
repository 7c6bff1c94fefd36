"""A worker's socket: private, short enough, in place of what a dead worker left."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest

from jwtgate.errors import StartError
from jwtgate.validator.worker import MAX_SOCKET_PATH, listen

if TYPE_CHECKING:
    from pathlib import Path


def test_only_its_owner_can_connect(tmp_path: Path) -> None:
    path = tmp_path / "validator.sock"
    with listen(path, None):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_takes_the_place_of_what_a_dead_worker_left(tmp_path: Path) -> None:
    path = tmp_path / "validator.sock"
    listen(path, None).close()
    assert path.exists()
    with listen(path, None) as listener:
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_path_too_long_for_a_socket_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / ("x" * MAX_SOCKET_PATH)
    with pytest.raises(StartError, match=r"longer than 107 bytes\. Choose a shorter run_dir"):
        listen(path, None)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nosuch" / "validator.sock"
    with pytest.raises(StartError, match=f"cannot listen on {path}: No such file or directory"):
        listen(path, None)
