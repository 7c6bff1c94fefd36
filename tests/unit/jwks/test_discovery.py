"""From an issuer's metadata to its keys."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from jwtgate.errors import KeyFetchError
from jwtgate.jwks import Clocks, KeyStore, fetch_once, metadata_urls
from jwtgate.jwks.discovery import read_metadata
from jwtgate.plan import Discovery

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jwtgate.plan import Issuer


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://idp.example",
            (
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ),
        ),
        (
            "https://idp.example/",
            (
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ),
        ),
        (
            "https://idp.example:8443/realms/a",
            (
                "https://idp.example:8443/realms/a/.well-known/openid-configuration",
                "https://idp.example:8443/.well-known/oauth-authorization-server/realms/a",
            ),
        ),
    ],
)
def test_the_metadata_is_where_the_standards_say(issuer: str, urls: tuple[str, ...]) -> None:
    assert metadata_urls(issuer) == urls


ISSUER = "https://idp.example"
PLACE = "https://idp.example/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"<html>", "expected one JSON object"),
        (b'{"jwks_uri": "https://idp.example/jwk"}', "metadata of None"),
        (b'{"issuer": "https://idp.example/", "jwks_uri": "https://idp.example/jwk"}', "exactly as its"),
        (b'{"issuer": "https://evil.example", "jwks_uri": "https://idp.example/jwk"}', "https://evil.example"),
        (b'{"issuer": ["https://idp.example"], "jwks_uri": "https://idp.example/jwk"}', "exactly as its"),
        (b'{"issuer": "https://idp.example"}', "has no jwks_uri"),
        (b'{"issuer": "https://idp.example", "jwks_uri": 1}', "has no jwks_uri"),
        (b'{"issuer": "https://idp.example", "jwks_uri": "http://idp.example/jwk"}', "not an https URL"),
        (b'{"issuer": "https://idp.example", "jwks_uri": "file:///jwk"}', "not an https URL"),
    ],
)
def test_metadata_of_another_issuer_or_without_keys_is_refused(document: bytes, text: str) -> None:
    with pytest.raises(KeyFetchError, match=text):
        read_metadata(document, Discovery(ISSUER, (PLACE,)), PLACE)


def test_the_keys_may_be_on_another_host_if_the_metadata_says_so() -> None:
    document = b'{"issuer": "https://idp.example", "jwks_uri": "https://keys.example/jwk"}'
    assert read_metadata(document, Discovery(ISSUER, (PLACE,)), PLACE) == "https://keys.example/jwk"


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


def test_metadata_is_asked_for_once_an_hour_and_again_when_the_keys_have_moved(
    fake_issuer: Any, discovered: Issuer, jwks: Any
) -> None:
    base = fake_issuer.url.removesuffix("/jwk")
    answer = type(fake_issuer.answer)
    metadata = answer(json.dumps({"issuer": base, "jwks_uri": f"{base}/keys"}).encode())
    fake_issuer.paths = {"/.well-known/openid-configuration": metadata, "/keys": answer(jwks("a"))}
    now = [1000.0]

    async def scene() -> list[str]:
        store = KeyStore([discovered], clocks=Clocks(lambda: now[0]))
        await store.refresh("idp")
        await store.refresh("idp")
        metadata.body = json.dumps({"issuer": base, "jwks_uri": f"{base}/moved"}).encode()
        fake_issuer.paths |= {"/moved": fake_issuer.paths.pop("/keys")}
        await store.refresh("idp")
        await store.refresh("idp")
        now[0] += 3600
        await store.refresh("idp")
        await store.aclose()
        return [request[":path"].rpartition("/")[2] for request in fake_issuer.requests]

    assert asyncio.run(scene()) == [
        "openid-configuration",
        "keys",
        "keys",
        "keys",  # gone
        "openid-configuration",
        "moved",
        "openid-configuration",
        "moved",
    ]
