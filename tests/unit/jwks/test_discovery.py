"""From an issuer's metadata to its keys."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from jwtgate.errors import KeyFetchError
from jwtgate.jwks import Clocks, KeyStore, fetch_once
from jwtgate.keys.metadata import metadata_urls
from jwtgate.plan import Discovery, Fetching

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jwtgate.plan import Issuer


@pytest.fixture
def discovered(fake_issuer: Any, issuer: Callable[..., Issuer]) -> Issuer:
    base = fake_issuer.url.removesuffix("/jwk")
    fake_issuer.answer.status = 404
    return issuer(Discovery(base, metadata_urls(base)))


@pytest.mark.parametrize("place", ["openid-configuration", "oauth-authorization-server"])
def test_keys_are_found_through_either_metadata(
    fake_issuer: Any, discovered: Issuer, jwks: Any, place: str
) -> None:
    base = fake_issuer.url.removesuffix("/jwk")
    answer = type(fake_issuer.answer)
    metadata = json.dumps({"issuer": base, "jwks_uri": f"{base}/keys"}).encode()
    fake_issuer.paths = {f"/.well-known/{place}": answer(metadata), "/keys": answer(jwks("a"))}
    assert [key.kid for key in asyncio.run(fetch_once(discovered)).keys] == ["a"]


def test_no_metadata_is_a_fault_that_names_each_place(fake_issuer: Any, discovered: Issuer) -> None:
    with pytest.raises(KeyFetchError, match=r"openid-configuration.*404.*oauth-authorization-server.*404"):
        asyncio.run(fetch_once(discovered))
    assert len(fake_issuer.requests) == 2


def test_a_page_for_everything_does_not_hide_the_other_metadata(
    fake_issuer: Any, discovered: Issuer, jwks: Any
) -> None:
    base = fake_issuer.url.removesuffix("/jwk")
    answer = type(fake_issuer.answer)
    fake_issuer.answer = answer(b"<html>", headers={"Content-Type": "text/html"})
    metadata = json.dumps({"issuer": base, "jwks_uri": f"{base}/keys"}).encode()
    fake_issuer.paths = {"/.well-known/oauth-authorization-server": answer(metadata), "/keys": answer(jwks("a"))}
    assert [key.kid for key in asyncio.run(fetch_once(discovered)).keys] == ["a"]


def test_a_byte_order_mark_is_ignored(fake_issuer: Any, discovered: Issuer, jwks: Any) -> None:
    base = fake_issuer.url.removesuffix("/jwk")
    answer, mark = type(fake_issuer.answer), b"\xef\xbb\xbf"
    metadata = json.dumps({"issuer": base, "jwks_uri": f"{base}/keys"}).encode()
    fake_issuer.paths = {
        "/.well-known/openid-configuration": answer(mark + metadata),
        "/keys": answer(mark + jwks("a")),
    }
    assert [key.kid for key in asyncio.run(fetch_once(discovered)).keys] == ["a"]


@pytest.mark.parametrize(("host", "sent"), [("127.0.0.1", "word"), ("localhost", None)])
def test_configured_headers_go_to_no_other_place_than_the_configured_one(
    fake_issuer: Any, discovered: Issuer, jwks: Any, host: str, sent: str | None
) -> None:
    """The metadata names where the keys are, and could name anybody."""
    base = fake_issuer.url.removesuffix("/jwk")
    answer = type(fake_issuer.answer)
    metadata = {"issuer": base, "jwks_uri": f"{base}/keys".replace("127.0.0.1", host)}
    fake_issuer.paths = {
        "/.well-known/openid-configuration": answer(json.dumps(metadata).encode()),
        "/keys": answer(jwks("a")),
    }
    assert isinstance(discovered.keys, Discovery)
    keys = replace(discovered.keys, fetching=Fetching(headers=(("X-Api-Key", "word"),)))
    asyncio.run(fetch_once(replace(discovered, keys=keys)))
    assert [request.get("x-api-key") for request in fake_issuer.requests] == ["word", sent]


def test_a_person_who_asks_has_the_metadata_read_anew(fake_issuer: Any, discovered: Issuer, jwks: Any) -> None:
    """After a break-in the keys may have moved, with the old ones still where they were."""
    base = fake_issuer.url.removesuffix("/jwk")
    answer = type(fake_issuer.answer)
    metadata = answer(json.dumps({"issuer": base, "jwks_uri": f"{base}/old"}).encode())
    fake_issuer.paths = {
        "/.well-known/openid-configuration": metadata,
        "/old": answer(jwks("old")),
        "/new": answer(jwks("new")),
    }

    async def scene() -> None:
        store = KeyStore([discovered])
        await store.need("idp", "old")
        metadata.body = json.dumps({"issuer": base, "jwks_uri": f"{base}/new"}).encode()
        assert await store.refresh("idp")
        assert [key.kid for key in store.keysets["idp"].keys] == ["new"]
        await store.aclose()

    asyncio.run(scene())


def test_metadata_is_asked_for_once_an_hour_and_again_when_the_keys_have_moved(
    fake_issuer: Any, discovered: Issuer, jwks: Any
) -> None:
    base = fake_issuer.url.removesuffix("/jwk")
    answer = type(fake_issuer.answer)
    metadata = answer(json.dumps({"issuer": base, "jwks_uri": f"{base}/keys"}).encode())
    fake_issuer.paths = {
        "/.well-known/openid-configuration": metadata,
        "/keys": answer(jwks("a"), headers={"ETag": '"v1"'}),
    }
    now = [1000.0]

    async def scene() -> list[tuple[str, str | None]]:
        store = KeyStore([discovered], clocks=Clocks(lambda: now[0]))

        async def later(seconds: int) -> None:
            now[0] += seconds
            store.beat()
            await store.settle()

        await later(0)
        await later(300)
        metadata.body = json.dumps({"issuer": base, "jwks_uri": f"{base}/moved"}).encode()
        fake_issuer.paths |= {"/moved": fake_issuer.paths.pop("/keys")}
        await later(300)
        await later(300)
        await later(3600)
        await store.aclose()
        return [
            (request[":path"].rpartition("/")[2], request.get("if-none-match")) for request in fake_issuer.requests
        ]

    assert asyncio.run(scene()) == [
        ("openid-configuration", None),
        ("keys", None),
        ("keys", '"v1"'),
        ("keys", '"v1"'),  # gone
        ("openid-configuration", None),
        ("moved", None),  # what is held came from elsewhere
        ("openid-configuration", None),
        ("moved", '"v1"'),
    ]
