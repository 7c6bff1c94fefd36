"""The key store against a real HTTP server: what a request finds in `keysets`, how often the issuer is asked."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from jwtgate.errors import KeyFetchError, KeyRefusedError
from jwtgate.jwks import Clocks, KeyStore, fetch_once
from jwtgate.jwks.report import Outage
from jwtgate.keys.freshness import Pace
from jwtgate.plan import Fetching, JwksFile, JwksUrl, SharedSecret
from support.scenes import kids, play, running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jwtgate.plan import Issuer


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> bool:
        self.now += seconds
        return True


def test_keys_arrive_in_the_background(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a", "b")

    async def scene() -> None:
        async with running(KeyStore([url_issuer])) as store:
            assert store.keysets == {}
            await until(lambda: kids(store) == ["a", "b"])

    play(scene())
    assert len(fake_issuer.requests) == 1


def test_a_request_that_comes_first_waits_for_the_fetch(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        store = KeyStore([url_issuer])
        await store.need("idp", "a")
        assert kids(store) == ["a"]
        await store.aclose()

    play(scene())


def test_a_request_waits_no_longer_than_its_patience(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")
    go_on = threading.Event()
    fake_issuer.answer.before = go_on.wait

    async def scene() -> None:
        store = KeyStore([url_issuer], patience=0.1)
        await store.need("idp", "a")
        assert kids(store) is None
        go_on.set()
        await until(lambda: kids(store) == ["a"])
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 1


def test_many_requests_at_once_share_one_fetch(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        async with running(KeyStore([url_issuer])) as store:
            await asyncio.gather(*(store.need("idp", "a") for _ in range(50)))
            assert kids(store) == ["a"]

    play(scene())
    assert len(fake_issuer.requests) == 1


def test_an_unknown_kid_brings_the_new_key_at_once(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("old")

    async def scene() -> None:
        async with running(KeyStore([url_issuer])) as store:
            await until(lambda: kids(store) == ["old"])
            fake_issuer.answer.body = jwks("old", "new")
            await store.need("idp", "new")
            assert kids(store) == ["old", "new"]

    play(scene())


@pytest.mark.parametrize("asks", ["a token", "a person"])
def test_a_fetch_that_left_before_a_key_was_published_does_not_stand_for_the_one_that_brings_it(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, asks: str
) -> None:
    fake_issuer.answer.body = jwks("old")
    clock, go_on = Clock(), threading.Event()

    async def scene() -> None:
        async with running(KeyStore([url_issuer], clocks=Clocks(clock))) as store:
            await until(lambda: kids(store) == ["old"])
            fake_issuer.answer.before = go_on.wait
            clock.passes(300)
            await until(lambda: len(fake_issuer.requests) == 2)
            fake_issuer.answer = replace(fake_issuer.answer, body=jwks("old", "new"), before=lambda: None)
            clock.passes(0.1)
            asking = asyncio.create_task(store.need("idp", "new") if asks == "a token" else store.refresh("idp"))
            await asyncio.sleep(0.05)
            go_on.set()
            assert await asking
            assert kids(store) == ["old", "new"]

    play(scene())
    assert len(fake_issuer.requests) == 3


def test_a_key_without_a_name_is_asked_for_anew_once_per_min_refetch(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a").replace(b'"kid": "a", ', b"")
    clock = Clock()

    async def scene() -> None:
        async with running(KeyStore([url_issuer], clocks=Clocks(clock))) as store:
            await until(lambda: kids(store) == [None])
            before = store.keysets["idp"]
            fake_issuer.answer.body = jwks("a").replace(b'"kid": "a", ', b"")
            clock.passes(1)
            assert await store.need("idp", None, before)
            assert store.keysets["idp"].digest != before.digest
            for _ in range(20):
                clock.passes(1)
                await store.need("idp", None, store.keysets["idp"])
            # It was tried before the last change: there is another one to try.
            assert await store.need("idp", None, before)

    play(scene())
    assert len(fake_issuer.requests) == 4


def test_a_fetch_that_a_person_waits_for_in_vain_is_no_success(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    go_on = threading.Event()
    fake_issuer.answer.before = go_on.wait

    async def scene() -> None:
        store = KeyStore([url_issuer])
        assert not await store.refresh("idp", patience=0.1)
        go_on.set()
        assert await store.refresh("idp")
        fake_issuer.answer.status = 500
        assert not await store.refresh("idp"), "it has ended, and brought nothing"
        await store.aclose()

    play(scene())


def test_a_fetch_that_begins_as_another_one_ends_is_waited_for_by_all(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    go_on = threading.Event()

    async def scene() -> None:
        store = KeyStore([url_issuer])

        async def need_as_it_ends() -> bool:
            while kids(store) is None:  # noqa: ASYNC110 - in the very turn of the loop in which the set comes
                await asyncio.sleep(0)
            fake_issuer.answer = replace(fake_issuer.answer, body=jwks("a", "b"), before=go_on.wait)
            return await store.need("idp", "b")

        first = asyncio.create_task(need_as_it_ends())
        await store.refresh("idp")
        await until(lambda: len(fake_issuer.requests) == 2)
        second = asyncio.create_task(store.need("idp", "b"))
        await asyncio.sleep(0.05)
        assert not second.done()
        go_on.set()
        assert await first
        assert await second
        assert kids(store) == ["a", "b"]
        await store.aclose()

    play(scene())


def test_ten_thousand_unknown_kids_are_one_fetch_per_min_refetch(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    clock = Clock()

    async def scene() -> None:
        async with running(KeyStore([url_issuer], clocks=Clocks(clock))) as store:
            await until(lambda: kids(store) == ["a"])
            for number in range(10_000):
                clock.now = 1000 + number / 400  # 25 s
                await store.need("idp", f"random-{number}")

    play(scene())
    # The first fetch, and one at 0 s, 10 s and 20 s.
    assert len(fake_issuer.requests) == 4


def test_an_issuer_that_is_not_ours_is_nobody(url_issuer: Issuer) -> None:
    assert asyncio.run(KeyStore([url_issuer]).need("stranger", "a"))


def test_whether_a_key_is_unknown_is_known_only_after_an_answer(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    clock = Clock()

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(clock))
        await store.refresh("idp")
        assert await store.need("idp", "1"), "asked, and answered"
        assert await store.need("idp", "2"), "answered less than min_refetch ago"
        fake_issuer.answer.status = 500
        clock.passes(11)
        assert not await store.need("idp", "3"), "asked, in vain"
        assert not await store.need("idp", "4"), "in vain less than min_refetch ago"
        fake_issuer.answer.status = 200
        await store.refresh("idp")
        assert await store.need("idp", "5"), "answered since"
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 4


def test_a_fetch_that_hangs_is_waited_for_once(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")
    clock, go_on = Clock(), threading.Event()

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(clock), patience=30)
        await store.refresh("idp")
        fake_issuer.answer.before = go_on.wait
        first = asyncio.create_task(store.need("idp", "1"))
        await until(lambda: len(fake_issuer.requests) == 2)
        clock.passes(20)
        second = asyncio.create_task(store.need("idp", "2"))
        await asyncio.sleep(0.05)
        assert not second.done(), "another 10 s"
        clock.passes(10)
        async with asyncio.timeout(5):
            assert not await store.need("idp", "3"), "at once"
        go_on.set()
        assert await first
        assert await second
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 3, (
        "what was asked 20 s before the second token came says nothing of its key"
    )


def test_a_failing_issuer_keeps_its_last_good_set_until_max_stale(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    clock = Clock()
    issuer = replace(url_issuer, pace=Pace(max_stale=5000))

    async def scene() -> None:
        async with running(KeyStore([issuer], clocks=Clocks(clock))) as store:
            await until(lambda: kids(store) == ["a"])
            fake_issuer.answer.status = 500
            clock.now += 4999
            await until(lambda: len(fake_issuer.requests) > 1)
            assert kids(store) == ["a"]
            clock.now += 1
            await until(lambda: kids(store) is None)
            fake_issuer.answer.status = 200
            await until(lambda: clock.passes(1) and kids(store) == ["a"])

    play(scene())


def test_an_issuer_that_starts_after_us_is_found_within_seconds(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.status = 502

    async def scene() -> None:
        async with running(KeyStore([url_issuer])) as store:
            await until(lambda: len(fake_issuer.requests) == 2)
            fake_issuer.answer.status = 200
            fake_issuer.answer.body = jwks("a")
            await until(lambda: kids(store) == ["a"])

    play(scene())


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"keys": [{"kty"', b"[]", b'{"keys": 1}', b"\xff\xfe"])
def test_a_broken_document_replaces_nothing(fake_issuer: Any, url_issuer: Issuer, jwks: Any, body: bytes) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        async with running(KeyStore([url_issuer])) as store:
            await until(lambda: kids(store) == ["a"])
            fake_issuer.answer.body = body
            await store.refresh("idp")
            assert kids(store) == ["a"]

    play(scene())
    assert len(fake_issuer.requests) == 2


@pytest.mark.parametrize(
    "body", [b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', b'{"keys": [{"kty": "XYZ"}]}']
)
def test_a_set_without_a_usable_key_is_obeyed_only_when_it_stays(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, body: bytes
) -> None:
    fake_issuer.answer.body = jwks("a")
    clock = Clock()

    async def scene() -> None:
        async with running(KeyStore([url_issuer], clocks=Clocks(clock))) as store:
            await until(lambda: kids(store) == ["a"])
            fake_issuer.answer.body = body
            fake_issuer.answer.headers = {"ETag": '"empty"'}
            await store.refresh("idp")
            clock.now += 59
            await store.refresh("idp")
            assert kids(store) == ["a"]
            clock.now += 1
            await store.refresh("idp")
            assert kids(store) is None

    play(scene())


def test_an_unchanged_set_costs_a_304_and_stays_the_same_object(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"ETag": '"v1"'}

    clock = Clock()

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(clock))
        await store.refresh("idp")
        before = store.keysets["idp"]
        fake_issuer.answer.status = 304
        fake_issuer.answer.body = b""
        clock.passes(300)
        store.beat()
        await store.settle()
        assert store.keysets["idp"] is before
        await store.aclose()

    play(scene())
    assert fake_issuer.requests[1]["if-none-match"] == '"v1"'


def test_a_person_who_asks_is_not_told_that_nothing_has_changed(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    """A cache between may say so wrongly."""
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"ETag": '"v1"'}

    async def scene() -> None:
        store = KeyStore([url_issuer])
        await store.refresh("idp")
        await store.refresh("idp")
        await store.aclose()

    play(scene())
    assert [request.get("if-none-match") for request in fake_issuer.requests] == [None, None]
    assert {request["cache-control"] for request in fake_issuer.requests} == {"no-cache"}


def test_unchanged_is_no_answer_once_the_set_was_given_up(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"ETag": '"v1"'}
    clock, go_on = Clock(), threading.Event()

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(clock), patience=0.05)
        store.beat()
        await store.settle()
        fake_issuer.answer.status = 304
        fake_issuer.answer.before = go_on.wait
        await store.need("idp", "b")
        clock.passes(86_400)
        store.beat()
        go_on.set()
        await store.settle()
        assert kids(store) is None
        fake_issuer.answer.status = 200
        clock.passes(2)
        store.beat()
        await store.settle()
        assert kids(store) == ["a"]
        await store.aclose()

    play(scene())
    assert [request.get("if-none-match") for request in fake_issuer.requests] == [None, '"v1"', None]


def test_a_mistake_of_ours_is_logged_and_the_fetch_is_tried_again(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    clock = Clock()
    dice = iter([None, 0.5, 0.5])

    def jitter() -> float:
        rolled = next(dice)
        if rolled is None:
            raise ZeroDivisionError
        return rolled

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(clock), jitter=jitter)
        for _ in range(2):
            store.beat()
            await store.settle()
            clock.passes(2)
        assert kids(store) == ["a"]
        await store.aclose()

    with capture_logs() as logs:
        play(scene())
    assert ("keys_fetch_bug", "error") in [(log["event"], log["log_level"]) for log in logs]
    assert len(fake_issuer.requests) == 2


def test_a_hostile_kid_cannot_write_a_line_of_its_own_into_the_log(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a", "b\\n\u001b[2J").replace(b'"alg": "ES256"', b'"alg": "ES\\u001b[2J\\n"', 1)

    async def scene() -> None:
        store = KeyStore([url_issuer])
        await store.refresh("idp")
        await store.aclose()

    with capture_logs() as logs:
        play(scene())
    assert logs
    assert all(str(value).isprintable() for log in logs for value in log.values())


def test_an_equal_set_that_is_sent_again_stays_the_same_object(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        store = KeyStore([url_issuer])
        await store.refresh("idp")
        before = store.keysets["idp"]
        await store.refresh("idp")
        assert store.keysets["idp"] is before
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == 2


def test_the_issuers_lifetime_decides_when_it_is_asked_again(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")
    fake_issuer.answer.headers = {"Cache-Control": "max-age=1000"}
    clock = Clock()

    async def scene() -> None:
        async with running(KeyStore([url_issuer], clocks=Clocks(clock), jitter=lambda: 0.5)) as store:
            await until(lambda: kids(store) == ["a"])
            clock.now += 799
            await asyncio.sleep(0.6)
            assert len(fake_issuer.requests) == 1
            clock.now += 1
            await until(lambda: len(fake_issuer.requests) == 2)

    play(scene())


def test_a_file_is_read_again_when_it_changes(tmp_path: Path, issuer: Callable[..., Issuer], jwks: Any) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks("a"))

    async def scene() -> None:
        async with running(KeyStore([issuer(JwksFile(path))])) as store:
            await until(lambda: kids(store) == ["a"])
            path.write_bytes(jwks("a", "b"))
            await until(lambda: kids(store) == ["a", "b"])
            path.unlink()
            with capture_logs() as logs:
                await until(lambda: any(log["event"] == "keys_fetch_failed" for log in logs))
            assert kids(store) == ["a", "b"]

    play(scene())


@pytest.mark.parametrize("source", ["a file", "the disk"])
def test_requests_are_answered_while_a_large_set_is_read(
    fake_issuer: Any, url_issuer: Issuer, issuer: Callable[..., Issuer], jwks: Any, tmp_path: Path, source: str
) -> None:
    """Both are there at once: what takes long is to look at each key."""
    (key,) = json.loads(jwks("a"))["keys"]
    keys = [key | {"kid": f"{number}"} for number in range(5000)]
    body = json.dumps({"keys": keys}).encode()
    if source == "a file":
        file = tmp_path / "keys.json"
        file.write_bytes(body)
        large = issuer(JwksFile(file))
    else:
        fake_issuer.answer.body = body
        large = replace(url_issuer, keys=JwksUrl(fake_issuer.url, Fetching(max_keys=len(keys))))

    async def scene() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        if source == "the disk":
            before = KeyStore([large], directory=tmp_path / "shelf", patience=60)
            await before.need("idp", "0")
            await before.aclose()
        store = KeyStore([large], directory=tmp_path / "shelf", patience=60)
        beside = asyncio.create_task(others())
        await store.need("idp", "4999")
        beside.cancel()
        assert "4999" in (kids(store) or ())
        assert turns > 20
        await store.aclose()

    play(scene())
    assert len(fake_issuer.requests) == (source == "the disk")


def test_a_shared_secret_is_there_from_the_start(issuer: Callable[..., Issuer]) -> None:
    store = KeyStore([issuer(SharedSecret(b"correct horse battery staple, and more"), algorithms=("HS256",))])
    assert kids(store) == [None]


def test_a_shared_secret_that_is_too_short_is_refused(issuer: Callable[..., Issuer]) -> None:
    with pytest.raises(KeyRefusedError):
        KeyStore([issuer(SharedSecret(b"short"), algorithms=("HS256",))])


def test_keys_are_never_looked_up_across_issuers(
    fake_issuer: Any, url_issuer: Issuer, issuer: Callable[..., Issuer], jwks: Any, tmp_path: Path
) -> None:
    fake_issuer.answer.body = jwks("a")
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks("b"))

    async def scene() -> None:
        other = issuer(JwksFile(path), name="other")
        async with running(KeyStore([url_issuer, other])) as store:
            await until(lambda: len(store.keysets) == 2)
            assert (kids(store), kids(store, "other")) == (["a"], ["b"])

    play(scene())


def test_one_failing_issuer_does_not_hold_up_another(
    fake_issuer: Any, url_issuer: Issuer, issuer: Callable[..., Issuer], jwks: Any, tmp_path: Path
) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks("b"))
    go_on = threading.Event()
    fake_issuer.answer.before = go_on.wait

    async def scene() -> None:
        other = issuer(JwksFile(path), name="other")
        async with running(KeyStore([url_issuer, other])) as store:
            await until(lambda: kids(store, "other") == ["b"])
            assert kids(store) is None
        go_on.set()

    play(scene())


def test_the_first_fetches_of_many_issuers_are_spread_but_for_those_that_are_needed(
    fake_issuer: Any, issuer: Callable[..., Issuer], jwks: Any
) -> None:
    """316 issuers in 6 s, after the 2 s of the start, at a moment that chance decides: here by their number."""
    fake_issuer.answer.body = jwks("a")
    clock, dice = Clock(), iter([number / 315 for number in range(315)] + 1000 * [0.5])
    many = [issuer(JwksUrl(f"{fake_issuer.url}/{number}"), name=f"{number}") for number in range(315)]
    required = replace(issuer(JwksUrl(f"{fake_issuer.url}/required"), name="required"), start="require")

    async def scene() -> None:
        store = KeyStore([*many, required], clocks=Clocks(clock), jitter=lambda: next(dice))

        async def asked(at: float) -> int:
            clock.now = 1000 + at
            store.beat()
            await store.settle()
            return len(fake_issuer.requests)

        assert await asked(0) == 1
        assert set(store.keysets) == {"required"}
        assert await asked(2) == 2
        assert set(store.keysets) == {"0", "required"}
        await store.need("300", "a")
        assert "300" in store.keysets
        assert await asked(5) == pytest.approx(3 + 157, abs=2)
        assert await asked(8) == len(many) + 1
        await store.aclose()

    play(scene())


def test_many_issuers_that_are_down_are_not_asked_each_second(
    fake_issuer: Any, issuer: Callable[..., Issuer]
) -> None:
    fake_issuer.answer.status = 500
    clock = Clock()
    many = [issuer(JwksUrl(f"{fake_issuer.url}/{number}"), name=f"{number}") for number in range(116)]

    async def scene() -> None:
        store = KeyStore(many, clocks=Clocks(clock), jitter=lambda: 0.5)
        for second in range(3, 9):  # the first fetch of each after 3 s, then one each 2 s
            clock.now = 1000 + second
            store.beat()
            await store.settle()
        assert len(fake_issuer.requests) == 3 * len(many)
        await store.aclose()

    play(scene())


def test_each_fault_of_an_outage_is_a_warning_once_and_its_end_a_line(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    async def scene() -> None:
        store = KeyStore([url_issuer])
        for status in (500, 500, 404, 500, 404, 200, 404):
            fake_issuer.answer.status = status
            fake_issuer.answer.body = jwks("a")
            await store.refresh("idp")
        await store.aclose()

    with capture_logs() as logs:
        play(scene())
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("keys_fetch_failed", "warning"),
        ("keys_fetch_failed", "debug"),
        ("keys_fetch_failed", "warning"),
        ("keys_fetch_failed", "debug"),
        ("keys_fetch_failed", "debug"),
        ("keys_changed", "info"),
        ("keys_fetch_recovered", "info"),
        ("keys_fetch_failed", "warning"),
    ]


def test_an_outage_with_ever_new_faults_does_not_fill_the_log() -> None:
    outage = Outage()
    assert sum(outage.is_new(f"fault {number}") for number in range(100)) == 8
    outage.ends()
    assert outage.is_new("fault 99")


def test_a_change_of_the_set_is_logged_by_kid_and_never_with_a_key(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    first = jwks("stays", "goes")
    fake_issuer.answer.body = first

    async def scene() -> None:
        store = KeyStore([url_issuer])
        await store.refresh("idp")
        fake_issuer.answer.body = first.replace(b'"goes"', b'"comes"')
        await store.refresh("idp")
        await store.aclose()

    with capture_logs() as logs:
        play(scene())
    # The same key under another name: what a token can name has changed, so both names are told.
    assert [(key["kid"], len(key["thumbprint"])) for key in logs[1]["added"]] == [("comes", 43)]
    assert [key["kid"] for key in logs[1]["removed"]] == ["goes"]
    assert '"x"' not in repr(logs)


def test_fetch_once_returns_the_set_or_says_why_not(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")
    assert [key.kid for key in asyncio.run(fetch_once(url_issuer)).keys] == ["a"]
    fake_issuer.answer.body = b"{"
    with pytest.raises(KeyRefusedError, match="not a JWK Set"):
        asyncio.run(fetch_once(url_issuer))
    fake_issuer.answer.status = 404
    with pytest.raises(KeyFetchError, match="status 404"):
        asyncio.run(fetch_once(url_issuer))


# What the issuer says about the lifetime of its set, and after how many seconds at the latest a key that it has
# removed is refused: nine tenths of that, within the bounds of `refresh`.
REMOVED_WITHIN = [
    ("max-age=100", 90),
    ("max-age=60", 54),
    ("max-age=5", 54),
    ("max-age=86400", 3240),
    ("", 270),
    ("no-store", 54),
]


@pytest.mark.parametrize(("says", "seconds"), REMOVED_WITHIN)
def test_a_removed_key_is_refused_within_nine_tenths_of_the_lifetime(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, says: str, seconds: float
) -> None:
    fake_issuer.answer.body = jwks("removed")
    fake_issuer.answer.headers = {"Cache-Control": says}
    clock = Clock()

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(clock), jitter=lambda: 0.999999)
        store.beat()
        await store.settle()
        fake_issuer.answer.body = jwks("stays")
        clock.passes(seconds - 1)
        store.beat()
        await store.settle()
        assert kids(store) == ["removed"]
        clock.passes(1)
        store.beat()
        await store.settle()
        assert kids(store) == ["stays"]
        await store.aclose()

    play(scene())


def test_the_docs_say_how_long_a_removed_key_is_accepted() -> None:
    docs = " ".join((Path(__file__).parents[3] / "docs" / "keys.md").read_text().split())
    within, pace = dict(REMOVED_WITHIN), Pace()
    assert max(within.values()) == within["max-age=86400"] == 0.9 * pace.most
    assert (
        f"which is {within['max-age=86400'] / 60:g} minutes after the last one at the latest (90 % of an hour; "
        f"{within['max-age=60']:g} s if the issuer says `max-age=60` or less; "
        f"{within[''] / 60:g} minutes if it says nothing)"
    ) in docs
    assert (
        f"at least {pace.least:g} s and at most an hour; {pace.default / 60:g} minutes when it says nothing"
    ) in docs
    assert f"at most one each {pace.min_refetch:g} s (`min_refetch`)" in docs
    assert f"has not confirmed it for {pace.max_stale / 3600:g} h (`max_stale`)" in docs
    assert pace.most == 3600
