"""Issuers that have their keys in common, and what several issuers must not cost each other."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate.jwks import Clocks, KeyStore
from jwtgate.plan import Discovery, JwksUrl, Template
from support.scenes import kids, play, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.plan import Issuer, KeySource


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Where a connection is taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/jwk"


ENTRA = Template("entra", "https://login.example/{tenant}/v2.0")


def tenants(issuer: Issuer, *names: str, keys: KeySource | None = None) -> list[Issuer]:
    """Issuers as gateway.yaml's `tenants` makes them."""
    return [
        replace(
            issuer,
            name=f"entra/{name}",
            issuer=f"https://login.example/{name}/v2.0",
            keys=keys or issuer.keys,
            tenant_of=ENTRA,
        )
        for name in names
    ]


def test_tenants_with_common_keys_share_a_fetch_and_a_set(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        async with running(KeyStore(tenants(url_issuer, "a", "b", "c"))) as store:
            await until(lambda: len(store.keysets) == 3)
            assert len(fake_issuer.requests) == 1
            assert len({id(keyset) for keyset in store.keysets.values()}) == 1
            (view,) = store.view()
            assert (view.name, view.issuer, view.tenants) == ("entra", ENTRA.issuer, 3)

    play(scene())


def test_a_key_that_names_its_tenant_is_nobody_elses(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    common, mine = (json.loads(jwks(kid))["keys"][0] for kid in ("common", "mine"))
    common["issuer"] = "https://login.example/{tenantid}/v2.0"
    mine["issuer"] = "https://login.example/b/v2.0"
    fake_issuer.answer.body = json.dumps({"keys": [common, mine]}).encode()

    async def scene() -> None:
        async with running(KeyStore(tenants(url_issuer, "a", "b", "c"))) as store:
            await until(lambda: len(store.keysets) == 3)
            assert kids(store, "entra/a") == ["common"]
            assert kids(store, "entra/b") == ["common", "mine"]
            assert kids(store, "entra/c") == ["common"]

    play(scene())


def test_a_tenant_whose_keys_are_all_other_issuers_is_unavailable(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    mine = json.loads(jwks("mine"))["keys"][0] | {"issuer": "https://login.example/b/v2.0"}
    fake_issuer.answer.body = json.dumps({"keys": [mine]}).encode()

    async def scene() -> None:
        async with running(KeyStore(tenants(url_issuer, "a", "b"))) as store:
            await until(lambda: kids(store, "entra/b"))
            assert kids(store, "entra/a") is None

    play(scene())


def test_the_metadata_of_all_tenants_is_the_templates(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    base = fake_issuer.url.removesuffix("/jwk")
    template = ENTRA.issuer.replace("{tenant}", "{tenantid}")
    fake_issuer.answer.body = jwks("a")
    fake_issuer.paths["/common"] = type(fake_issuer.answer)(
        json.dumps({"issuer": template, "jwks_uri": fake_issuer.url}).encode()
    )
    keys = Discovery(template, (f"{base}/common",))

    async def scene() -> None:
        async with running(KeyStore(tenants(url_issuer, "a", "b", keys=keys))) as store:
            await until(lambda: len(store.keysets) == 2)
            assert [request[":path"] for request in fake_issuer.requests] == ["/common", "/jwk"]

    play(scene())


def test_a_refresh_is_asked_for_by_the_names_that_people_know(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    fake_issuer.answer.body = jwks("a")

    async def scene() -> None:
        store = KeyStore([url_issuer, *tenants(url_issuer, "a", "b")])
        fetched = []
        for name in ("idp", "entra", "entra/b", None):
            before = len(fake_issuer.requests)
            assert await store.refresh(name)
            fetched.append((name, len(fake_issuer.requests) - before))
        for name in ("entra/z", "stranger"):
            with pytest.raises(KeyError):
                await store.refresh(name)
        await store.aclose()
        assert fetched == [("idp", 1), ("entra", 1), ("entra/b", 1), (None, 2)]

    play(scene())


def test_a_token_before_the_first_set_leaves_the_fetch_that_a_rotation_needs(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any
) -> None:
    old, new = (json.loads(jwks(kid))["keys"][0] for kid in ("old", "new"))
    fake_issuer.answer.body = json.dumps({"keys": [old]}).encode()
    now = 1000.0

    async def scene() -> None:
        store = KeyStore([url_issuer], clocks=Clocks(lambda: now))
        await store.need("idp", "old")
        fake_issuer.answer.body = json.dumps({"keys": [old, new]}).encode()
        await store.need("idp", "new")
        assert kids(store) == ["old", "new"]
        await store.need("idp", "newer")
        assert len(fake_issuer.requests) == 2
        await store.aclose()

    play(scene())


def test_a_request_waits_for_no_turn_behind_silent_issuers(
    fake_issuer: Any, url_issuer: Issuer, jwks: Any, silent_url: str
) -> None:
    fake_issuer.answer.body = jwks("a")
    silent = [replace(url_issuer, name=f"silent-{number}", keys=JwksUrl(silent_url)) for number in range(40)]

    async def scene() -> None:
        async with running(KeyStore([*silent, url_issuer], jitter=lambda: 0.0, patience=20)) as store:
            await asyncio.sleep(0.3)  # all lanes are taken
            assert kids(store) is None
            await store.need("idp", "a")
            assert kids(store) == ["a"]

    play(scene())


def test_when_a_key_was_used_outlives_a_change_of_its_set(fake_issuer: Any, url_issuer: Issuer, jwks: Any) -> None:
    old, new = (json.loads(jwks(kid))["keys"][0] for kid in ("old", "new"))
    fake_issuer.answer.body = json.dumps({"keys": [old]}).encode()

    async def scene() -> None:
        store = KeyStore([url_issuer])
        await store.refresh("idp")
        store.used(store.keysets["idp"].keys[0], 1234.0)
        fake_issuer.answer.body = json.dumps({"keys": [new, old]}).encode()
        await store.refresh("idp")
        (view,) = store.view()
        assert [(key.kid, key.last_used) for key in view.keys] == [("new", None), ("old", 1234.0)]
        await store.aclose()

    play(scene())
