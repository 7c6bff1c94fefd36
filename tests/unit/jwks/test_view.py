"""Start modes, and what there is to see."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from jwtgate.jwks import IssuerView, KeyStore, merged
from jwtgate.plan import SharedSecret
from support.scenes import Time, kids, play, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jwtgate.jwks.view import Coming, Origin
    from jwtgate.plan import Issuer


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
