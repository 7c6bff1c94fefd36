"""Status lists in the background: fetched like keys, shared by workers, and what each fault of an issuer does."""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from jwtgate import SigningKey, generate_signing_key, mint
from jwtgate.jwks import Clocks, KeyStore, StatusStore, fetch_list_once
from jwtgate.jwks.status import MAX_SHARDS
from jwtgate.keys.encoding import encode_base64url
from jwtgate.plan import Fetching, InlineJwks, Issuer, JwksUrl, StatusLists
from jwtgate.reasons import Reason
from jwtgate.revocation import Standing, pack, status_claims
from jwtgate.revocation.status_token import TYP

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from unit.jwks.conftest import FakeIssuer

KEY = generate_signing_key("ES256")
NEWER = generate_signing_key("ES256")
STRANGER = generate_signing_key("ES256")
MAX_STALE = 300


class Time:
    """Both clocks, set by the test."""

    def __init__(self) -> None:
        self.now, self.wall = 1000.0, 1_700_000_000.0
        self.clocks = Clocks(lambda: self.now, lambda: self.wall)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.public_jwk() for key in keys]}).encode()


class World:
    """An issuer that publishes a list at `/list` and shards below `/shards/`, and one worker that follows them."""

    def __init__(self, fake: FakeIssuer, issuer: Issuer, shelf: Path | None = None) -> None:
        self.fake = fake
        self.base = fake.url.removesuffix("/jwk")
        self.uri = f"{self.base}/list"
        lists = StatusLists((self.uri,), (f"{self.base}/shards/",), MAX_STALE, Fetching(total_timeout=5))
        self.issuer = replace(issuer, status_lists=lists)
        self.time = Time()
        self.shelf = shelf
        self.open: list[KeyStore | StatusStore] = []
        self.keys, self.standing, self.store = self.worker()
        fake.answer.status = 404
        self.publish()

    def worker(self) -> tuple[KeyStore, Standing, StatusStore]:
        keys = KeyStore([self.issuer], clocks=self.time.clocks, patience=5)
        standing = Standing()
        store = StatusStore(
            [self.issuer],
            keys,
            standing,
            directory=self.shelf,
            clocks=self.time.clocks,
            jitter=lambda: 0.5,
            patience=5,
        )
        self.open += [store, keys]
        return keys, standing, store

    def token(self, key: SigningKey = KEY, path: str = "/list", **changes: Any) -> bytes:
        claims = status_claims(
            self.base + path, "http://idp", pack({3: 1}, 16), issued_at=int(self.time.wall), lifetime=10**6, ttl=10
        )
        good = {name: value for name, value in (claims | changes).items() if value is not None}
        return mint(good, key, typ=TYP).encode()

    def publish(
        self,
        body: bytes | None = None,
        path: str = "/list",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        answer = type(self.fake.answer)(body if body is not None else self.token(path=path), status)
        answer.headers = headers or {}
        self.fake.paths[path] = answer

    @property
    def fetches(self) -> list[str]:
        return [seen[":path"] for seen in self.fake.requests if seen[":path"] != "/jwk"]

    async def second(self, seconds: float = 0) -> None:
        self.time.passes(seconds)
        self.store.beat()
        await self.store.settle()

    def says(self, index: int = 0, uri: str | None = None, *, lax: bool = False) -> object:
        claims = {"status": {"status_list": {"idx": index, "uri": uri or self.uri}}}
        found = self.standing.of(self.issuer, claims, self.time.wall, allow_stale=lax)
        return "valid" if isinstance(found, float) else found

    async def close(self) -> None:
        for each in self.open:
            await each.aclose()


@pytest.fixture
def world(fake_issuer: FakeIssuer, issuer: Callable[..., Issuer]) -> World:
    return World(fake_issuer, issuer(InlineJwks(jwks(KEY))))


def play(world: World, scene: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        try:
            await scene(world)
        finally:
            await world.close()

    asyncio.run(whole())


def test_a_list_is_there_before_the_first_token_and_says_who_is_revoked(world: World) -> None:
    async def scene(world: World) -> None:
        await world.second()
        assert world.says(0) == "valid"
        assert world.says(3) is Reason.TOKEN_REVOKED
        assert world.says(16) is Reason.STATUS_UNKNOWN
        assert world.fake.requests[-1]["accept"].startswith("application/statuslist+jwt")

    play(world, scene)


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ({"Cache-Control": "max-age=4"}, 4),
        ({"Cache-Control": "max-age=4000"}, 10),  # its ttl is shorter
        ({}, 10),
        ({"Cache-Control": "no-store"}, 1),
    ],
)
def test_a_list_is_fetched_anew_before_its_max_age_or_its_ttl_ends(
    world: World, said: dict[str, str], after: float
) -> None:
    async def scene(world: World) -> None:
        world.publish(headers=said)
        await world.second()
        await world.second(after * 0.79)
        assert len(world.fetches) == 1
        await world.second(after * 0.02)
        assert len(world.fetches) == 2

    play(world, scene)


def test_a_revocation_is_known_with_the_next_fetch(world: World) -> None:
    async def scene(world: World) -> None:
        await world.second()
        world.publish(world.token(status_list={"bits": 1, "lst": "eNrbuRgAAhcBXQ"}))
        assert world.says(0) == "valid"
        await world.second(9)
        assert world.says(0) is Reason.TOKEN_REVOKED

    play(world, scene)


def test_an_unchanged_list_is_not_sent_again_and_holds_on(world: World) -> None:
    async def scene(world: World) -> None:
        world.publish(headers={"ETag": '"one"'})
        await world.second()
        world.publish(b"", status=304)
        for _ in range(50):
            await world.second(9)
        assert world.fake.requests[-1]["if-none-match"] == '"one"'
        assert world.says() == "valid"

    play(world, scene)


def lst(octets: bytes) -> str:
    return encode_base64url(octets).decode()


def bomb() -> bytes:
    stream = zlib.compressobj(9)
    return b"".join([*(stream.compress(bytes(1 << 20)) for _ in range(32)), stream.flush()])


def publishing(body: Callable[[World], bytes], status: int = 200) -> Callable[[World], None]:
    return lambda world: world.publish(body(world), status=status)


FAULTS: dict[str, tuple[Callable[[World], None], str]] = {
    "not there": (publishing(lambda _: b"", 404), "404"),
    "a server error": (publishing(lambda _: b"", 500), "500"),
    "a page": (publishing(lambda _: b"<html>"), "not a signed token"),
    "truncated": (publishing(lambda world: world.token()[:-20]), "not signed|not a signed"),
    "signed by a stranger": (publishing(lambda world: world.token(STRANGER)), "key_unknown"),
    "another issuer": (publishing(lambda world: world.token(iss="http://other")), "iss"),
    "another list": (publishing(lambda world: world.token(sub=world.uri + "2")), "sub"),
    "an access token": (
        publishing(lambda world: mint({"iss": "http://idp", "sub": world.uri}, KEY, typ="at+jwt").encode()),
        "typ",
    ),
    "expired": (publishing(lambda world: world.token(exp=int(world.time.wall) - 1)), "expired"),
    "wrong bits": (publishing(lambda world: world.token(status_list={"bits": 3, "lst": lst(b"")})), "bits"),
    "a truncated array": (
        publishing(lambda world: world.token(status_list={"bits": 1, "lst": lst(zlib.compress(bytes(99))[:-6])})),
        "middle",
    ),
    "a zip bomb": (publishing(lambda world: world.token(status_list={"bits": 1, "lst": lst(bomb())})), "inflates"),
    "more bytes than allowed": (publishing(lambda _: b"a" * ((1 << 20) + 1)), "larger than"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_takes_nothing_away_until_the_list_is_too_old(
    world: World, fault: Callable[[World], None], said: str
) -> None:
    async def scene(world: World) -> None:
        await world.second()
        await world.second(1)
        fault(world)
        with capture_logs() as logs:
            for _ in range(20):
                await world.second(14)
        assert world.says(0) == "valid"
        assert world.says(3) is Reason.TOKEN_REVOKED
        (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
        assert warning["event"] == "status_list_failed"
        assert said.split("|")[0] in warning["error"] or said.split("|")[-1] in warning["error"]
        await world.second(20)
        assert world.says(0) is Reason.STATUS_UNAVAILABLE
        assert world.says(0, lax=True) == "valid"
        assert world.says(3, lax=True) is Reason.TOKEN_REVOKED
        world.publish()
        await world.second(15)
        assert world.says(0) == "valid"

    play(world, scene)


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_without_a_list_nothing_is_known(world: World, fault: Callable[[World], None], said: str) -> None:
    async def scene(world: World) -> None:
        fault(world)
        await world.second()
        await world.store.need("idp", world.uri)
        assert world.says(0) is Reason.STATUS_UNAVAILABLE
        assert world.says(0, lax=True) == "valid"
        assert said.split("|")[0] in str(world.store.trouble("idp", world.uri)) or said.split("|")[-1] in str(
            world.store.trouble("idp", world.uri)
        )
        world.publish()
        await world.second(2)
        assert world.says(0) == "valid"
        assert world.store.trouble("idp", world.uri) is None

    play(world, scene)


def test_a_list_that_says_when_it_ends_is_not_relied_on_any_longer(world: World) -> None:
    async def scene(world: World) -> None:
        world.publish(world.token(exp=int(world.time.wall) + 30))
        await world.second()
        world.publish(b"", status=500)
        await world.second(29)
        assert world.says(0) == "valid"
        await world.second(1)
        assert world.says(0) is Reason.STATUS_UNAVAILABLE

    play(world, scene)


def test_an_issuer_that_is_down_is_asked_less_and_less(world: World) -> None:
    async def scene(world: World) -> None:
        await world.second()
        world.publish(b"", status=500)
        for _ in range(600):
            await world.second(0.5)
        assert 25 <= len(world.fetches) <= 45

    play(world, scene)


def test_a_request_waits_for_the_first_fetch_and_for_no_other(world: World) -> None:
    async def scene(world: World) -> None:
        await world.store.need("idp", world.uri)  # as yet nobody has asked: the start's own fetch
        assert world.says(0) == "valid"
        world.publish(b"", status=500)
        await world.second(9)
        before = len(world.fetches)
        for _ in range(100):
            await world.store.need("idp", world.uri)
        assert len(world.fetches) == before

    play(world, scene)


def test_a_list_signed_by_a_newer_key_makes_the_keys_be_fetched(
    fake_issuer: FakeIssuer, issuer: Callable[..., Issuer]
) -> None:
    async def scene(world: World) -> None:
        await world.keys.need("idp", None)
        await world.second()
        assert world.says(0) == "valid"
        world.fake.paths["/jwk"].body = jwks(KEY, NEWER)
        world.time.passes(20)
        world.publish(world.token(NEWER, status_list={"bits": 1, "lst": "eNrbuRgAAhcBXQ"}))
        await world.second()
        assert world.says(0) is Reason.TOKEN_REVOKED

    world = World(fake_issuer, issuer(JwksUrl(fake_issuer.url)))
    world.publish(jwks(KEY), "/jwk")
    play(world, scene)


# Shards


def test_a_shard_is_fetched_when_a_token_names_it_and_forgotten_when_none_does(world: World) -> None:
    async def scene(world: World) -> None:
        uri = f"{world.base}/shards/7"
        world.publish(path="/shards/7")
        await world.second()
        assert "/shards/7" not in world.fetches
        await world.store.need("idp", uri)
        assert world.says(0, uri) == "valid"
        assert world.says(3, uri) is Reason.TOKEN_REVOKED
        for _ in range(5):
            await world.second(9)
            assert world.says(0, uri) == "valid"
        assert world.fetches.count("/shards/7") == 6
        for _ in range(5):
            await world.second(9)
        assert world.fetches.count("/shards/7") == 7
        assert ("idp", uri) not in world.standing.lists

    play(world, scene)


def test_a_shard_that_is_not_there_is_denied_without_waiting_again(world: World) -> None:
    async def scene(world: World) -> None:
        uri = f"{world.base}/shards/8"
        for _ in range(10):
            await world.store.need("idp", uri)
            assert world.says(0, uri) is Reason.STATUS_UNAVAILABLE
        assert world.fetches.count("/shards/8") == 1
        for _ in range(20):
            await world.second(5)
        assert ("idp", uri) not in world.standing.lists

    play(world, scene)


def test_an_issuer_that_names_ever_more_shards_is_not_followed_into_all_of_them(world: World) -> None:
    async def scene(world: World) -> None:
        for number in range(MAX_SHARDS + 20):
            await world.store.need("idp", f"{world.base}/shards/{number}")
        assert len(world.standing.lists) <= MAX_SHARDS + 1

    play(world, scene)


# Several workers, and the next start


def test_workers_that_share_a_shelf_make_one_fetch_between_them(
    fake_issuer: FakeIssuer, issuer: Callable[..., Issuer], tmp_path: Path
) -> None:
    async def scene(world: World) -> None:
        others = [world.worker() for _ in range(3)]
        stores = [world.store, *(store for _, _, store in others)]

        async def second(seconds: float) -> None:
            world.time.passes(seconds)
            for store in stores:
                store.beat()
            for store in stores:
                await store.settle()

        await second(0)
        assert len(world.fetches) == 1
        world.publish(world.token(status_list={"bits": 1, "lst": "eNrbuRgAAhcBXQ"}))
        await second(9)
        assert len(world.fetches) == 2
        revoked = {"status": {"status_list": {"idx": 0, "uri": world.uri}}}
        for standing in (world.standing, *(standing for _, standing, _ in others)):
            assert standing.of(world.issuer, revoked, world.time.wall, allow_stale=False) is Reason.TOKEN_REVOKED
        world.publish(b"", status=500)
        await second(9)
        assert len(world.fetches) == 3, "a failure is shared as well"

    play(World(fake_issuer, issuer(InlineJwks(jwks(KEY))), tmp_path / "keys"), scene)


def test_a_kept_list_serves_the_next_start_as_long_as_it_is_not_too_old(
    fake_issuer: FakeIssuer, issuer: Callable[..., Issuer], tmp_path: Path
) -> None:
    async def scene(world: World) -> None:
        await world.second()
        world.publish(b"", status=500)
        world.time.passes(MAX_STALE - 1)
        for expected in ("valid", Reason.STATUS_UNAVAILABLE):
            world.keys, world.standing, world.store = world.worker()
            await world.second()
            await world.store.need("idp", world.uri)
            assert world.says(0) == expected
            world.time.passes(2)

    play(World(fake_issuer, issuer(InlineJwks(jwks(KEY))), tmp_path / "keys"), scene)


def test_what_stands_on_the_shelf_is_verified_like_everything_else(
    fake_issuer: FakeIssuer, issuer: Callable[..., Issuer], tmp_path: Path
) -> None:
    async def scene(world: World) -> None:
        await world.second()
        (record,) = (tmp_path / "keys").glob("*.json")
        text = json.loads(record.read_text())
        text["jwks"] = world.token(STRANGER).decode()
        record.write_text(json.dumps(text))
        world.publish(b"", status=500)
        world.keys, world.standing, world.store = world.worker()
        with capture_logs() as logs:
            await world.second(1)
        assert "status_list_snapshot_ignored" in [entry["event"] for entry in logs]
        await world.store.need("idp", world.uri)
        assert world.says(0) is Reason.STATUS_UNAVAILABLE

    play(World(fake_issuer, issuer(InlineJwks(jwks(KEY))), tmp_path / "keys"), scene)


def test_an_issuer_that_is_required_is_waited_for_with_its_lists(
    fake_issuer: FakeIssuer, issuer: Callable[..., Issuer]
) -> None:
    async def scene(world: World) -> None:
        world.publish(b"", status=500)
        await world.second()
        assert list(world.store.missing) == [world.uri]
        world.publish()
        await world.second(2)
        assert not list(world.store.missing)

    play(World(fake_issuer, replace(issuer(InlineJwks(jwks(KEY))), start="require")), scene)


def test_a_command_fetches_a_list_once(fake_issuer: FakeIssuer, issuer: Callable[..., Issuer]) -> None:
    world = World(fake_issuer, issuer(JwksUrl(fake_issuer.url)))
    world.publish(jwks(KEY), "/jwk")
    world.publish(world.token(exp=None))
    standing = Standing()
    assert asyncio.run(fetch_list_once(world.issuer, world.uri, standing)) is None
    assert ("idp", world.uri) in standing.lists
    world.publish(b"", status=500)
    trouble = asyncio.run(fetch_list_once(world.issuer, world.uri, Standing()))
    assert trouble is not None
    assert "500" in trouble
