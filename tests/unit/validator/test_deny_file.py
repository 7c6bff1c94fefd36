"""The deny-list's file while a gateway runs: what was appended, replaced, damaged, removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.revocation import Denied, Standing, write_denied
from jwtgate.validator.deny_file import DeniedAnswer, DenyFile

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

NOW = 1_000_000.0
ISS = "https://issuer.example"


def entry(name: str, until: int | None = None) -> bytes:
    return write_denied(Denied(iss=ISS, sub=name, until=until))


class World:
    """A file with one entry, and a worker that has read it."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.path = path
        self.path.write_bytes(entry("alice"))
        self.start()

    def start(self) -> None:
        self.standing = Standing()
        self.file = DenyFile(self.path, self.standing, clock=lambda: self.now)
        self.file.load()

    def append(self, text: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text)

    def replace(self, text: bytes) -> None:
        new = self.path.with_suffix(".new")
        new.write_bytes(text)
        new.replace(self.path)

    def become_a_directory(self) -> None:
        self.path.unlink()
        self.path.mkdir()

    def denies(self) -> set[str]:
        denied = self.standing.denied
        names = ("alice", "bob", "carol", "dave")
        return {name for name in names if denied is not None and denied.denies(ISS, {"sub": name}, self.now)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "denied.jsonl")


def test_it_is_read_before_the_first_decision(world: World) -> None:
    assert world.denies() == {"alice"}


CHANGES: dict[str, tuple[Callable[[World], object], set[str]]] = {
    "appended": (lambda world: world.append(entry("bob")), {"alice", "bob"}),
    "appended without an end": (lambda world: world.append(entry("bob")[:-1]), {"alice", "bob"}),
    "a comment appended": (lambda world: world.append(b"# who left\n\n"), {"alice"}),
    "replaced": (lambda world: world.replace(entry("bob")), {"bob"}),
    "replaced by a longer one that begins alike": (
        lambda world: world.replace(entry("alice") + entry("bob")),
        {"alice", "bob"},
    ),
    "overwritten in place": (
        lambda world: world.path.write_bytes(entry("carol") + entry("bob")),
        {"carol", "bob"},
    ),
    "overwritten in place, of the same length": (lambda world: world.path.write_bytes(entry("carol")), {"carol"}),
    "emptied": (lambda world: world.path.write_bytes(b""), set()),
    "appended an entry that has ended": (lambda world: world.append(entry("bob", until=int(NOW))), {"alice"}),
}


@pytest.mark.parametrize(("change", "denied"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_read(world: World, change: Callable[[World], object], denied: set[str]) -> None:
    change(world)
    asyncio.run(world.file.look())
    assert world.denies() == denied
    world.append(b"\n" + entry("dave"))
    assert asyncio.run(world.file.look()).entries == len(denied) + 1
    assert world.denies() == denied | {"dave"}


def test_a_list_that_was_emptied_costs_nothing(world: World) -> None:
    world.path.write_bytes(b"")
    asyncio.run(world.file.look())
    assert world.standing.denied is None


DAMAGES: dict[str, tuple[Callable[[World], object], str]] = {
    "a bad line appended": (
        lambda world: world.append(entry("bob") + b"carol\n" + entry("dave")),
        ":3: not an entry",
    ),
    "replaced by a bad one": (lambda world: world.replace(entry("bob") + b"{}\n"), ":2: not an entry"),
    "removed": (lambda world: world.path.unlink(), "No such file"),
    "a directory": (lambda world: world.become_a_directory(), "directory"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_leaves_the_last_good_list_and_is_said_once(
    world: World, damage: Callable[[World], object], said: str
) -> None:
    damage(world)
    with capture_logs() as logs:
        for _ in range(3):
            answer = asyncio.run(world.file.look())
            assert said in str(answer.error)
    assert world.denies() == {"alice"}
    (error,) = logs
    assert error["event"] == "deny_list_unreadable"
    assert f"{world.path}" in error["error"]
    assert said in error["error"]
    if world.path.is_dir():
        world.path.rmdir()
    world.path.write_bytes(entry("bob"))
    with capture_logs() as logs:
        asyncio.run(world.file.look())
    assert world.denies() == {"bob"}
    assert [line["event"] for line in logs] == ["deny_list_read_again", "deny_list_read"]


def test_a_half_written_line_counts_when_it_is_whole(world: World) -> None:
    line = entry("bob")
    world.append(line[:10])
    asyncio.run(world.file.look())
    assert world.denies() == {"alice"}
    world.append(line[10:])
    asyncio.run(world.file.look())
    assert world.denies() == {"alice", "bob"}


def test_a_worker_that_starts_with_a_damaged_file_denies_what_it_can_read(world: World) -> None:
    world.replace(entry("alice") + b"carol\n" + entry("bob"))
    with capture_logs() as logs:
        world.start()
    assert world.denies() == {"alice", "bob"}
    assert f"{world.path}:2: " in logs[0]["error"]
    world.replace(entry("dave"))
    asyncio.run(world.file.look())
    assert world.denies() == {"dave"}


def test_entries_end_and_are_left_out_an_hour_later(world: World) -> None:
    world.append(entry("bob", until=int(NOW) + 10))
    assert asyncio.run(world.file.look()).entries == 2
    world.now += 10
    assert world.denies() == {"alice"}
    assert asyncio.run(world.file.look()).entries == 2
    world.now += 3600
    assert asyncio.run(world.file.look()).entries == 1


def test_an_unchanged_file_is_not_read(world: World) -> None:
    with capture_logs() as logs:
        asyncio.run(world.file.look())
    assert logs == []


def test_a_large_file_is_read_while_requests_are_answered(world: World) -> None:
    async def scene() -> int:
        turns = 0
        looking = asyncio.create_task(world.file.look())
        while not looking.done():
            await asyncio.sleep(0)
            turns += 1
        assert (await looking).entries == 20_000
        return turns

    world.replace(b"".join(entry(f"number-{number}") for number in range(20_000)))
    assert asyncio.run(scene()) > 30


def test_without_a_file_there_is_nothing_to_do() -> None:
    standing = Standing()
    file = DenyFile(None, standing)
    file.load()

    assert asyncio.run(file.look()) == DeniedAnswer(None, 0, None)
    assert standing.denied is None


def test_it_looks_by_itself(world: World) -> None:
    async def until(fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not fact():  # noqa: ASYNC110 - what is waited for is a file
                await asyncio.sleep(0.02)

    async def scene() -> None:
        watching = asyncio.create_task(world.file.watch())
        world.append(entry("bob"))
        await until(lambda: world.denies() == {"alice", "bob"})
        watching.cancel()

    run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
    run(scene())
