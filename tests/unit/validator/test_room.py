"""Whether the decision cache has room."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.validator.room import CacheRoom, used_bytes

if TYPE_CHECKING:
    from pathlib import Path

MANY = 1 << 50


def test_there_is_room_until_the_share_is_used(tmp_path: Path) -> None:
    room = CacheRoom(tmp_path, empty=used_bytes(tmp_path), share=MANY)
    room.look()
    assert room()


def test_nothing_is_cacheable_over_the_share_and_it_is_said_once(tmp_path: Path) -> None:
    room = CacheRoom(tmp_path, empty=0, share=-1)  # whatever is used is more
    assert room(), "nobody has looked yet"
    with capture_logs() as logs:
        room.look()
        room.look()
    assert not room()
    assert [entry["event"] for entry in logs] == ["decision cache is over its share: not cached"]


def test_room_comes_back(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    room = CacheRoom(directory, empty=0, share=MANY)
    room.look()
    assert not room(), "a directory that is gone can store nothing"
    directory.mkdir()
    with capture_logs() as logs:
        room.look()
    assert room()
    assert [entry["event"] for entry in logs] == ["decision cache has room again"]


def test_used_bytes_are_those_of_the_file_system(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert 0 < used_bytes(tmp_path) <= status.f_blocks * status.f_frsize
    with pytest.raises(FileNotFoundError):
        used_bytes(tmp_path / "nosuch")


def test_it_keeps_looking_until_it_is_cancelled(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    room = CacheRoom(directory, empty=0, share=MANY)

    async def until(wanted: bool) -> None:
        for _ in range(1000):
            if room() is wanted:
                return
            await asyncio.sleep(0.01)
        pytest.fail("it does not look")

    async def watched() -> None:
        watching = asyncio.create_task(room.watch())
        await until(False)
        directory.mkdir()
        await until(True)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    with capture_logs():
        asyncio.run(watched())
