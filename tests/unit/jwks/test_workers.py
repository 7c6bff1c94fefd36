"""How the workers that share a shelf make one fetch between them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.jwks import Clocks, KeyStore, merged
from jwtgate.keys.freshness import Pace
from support.scenes import (
    Time,
    all_hold,
    fetched_once,
    kids,
    play,
    record_in,
    running,
    running_with,
    until,
    workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from jwtgate.plan import Issuer


def test_four_workers_make_one_fetch_per_interval(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        async with running_with(workers(url_issuer, shelf, time.clocks), "a") as stores:
            for number in range(1, 4):
                assert len(fake_issuer.requests) == number
                fake_issuer.answer.body = jwks(str(number))
                time.passes(280)
                await until(all_hold(stores, str(number)))

    play(scene())
    assert len(fake_issuer.requests) == 4


def test_a_removed_key_is_gone_from_all_workers_when_one_learns_of_it(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        async with running_with(workers(url_issuer, shelf, time.clocks), "a") as stores:
            fake_issuer.answer.body = jwks("b")
            time.passes(5)
            await stores[2].refresh("idp")
            await until(all_hold(stores, "b"))

    play(scene())
    assert len(fake_issuer.requests) == 2


def test_random_kids_at_all_workers_are_one_fetch_per_min_refetch(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        async with running_with(workers(url_issuer, shelf, time.clocks), "a") as stores:
            for number in range(1000):
                time.passes(0.025)  # 25 s in all
                await asyncio.gather(*(store.need("idp", f"random-{number}") for store in stores))

    play(scene())
    # The first fetch, and one at 0 s, 10 s and 20 s.
    assert len(fake_issuer.requests) == 4


@pytest.mark.parametrize("asks", ["a token", "a person"])
def test_a_fetch_of_another_worker_that_left_before_a_key_was_published_does_not_stand_for_ours(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path, asks: str
) -> None:
    fake_issuer.answer.body = jwks("old")
    time, go_on = Time(), threading.Event()

    async def scene() -> None:
        first, second = workers(url_issuer, shelf, time.clocks, 2)
        async with running(first, second):
            await until(all_hold([first, second], "old"))
            fake_issuer.answer.before = go_on.wait
            time.passes(299)  # not yet due in the second, which would wait for its turn
            asking = asyncio.create_task(first.refresh("idp"))
            await until(lambda: len(fake_issuer.requests) == 2)
            fake_issuer.answer = replace(fake_issuer.answer, body=jwks("old", "new"), before=lambda: None)
            time.passes(0.1)
            coming = second.need("idp", "new") if asks == "a token" else second.refresh("idp", since=time.now)
            waiting = asyncio.create_task(coming)
            await asyncio.sleep(0.05)
            time.passes(0.1)
            go_on.set()
            assert await asking
            assert await waiting
            assert kids(second) == ["old", "new"]

    play(scene())
    assert len(fake_issuer.requests) == 3


def test_a_set_that_another_worker_has_just_fetched_is_found_without_waiting_for_a_look(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("old")
    time = Time()

    async def scene() -> None:
        first, second = workers(url_issuer, shelf, time.clocks, 2)
        for store in (first, second):
            await store.need("idp", "old")
        # A stranger's: no fetch is allowed for now.
        await second.need("idp", "made up")
        fake_issuer.answer.body = jwks("old", "new")
        time.passes(5)
        await first.refresh("idp")
        assert await second.need("idp", "new")
        assert kids(second) == ["old", "new"]
        await asyncio.gather(first.aclose(), second.aclose())

    play(scene())
    assert len(fake_issuer.requests) == 3


def full_disk(record: Path) -> None:
    """A record can neither be replaced nor read."""
    record.unlink()
    record.mkdir()


@pytest.mark.parametrize("asks", ["a token", "a person"])
def test_a_set_that_cannot_be_shared_is_fetched_by_each_worker(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path, asks: str
) -> None:
    fake_issuer.answer.body = jwks("old")
    time = Time()

    async def scene() -> None:
        stores = workers(url_issuer, shelf, time.clocks)
        for store in stores:
            await store.need("idp", "old")
        full_disk(record_in(shelf))
        fake_issuer.answer.body = jwks("new")
        time.passes(1)
        since = time.now
        time.passes(1)
        for store in stores:
            assert await (store.need("idp", "new") if asks == "a token" else store.refresh(since=since))
            assert kids(store) == ["new"]
        for store in stores:
            await store.need("idp", "made up")
            await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) <= 1 + 2 * 4


@contextlib.contextmanager
def full_disk_but_for_small_files() -> Iterator[None]:
    """The ledger can be written, a record cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        with capture_logs():  # what is printed goes to a file as well
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_removed_key_does_not_come_back_with_a_new_worker_because_a_disk_was_full(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("old")
    time = Time()

    async def scene() -> None:
        stores = workers(url_issuer, shelf, time.clocks, 2)
        for store in stores:
            await store.need("idp", "old")
        fake_issuer.answer.body = jwks("new")
        time.passes(1)
        with full_disk_but_for_small_files():
            for store in stores:
                assert await store.refresh("idp", since=time.now - 0.5)
                assert kids(store) == ["new"]
                await store.aclose()
        time.passes(5)
        (store,) = workers(url_issuer, shelf, time.clocks, 1)
        store.beat()
        await store.settle()
        assert kids(store) == ["new"]
        await store.aclose()

    play(scene())


def test_a_conditional_fetch_does_not_stand_for_that_of_a_person(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("old")
    fake_issuer.answer.headers = {"ETag": '"v1"'}
    time = Time()

    async def scene() -> None:
        stores = workers(url_issuer, shelf, time.clocks)
        for store in stores:
            await store.need("idp", "old")
        time.passes(1)
        since = time.now
        time.passes(1)
        fake_issuer.answer.status = 304  # a cache between
        await stores[0].need("idp", "made up")
        fake_issuer.answer.status = 200
        fake_issuer.answer.body = jwks("new")
        time.passes(1)
        for store in stores:
            assert await store.refresh("idp", since=since)
            assert kids(store) == ["new"]
            await store.aclose()

    play(scene())
    assert [request.get("if-none-match") for request in fake_issuer.requests] == [None, '"v1"', None]


def test_a_failure_that_a_person_was_told_of_is_no_answer_once_another_fetch_has_succeeded(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("old")
    fake_issuer.answer.headers = {"ETag": '"v1"'}
    time = Time()

    async def scene() -> None:
        first, second = workers(url_issuer, shelf, time.clocks, 2)
        for store in (first, second):
            await store.need("idp", "old")
        time.passes(1)
        since = time.now
        time.passes(1)
        fake_issuer.answer.status = 500
        assert not await first.refresh("idp", since=since)
        fake_issuer.answer.status = 304  # a cache between
        time.passes(2)
        first.beat()
        await first.settle()
        fake_issuer.answer.status = 200
        fake_issuer.answer.body = jwks("new")
        assert await second.refresh("idp", since=since)
        assert kids(second) == ["new"]
        await asyncio.gather(first.aclose(), second.aclose())

    play(scene())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_refresh_is_no_success_where_an_older_set_can_be_neither_replaced_nor_removed(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("old")
    shelf.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "none", shelf], check=False).returncode:
        pytest.skip("may not mount")

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf)
        await store.need("idp", "old")
        subprocess.run(["mount", "-o", "remount,ro", shelf], check=True)  # noqa: ASYNC221 - nothing else runs
        fake_issuer.answer.body = jwks("new")
        assert not await store.refresh("idp")
        assert kids(store) == ["new"]
        subprocess.run(["mount", "-o", "remount,rw", shelf], check=True)  # noqa: ASYNC221
        assert await store.refresh("idp")
        await store.aclose()

    try:
        play(scene())
    finally:
        subprocess.run(["umount", shelf], check=True)


def test_a_refresh_by_the_schedule_does_not_give_back_the_fetch_that_is_allowed(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    issuer = replace(url_issuer, pace=Pace(least=1, default=3))

    async def scene() -> None:
        first, second = workers(issuer, shelf, time.clocks, 2)
        for store in (first, second):
            await store.need("idp", "a")
        time.passes(1)
        await first.need("idp", "made up")
        time.passes(5)
        second.beat()
        await second.settle()
        assert len(fake_issuer.requests) == 3
        time.passes(1)
        for store in (first, second):
            await store.need("idp", "made up too")
            await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 3


def test_a_ledger_from_the_future_is_not_believed(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    """Of a virtual machine that was taken back to an earlier moment, while its disk was not."""
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    (lock,) = shelf.glob("*.lock")
    ahead = {"asked_at": time.now + 1e5, "forced_at": time.now + 1e5, "due_at": time.now + 1e5}
    lock.write_text(json.dumps(json.loads(lock.read_text()) | ahead | {"failures": 1, "error": "x"}))
    fake_issuer.answer.body = jwks("a", "b")

    async def scene() -> None:
        (store,) = workers(url_issuer, shelf, time.clocks, 1)
        time.passes(20)
        assert await store.need("idp", "b")
        assert kids(store) == ["a", "b"]
        await store.aclose()

    play(scene())


def test_a_fetch_that_ended_with_its_worker_does_not_use_up_the_one_that_is_allowed(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("old")
    time, go_on = Time(), threading.Event()

    async def scene() -> None:
        first, second = workers(url_issuer, shelf, time.clocks, 2)
        for store in (first, second):
            await store.need("idp", "old")
        time.passes(1)
        fake_issuer.answer.before = go_on.wait
        asking = asyncio.create_task(first.need("idp", "new"))
        await until(lambda: len(fake_issuer.requests) == 2)
        await first.aclose()
        await asking
        go_on.set()
        fake_issuer.answer = replace(fake_issuer.answer, body=jwks("old", "new"), before=lambda: None)
        time.passes(1)
        assert await second.need("idp", "new")
        assert kids(second) == ["old", "new"]
        # This one has ended: the next is due in 10 s, whoever asks.
        time.passes(1)
        await second.need("idp", "made up")
        await second.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 3


def test_an_outage_is_tried_by_one_worker_at_a_time(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    issuer = replace(url_issuer, pace=Pace(retry_first=10, retry_most=10))

    async def scene() -> None:
        async with running_with(workers(issuer, shelf, time.clocks), "a") as stores:
            fake_issuer.answer.status = 500
            time.passes(300)
            await until(lambda: all(store.view()[0].failing for store in stores))
            assert merged(store.view() for store in stores)[0].failures == 1
            assert len(fake_issuer.requests) == 2
            assert {store.view()[0].last_error for store in stores} == {
                f"{fake_issuer.url}: answered with status 500, expected 200"
            }

    play(scene())


def test_the_time_of_an_error_is_when_it_last_happened_in_whichever_worker(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        first, second = workers(url_issuer, shelf, time.clocks, 2)
        for store in (first, second):
            await store.refresh("idp")
        fake_issuer.answer.status = 500
        for _ in range(3):
            time.passes(100)
            await first.refresh("idp")
            assert first.view()[0].last_error_at == time.wall
        happened = time.wall
        time.passes(1)
        await second.need("idp", "b")
        time.passes(9.5)
        assert second.view()[0].last_error_at == happened + 1
        await first.need("idp", "c")
        assert first.view()[0].last_error_at == happened + 1
        for store in (first, second):
            await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 6


def test_all_workers_asked_to_refresh_at_once_share_a_fetch_and_its_failure(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        stores, clocks = workers(url_issuer, shelf, Clocks()), Clocks()

        async def refresh_all() -> None:
            """As the control process asks: all for the same moment, but some hear of it late."""
            since = clocks.steady()
            await asyncio.gather(*(store.refresh("idp", since=since) for store in stores[:-1]))
            await stores[-1].refresh("idp", since=since)

        await refresh_all()
        assert all_hold(stores, "a")()
        assert len(fake_issuer.requests) == 1
        fake_issuer.answer.status = 500
        await refresh_all()
        assert all_hold(stores, "a")()
        assert all(store.view()[0].failing for store in stores)
        assert len(fake_issuer.requests) == 2
        await stores[0].refresh("idp")
        assert len(fake_issuer.requests) == 3, "an older failure stands for nothing"
        await asyncio.gather(*(store.aclose() for store in stores))

    play(scene())


def test_a_worker_that_is_killed_in_the_middle_leaves_the_lock_to_the_others(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    fetched_once(url_issuer, shelf, Clocks())
    (lock,) = shelf.glob("*.lock")
    fake_issuer.answer.body = jwks("b")
    hold = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(lock)]

    async def scene(holder: subprocess.Popen[bytes]) -> None:
        store = KeyStore([url_issuer], directory=shelf, patience=0.2)
        await store.refresh("idp")
        assert kids(store) == ["a"]
        holder.kill()
        await until(lambda: kids(store) == ["b"])
        await store.aclose()

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            play(scene(holder))
        finally:
            holder.kill()


def test_a_damaged_ledger_costs_a_fetch_and_nothing_else(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    fetched_once(url_issuer, shelf, Clocks())
    (lock,) = shelf.glob("*.lock")
    lock.write_bytes(b"\xff{")

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf)
        await store.need("idp", "a")
        await store.need("idp", "b")
        assert kids(store) == ["a"]
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 2
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert os.fstat(file.fileno()).st_size > 2


@pytest.mark.parametrize("jump", [-1_000_000, -50, 50, 1_000_000])
def test_a_wall_clock_that_jumps_changes_nothing_for_running_workers(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path, jump: float
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        async with running_with(workers(url_issuer, shelf, time.clocks, 2), "a") as stores:
            time.wall += jump
            await asyncio.sleep(1.5)
            assert [kids(store) for store in stores] == [["a"], ["a"]]
            assert len(fake_issuer.requests) == 1
            fake_issuer.answer.body = jwks("a", "b")
            time.passes(280)
            await until(all_hold(stores, "a", "b"))
            # An unknown key id causes a fetch; the next one is 10 s later, not sooner and not later than that.
            asked = len(fake_issuer.requests)
            for number, store in enumerate(stores * 3):
                await store.need("idp", f"made up {number}")
                time.wall += jump
                time.passes(4)
            assert len(fake_issuer.requests) == asked + 2

    play(scene())
