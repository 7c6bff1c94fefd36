"""An issuer that publishes no usable key: doubted at first, then obeyed, by all workers and the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jwtgate.jwks import KeyStore
from support.scenes import Time, fetched_once, kids, play, record_in, running_with, until, workers

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from jwtgate.plan import Issuer


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
        async with running_with(workers(url_issuer, shelf, time.clocks, 2), "a") as stores:
            fake_issuer.answer.body = EMPTY
            for _ in range(3):
                await stores[0].refresh("idp")
                time.passes(30)
            assert kids(stores[0]) is None
            await until(lambda: kids(stores[1]) is None)

    play(scene())
