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
ENTRY = 4096


def room_in(directory: Path, *, empty: int = 0, share: int = MANY, workers: int = 1) -> CacheRoom:
    """The room of a worker."""
    return CacheRoom(directory, empty=empty, share=share, entry=ENTRY, workers=workers)


def test_there_is_room_until_the_share_is_used(tmp_path: Path) -> None:
    room = room_in(tmp_path, empty=used_bytes(tmp_path))
    room.look()
    assert room()


def test_nothing_is_cacheable_over_the_share_and_it_is_said_once(tmp_path: Path) -> None:
    room = room_in(tmp_path, share=-1)  # whatever is used is more
    assert room(), "nobody has looked yet"
    with capture_logs() as logs:
        room.look()
        room.look()
    assert not room()
    assert [entry["event"] for entry in logs] == ["decision cache is over its share: not cached"]


def test_room_comes_back(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    room = room_in(directory)
    room.look()
    assert not room(), "a directory that is gone can store nothing"
    directory.mkdir()
    with capture_logs() as logs:
        room.look()
    assert room()
    assert [entry["event"] for entry in logs] == ["decision cache has room again"]


@pytest.mark.parametrize(("workers", "each"), [(1, 100), (4, 25), (200, 0)])
def test_no_more_is_cacheable_between_two_looks_than_all_workers_have_room_for(
    tmp_path: Path, workers: int, each: int
) -> None:
    room = CacheRoom(tmp_path, empty=7, share=100 * ENTRY, entry=ENTRY, workers=workers, used=lambda _: 7)
    room.look()
    assert [room() for _ in range(1000)].count(True) == each


def test_what_was_just_called_cacheable_is_counted_as_still_to_come(tmp_path: Path) -> None:
    stored = iter((0, 0, 60, 60, 90))  # what NGINX has stored by each look

    def used(_directory: Path) -> int:
        return next(stored) * ENTRY

    room = CacheRoom(tmp_path, empty=0, share=100 * ENTRY, entry=ENTRY, workers=1, used=used)
    given = []
    for _ in range(5):
        room.look()
        given.append([room() for _ in range(30)].count(True))
    assert given == [30, 30, 0, 10, 0]


def test_used_bytes_are_those_of_the_file_system(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert 0 < used_bytes(tmp_path) <= status.f_blocks * status.f_frsize
    with pytest.raises(FileNotFoundError):
        used_bytes(tmp_path / "nosuch")


def test_it_keeps_looking_until_it_is_cancelled(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    room = room_in(directory)

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
