"""What is kept on disk, and how the workers that share it make one fetch between them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.errors import StartError
from jwtgate.jwks import Clocks, IssuerView, KeyStore, merged
from jwtgate.keys.freshness import Pace, spread
from jwtgate.plan import JwksUrl, SharedSecret
from support.scenes import kids, play, running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from jwtgate.jwks.view import Coming, Origin
    from jwtgate.plan import Issuer


class Time:
    """Both clocks, set by the test. `wall` can jump on its own."""

    def __init__(self) -> None:
        self.now, self.wall = 1000.0, 1_700_000_000.0
        self.clocks = Clocks(lambda: self.now, lambda: self.wall)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def fetched_once(issuer: Issuer, shelf: Path, clocks: Clocks) -> None:
    """A worker that fetched, wrote the shelf and ended."""

    async def scene() -> None:
        store = KeyStore([issuer], directory=shelf, clocks=clocks)
        await store.refresh("idp")
        assert kids(store) is not None
        await store.aclose()

    play(scene())


def record_in(shelf: Path) -> Path:
    (record,) = shelf.glob("*.json")
    return record


# The next start


def test_a_start_with_the_issuer_down_serves_the_last_good_set_at_once(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    fake_issuer.answer.status = 500
    time.passes(86_000)

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks, patience=0.0)
        await store.need("idp", "a")
        assert kids(store) == ["a"]
        await store.settle()
        assert len(fake_issuer.requests) == 1
        await store.aclose()

    play(scene())


def test_a_start_with_a_fresh_snapshot_does_not_ask_the_issuer(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    time.passes(60)

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        async with running(store):
            await until(lambda: kids(store) == ["a"])
            await asyncio.sleep(0.6)
            assert len(fake_issuer.requests) == 1
            time.passes(300)
            await until(lambda: len(fake_issuer.requests) == 2)

    play(scene())


def test_what_a_start_finds_on_disk_is_no_change(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    """A worker that is started again would tell every key once more."""
    fake_issuer.answer.body = jwks("a")
    time = Time()
    with capture_logs() as first:
        fetched_once(url_issuer, shelf, time.clocks)
    time.passes(60)
    with capture_logs() as second:
        fetched_once(url_issuer, shelf, time.clocks)
    changes = [(log["origin"], log["log_level"]) for log in first + second if log["event"] == "keys_changed"]
    assert changes == [("fetched", "info"), ("snapshot", "debug")]


def test_a_record_is_replaced_and_never_written_over(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    """Who reads while another writes has a whole record; who dies while writing leaves the old one."""
    fake_issuer.answer.body = before = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    with record_in(shelf).open() as reading:
        fake_issuer.answer.body = after = jwks("b")
        time.passes(5000)
        fetched_once(url_issuer, shelf, time.clocks)
        assert json.loads(reading.read())["jwks"] == before.decode()
    assert json.loads(record_in(shelf).read_text())["jwks"] == after.decode()
    assert not list(shelf.glob(".new-*"))


def test_of_many_issuers_that_are_down_a_token_finds_the_snapshot_at_once_and_the_others_are_read_later(
    fake_issuer: Any, issuer: Callable[..., Issuer], jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    many = [issuer(JwksUrl(f"{fake_issuer.url}/{number}"), name=f"{number}") for number in range(30)]

    async def before() -> None:
        store = KeyStore(many, directory=shelf, clocks=time.clocks)
        await store.refresh()
        await store.aclose()

    async def scene() -> None:
        store = KeyStore(many, directory=shelf, clocks=time.clocks, jitter=lambda: 0.5, patience=0.0)
        store.beat()
        await store.settle()
        assert store.keysets == {}
        assert {(view.origin, view.available) for view in store.view()} == {("kept", None)}
        assert store.missing == ()
        await store.need("7", "a")
        assert list(store.keysets) == ["7"]
        assert [view.name for view in store.view() if view.available] == ["7"]
        time.passes(spread(len(many)) + 2)
        store.beat()
        await store.settle()
        assert len(store.keysets) == len(many)
        assert {(view.origin, view.available) for view in store.view()} == {("snapshot", True)}
        await store.aclose()

    play(before())
    time.passes(1)
    fake_issuer.answer.status = 500
    asked = len(fake_issuer.requests)
    play(scene())
    assert asked == len(many)
    assert len(fake_issuer.requests) == asked, "the snapshots are not due yet"


def test_a_snapshot_keeps_the_validators_and_when_a_key_was_first_seen(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"ETag": '"v1"'}
    time = Time()
    began = time.wall
    fetched_once(url_issuer, shelf, time.clocks)
    fake_issuer.answer.status = 304
    time.passes(5000)
    fetched_once(url_issuer, shelf, time.clocks)
    assert fake_issuer.requests[1]["if-none-match"] == '"v1"'

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await store.refresh("idp")
        assert [key.first_seen for key in store.view()[0].keys] == [began]
        await store.aclose()

    play(scene())


def test_files_are_private_and_hold_no_secret(
    fake_issuer: Any, url_issuer: Issuer, issuer: Callable[..., Issuer], jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    secret = SharedSecret(b"correct horse battery staple, and more")
    hs = issuer(secret, name="hs", algorithms=("HS256",))

    async def scene() -> None:
        store = KeyStore([url_issuer, hs], directory=shelf)
        await store.refresh("idp")
        await store.aclose()

    play(scene())
    assert shelf.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in shelf.iterdir()} == {0o600}
    assert len(list(shelf.iterdir())) == 2
    assert not any(b"horse" in path.read_bytes() for path in shelf.iterdir())


def cut(record: Path, _: Time) -> None:
    record.write_bytes(record.read_bytes()[:100])


def emptied(record: Path, _: Time) -> None:
    record.write_bytes(b"")


def another_shape(record: Path, _: Time) -> None:
    record.write_bytes(b'{"issuer": 1}')


def no_jwks(record: Path, _: Time) -> None:
    record.write_bytes(record.read_bytes().replace(b"keys", b"nope"))


def readable_by_others(record: Path, _: Time) -> None:
    record.chmod(0o644)


def a_link(record: Path, _: Time) -> None:
    record.rename(record.with_name("elsewhere"))
    record.symlink_to(record.with_name("elsewhere"))


def from_the_future(_: Path, time: Time) -> None:
    time.wall -= 10_000


def too_old(_: Path, time: Time) -> None:
    time.passes(90_000)


def from_no_time(record: Path, _: Time) -> None:
    fields = json.loads(record.read_text())
    record.write_text(json.dumps(fields | {"confirmed_at": -5}))


def without_a_key(record: Path, _: Time) -> None:
    fields = json.loads(record.read_text())
    record.write_text(json.dumps(fields | {"jwks": '{"keys": []}'}))


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (cut, "it is damaged: "),
        (emptied, "it is damaged: "),
        (another_shape, "it is damaged: "),
        (no_jwks, "not a JWK Set: "),
        (readable_by_others, "expected a file that only we can read and write"),
        (a_link, "Too many levels of symbolic links"),
        (from_the_future, "it was written in the future"),
        (too_old, "the issuer confirmed it 90000 s ago, expected less than 86400 s (max_stale)"),
        (from_no_time, "the issuer confirmed it "),
        (without_a_key, "it holds no key that could verify a token of this issuer"),
    ],
)
def test_a_snapshot_that_cannot_be_trusted_is_ignored_with_a_word(
    fake_issuer: Any,
    url_issuer: Issuer,
    jwks: Any,
    shelf: Path,
    fault: Callable[[Path, Time], None],
    why: str,
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    record = record_in(shelf)
    fault(record, time)
    fake_issuer.answer.status = 500

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await store.need("idp", "a")
        assert kids(store) is None
        fake_issuer.answer.status = 200
        await store.refresh("idp")
        assert kids(store) == ["a"]
        await store.aclose()

    with capture_logs() as logs:
        play(scene())
    (said,) = [log["error"] for log in logs if log["event"] == "keys_snapshot_ignored"]
    assert said.startswith(f"{record}: this snapshot is not used: {why}")


def test_a_snapshot_older_than_max_stale_is_not_used(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    fake_issuer.answer.status = 500
    time.passes(86_401)

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await store.need("idp", "a")
        assert kids(store) is None
        await store.aclose()

    play(scene())


def test_a_snapshot_of_another_url_or_issuer_is_not_used(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    fake_issuer.answer.status = 500
    others = [
        replace(url_issuer, keys=JwksUrl(fake_issuer.url + "?tenant=b")),
        replace(url_issuer, issuer="http://other"),
        replace(url_issuer, name="other"),
    ]

    async def scene() -> None:
        for other in others:
            store = KeyStore([other], directory=shelf, clocks=time.clocks)
            await store.need(other.name, "a")
            assert store.keysets == {}
            await store.aclose()

    play(scene())


def test_keys_that_were_withdrawn_do_not_come_back_with_the_next_start(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await store.refresh("idp")
        fake_issuer.answer.body = b'{"keys": []}'
        await store.refresh("idp")
        time.passes(60)
        assert kids(store) == ["a"]
        await store.refresh("idp")
        assert kids(store) is None
        await store.aclose()
        fake_issuer.answer.status = 500
        again = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await again.need("idp", "a")
        assert kids(again) is None
        await again.aclose()

    play(scene())


EMPTY = b'{"keys": []}'


async def seconds(number: int, time: Time, *stores: KeyStore) -> None:
    """Let so many seconds pass, and what is due in each be done."""
    for _ in range(number):
        time.passes(1)
        for store in stores:
            store.beat()
            await store.settle()


@pytest.mark.parametrize("workers", [1, 2])
def test_one_empty_answer_and_an_outage_after_it_take_no_key_away_in_any_worker_nor_by_a_restart(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path, workers: int
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    def started() -> list[KeyStore]:
        return [KeyStore([url_issuer], directory=shelf, clocks=time.clocks) for _ in range(workers)]

    async def scene() -> None:
        stores = started()
        for store in stores:
            await store.refresh("idp")
        fake_issuer.answer.body = EMPTY
        await stores[0].refresh("idp")
        fake_issuer.answer.status = 500
        for _ in range(2):
            await seconds(300, time, *stores)
            assert [kids(store) for store in stores] == [["a"]] * workers
            assert record_in(shelf).exists()
            for store in stores:
                await store.aclose()
            stores = started()
        for store in stores:
            await store.need("idp", "a")
            # A second lone answer, after all that time.
            fake_issuer.answer.status = 200
            await store.refresh("idp")
            fake_issuer.answer.status = 500
            assert kids(store) == ["a"]
            await store.aclose()

    play(scene())
    assert record_in(shelf).exists()


def test_a_restart_between_two_empty_answers_begins_to_doubt_anew(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    """In the time between nobody asked: the issuer may have published anything."""
    fake_issuer.answer.body = jwks("a")
    time = Time()
    fetched_once(url_issuer, shelf, time.clocks)
    fake_issuer.answer.body = EMPTY

    async def scene() -> None:
        for _ in range(3):
            store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
            await store.refresh("idp")
            await seconds(1, time, store)
            assert kids(store) == ["a"]
            await store.aclose()
            time.passes(1000)
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await seconds(120, time, store)
        assert kids(store) is None
        await store.aclose()

    play(scene())
    assert not list(shelf.glob("*.json"))


def test_keys_that_one_worker_found_withdrawn_are_gone_from_all_at_once(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"Cache-Control": "max-age=3600"}
    time = Time()

    async def scene() -> None:
        stores = workers(url_issuer, shelf, time.clocks, 2)
        async with running(*stores):
            await until(all_hold(stores, "a"))
            fake_issuer.answer.body = EMPTY
            for _ in range(3):
                await stores[0].refresh("idp")
                time.passes(30)
            assert kids(stores[0]) is None
            await until(lambda: kids(stores[1]) is None)

    play(scene())


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_directory_that_others_can_enter_is_refused(shelf: Path, mode: int) -> None:
    shelf.mkdir()
    shelf.chmod(mode)
    with pytest.raises(StartError, match="chmod 700"):
        KeyStore([], directory=shelf)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="cannot keep issuers' keys there"):
        KeyStore([], directory=tmp_path / "file" / "keys")


def test_a_shelf_that_vanishes_costs_no_request(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf)
        shelf.rmdir()  # noqa: ASYNC240 - nothing else runs
        await store.need("idp", "a")
        assert kids(store) == ["a"]
        await store.aclose()

    play(scene())


# Workers


def workers(issuer: Issuer, shelf: Path, clocks: Clocks, number: int = 4) -> list[KeyStore]:
    return [KeyStore([issuer], directory=shelf, clocks=clocks) for _ in range(number)]


def all_hold(stores: list[KeyStore], *expected: str) -> Callable[[], bool]:
    return lambda: all(kids(store) == list(expected) for store in stores)


def test_four_workers_make_one_fetch_per_interval(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        stores = workers(url_issuer, shelf, time.clocks)
        async with running(*stores):
            await until(all_hold(stores, "a"))
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
        stores = workers(url_issuer, shelf, time.clocks)
        async with running(*stores):
            await until(all_hold(stores, "a"))
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
        stores = workers(url_issuer, shelf, time.clocks)
        async with running(*stores):
            await until(all_hold(stores, "a"))
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
            coming = second.need("idp", "new") if asks == "a token" else second.refresh("idp", since=time.wall)
            waiting = asyncio.create_task(coming)
            await asyncio.sleep(0.05)
            time.passes(0.1)
            go_on.set()
            assert await asking
            assert await waiting
            assert kids(second) == ["old", "new"]

    play(scene())
    assert len(fake_issuer.requests) == 3


def test_an_outage_is_tried_by_one_worker_at_a_time(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    issuer = replace(url_issuer, pace=Pace(retry_first=10, retry_most=10))

    async def scene() -> None:
        stores = workers(issuer, shelf, time.clocks)
        async with running(*stores):
            await until(all_hold(stores, "a"))
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
            since = clocks.wall()
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


# Clocks


@pytest.mark.parametrize("jump", [-1_000_000, 1_000_000])
def test_a_wall_clock_that_jumps_changes_nothing_for_running_workers(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path, jump: float
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()

    async def scene() -> None:
        stores = workers(url_issuer, shelf, time.clocks, 2)
        async with running(*stores):
            await until(all_hold(stores, "a"))
            time.wall += jump
            await asyncio.sleep(1.5)
            assert [kids(store) for store in stores] == [["a"], ["a"]]
            assert len(fake_issuer.requests) == 1
            fake_issuer.answer.body = jwks("a", "b")
            time.passes(280)
            await until(all_hold(stores, "a", "b"))

    play(scene())


# Start modes and the view


def test_an_issuer_that_is_required_is_missing_until_its_keys_are_there(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    required = replace(url_issuer, start="require")

    async def scene() -> None:
        store = KeyStore([required, replace(url_issuer, name="other")])
        missing = [store.missing]
        await store.refresh("idp")
        missing.append(store.missing)
        assert missing == [("idp",), ()]
        await store.aclose()

    play(scene())


def test_a_lazy_issuer_is_asked_when_the_first_token_comes(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        store = KeyStore([replace(url_issuer, start="lazy")])
        async with running(store):
            await asyncio.sleep(0.6)
            assert fake_issuer.requests == []
            await store.need("idp", "a")
            assert kids(store) == ["a"]

    play(scene())


def test_the_view_says_where_the_keys_stand_and_shows_no_secret(
    fake_issuer: Any, url_issuer: Issuer, issuer: Callable[..., Issuer], jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"Cache-Control": "max-age=1000"}
    time = Time()
    secret = SharedSecret(b"correct horse battery staple, and more")
    hs = issuer(secret, name="hs", algorithms=("HS256",))

    async def scene() -> None:
        store = KeyStore([url_issuer, hs], clocks=time.clocks, jitter=lambda: 0.5)
        await store.refresh("idp")
        time.passes(10)
        (key,) = store.keysets["idp"].keys
        store.used(key, time.wall)
        idp, static = store.view()
        assert (idp.available, idp.source, idp.origin) == (True, fake_issuer.url, "fetched")
        assert (idp.age, idp.next_refresh, idp.failures, idp.last_error) == (10, 790, 0, None)
        (seen,) = idp.keys
        assert (seen.kid, seen.algorithms, seen.thumbprint) == ("a", ("ES256",), key.thumbprint)
        assert (seen.first_seen, seen.last_used) == (time.wall - 10, time.wall)
        assert (static.available, static.source, static.age) == (True, "gateway.yaml", None)
        assert [key.thumbprint for key in static.keys] == [None]
        await store.aclose()

    play(scene())


def test_a_key_that_is_published_again_was_used_when_it_was(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        store = KeyStore([url_issuer])
        times = []
        for now in (100.0, 200.0):
            await store.refresh("idp")
            times += [key.last_used for view in store.view() for key in view.keys]
            (key,) = store.keysets["idp"].keys
            store.used(key, now)
            times += [key.last_used for view in store.view() for key in view.keys]
        assert times == [None, 100.0, 100.0, 200.0]
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 2


def test_an_issuer_is_unavailable_only_once_it_was_asked(fake_issuer: Any, url_issuer: Issuer) -> None:
    fake_issuer.answer.status = 500

    async def scene() -> None:
        store = KeyStore([replace(url_issuer, start="lazy")])
        stands = [(view.origin, view.available) for view in store.view()]
        await store.need("idp", "a")
        stands += [(view.origin, view.available) for view in store.view()]
        assert stands == [("pending", None), (None, False)]
        await store.aclose()

    play(scene())


@pytest.mark.parametrize(
    ("workers", "together"),
    [
        ([("kept", None), ("snapshot", True)], ("snapshot", True)),
        ([("pending", None), (None, False)], (None, False)),
        ([("fetched", True), (None, False)], ("fetched", False)),
        ([("kept", None), ("kept", None)], ("kept", None)),
    ],
)
def test_a_worker_that_has_not_asked_yet_speaks_only_for_itself(
    workers: list[tuple[Origin | Coming | None, bool | None]], together: tuple[str | None, bool | None]
) -> None:
    (view,) = merged(
        [
            IssuerView(
                name="idp",
                issuer="https://idp.example",
                tenants=0,
                source="https://idp.example/jwks",
                available=available,
                keys=(),
                origin=origin,
                age=1.0 if available else None,
            )
        ]
        for origin, available in workers
    )
    assert (view.origin, view.available) == together


def test_what_belongs_to_no_issuer_any_longer_is_removed_at_the_start(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, shelf: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    time = Time()
    other = replace(url_issuer, name="other")
    both = KeyStore([other, url_issuer], directory=shelf, clocks=time.clocks)

    async def fetch() -> None:
        await both.refresh()
        await both.aclose()

    play(fetch())
    # What is not ours stays, and so does a record that another worker writes at this moment.
    others = {"notes.txt", ".new-now"}
    for name in (*others, ".new-cut-off"):
        (shelf / name).touch()
    os.utime(shelf / ".new-cut-off", (0, 0))
    before = {file.name for file in shelf.iterdir()}
    KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
    after = {file.name for file in shelf.iterdir()}
    assert after >= others
    assert ".new-cut-off" not in after
    kept = after - others
    assert len(kept) == 2  # the record and the ledger
    assert kept < before
    # The other issuer's keys are not known when it is configured again, and the first one's still are.
    store = KeyStore([other, url_issuer], directory=shelf, clocks=time.clocks, patience=0.0)
    fake_issuer.answer.status = 500

    async def scene() -> None:
        for name in ("idp", "other"):
            await store.need(name, "a")
        await store.aclose()

    play(scene())
    assert list(store.keysets) == ["idp"]
