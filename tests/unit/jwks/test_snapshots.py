"""The sets that are kept on disk, and what the next start makes of them."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.errors import StartError
from jwtgate.jwks import KeyStore
from jwtgate.keys.freshness import spread
from jwtgate.plan import JwksUrl, SharedSecret
from support.scenes import Time, fetched_once, kids, play, record_in, running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from jwtgate.plan import Issuer


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

    async def scene() -> None:
        store = KeyStore([url_issuer], directory=shelf, clocks=time.clocks)
        await store.need("idp", "b")
        assert fake_issuer.requests[1]["if-none-match"] == '"v1"'
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


def a_directory(record: Path, _: Time) -> None:
    record.unlink()
    record.mkdir(mode=0o700)


def a_link(record: Path, _: Time) -> None:
    record.rename(record.with_name("elsewhere"))
    record.symlink_to(record.with_name("elsewhere"))


def from_the_future(_: Path, time: Time) -> None:
    time.boots()
    time.wall -= 10_000


def too_old(_: Path, time: Time) -> None:
    time.passes(90_000)


def from_no_time(record: Path, time: Time) -> None:
    time.boots()
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
        (a_directory, "expected a file that only we can read and write"),
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
