"""The signer's status list: what it says, how long it may be kept, and what happens without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jwtgate.errors import StoreError
from jwtgate.plan import Issuer, JwksUrl
from jwtgate.reasons import Reason
from jwtgate.revocation import read_status_token
from jwtgate.signer.status import BLOCK, revoke
from jwtgate.signer.status_publication import StatusPublication
from jwtgate.signer.tables import status_blocks
from jwtgate.tokens import parse
from support.signer import ISSUER, RunningSigner, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jwtgate.revocation import StatusListToken

URI = f"{ISSUER}/status-list"


class Lists(RunningSigner):
    """A signer whose list is refreshed when a test says so."""

    def revoke(self, index: int) -> None:
        self.hand_out(index // BLOCK + 1)
        with self.signer.store.write() as connection:
            revoke(connection, index, expires=self.clock() + 3600, now=self.clock())

    def hand_out(self, blocks: int) -> None:
        with self.signer.store.write() as connection:
            rows = [{"number": number, "free_from": self.clock() + 1000} for number in range(blocks)]
            connection.execute(insert(status_blocks), rows)

    def read(self, answer: Any) -> StatusListToken:
        issuer = Issuer(
            name="signer",
            issuer=ISSUER,
            keys=JwksUrl(f"{ISSUER}/jwk"),
            audience=("services",),
            algorithms=("ES256",),
            leeway=0,
            max_token_bytes=8192,
            types=None,
            required_claims=(),
            max_lifetime=None,
        )
        keys = self.signer.ring.published(self.clock()).keys
        return read_status_token(
            answer.content, uri=URI, issuer=issuer, keys=keys, now=self.clock(), max_bytes=1 << 20
        )


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Lists]:
    with Lists(settings(tmp_path / "signer")) as running:
        yield running


def publication(signer: Lists) -> tuple[StatusPublication, TestClient]:
    lists = StatusPublication(signer.settings, signer.signer.store, signer.signer.ring, signer.clock)
    return lists, TestClient(Starlette(routes=lists.routes()))


def test_it_is_published_from_the_start_and_may_be_cached_for_a_little(signer: Lists) -> None:
    answer = signer.http.get("/status-list")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    assert answer.headers["cache-control"] == "public, max-age=10"
    found = signer.read(answer)
    assert (found.ttl, found.statuses.bits) == (10, 1)
    assert found.expires_at is not None
    assert found.expires_at > signer.clock() + 3000
    again = signer.http.get("/status-list", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "public, max-age=10"


def test_a_token_that_is_issued_has_a_place_in_the_list_that_was_fetched_before(signer: Lists) -> None:
    before = signer.read(signer.http.get("/status-list")).statuses
    assert len(before) >= 100_000
    signer.add("batch", audience=("services",), scopes=())
    token = signer.token("batch")
    parsed = parse(token, max_bytes=8192)
    assert not isinstance(parsed, Reason)
    assert parsed.claims is not None
    reference = parsed.claims["status"]["status_list"]
    assert reference["uri"] == URI
    assert before.status(reference["idx"]) == 0


def test_a_revoked_token_is_in_the_list_after_the_next_refresh(signer: Lists) -> None:
    lists, http = publication(signer)
    lists.refresh(signer.clock())
    first = http.get("/status-list")
    signer.revoke(7)
    lists.refresh(signer.clock())
    second = http.get("/status-list")
    assert first.headers["etag"] != second.headers["etag"]
    statuses = signer.read(second).statuses
    assert [index for index in range(64) if statuses.status(index)] == [7]


def test_a_list_that_has_not_changed_is_not_made_anew_until_it_is_old(signer: Lists) -> None:
    lists, http = publication(signer)
    lists.refresh(signer.clock())
    tags = set()
    for _ in range(10):
        signer.clock.now += 20
        lists.refresh(signer.clock())
        tags.add(http.get("/status-list").headers["etag"])
    assert len(tags) == 1
    signer.clock.now += 120
    lists.refresh(signer.clock())
    assert http.get("/status-list").headers["etag"] not in tags


def test_the_list_is_twice_as_long_as_what_was_handed_out(signer: Lists) -> None:
    lists, http = publication(signer)
    signer.revoke(999_999)
    lists.refresh(signer.clock())
    statuses = signer.read(http.get("/status-list")).statuses
    assert len(statuses) >= 2_000_000
    assert statuses.status(999_999) == 1
    assert statuses.status(1_999_999) == 0


def test_without_the_database_the_last_list_is_served_until_it_ends(signer: Lists) -> None:
    lists, http = publication(signer)
    lists.refresh(signer.clock())
    signer.signer.store.close()
    (signer.settings.place.key_dir or _never()).joinpath("signer.db").rename(
        (signer.settings.place.key_dir or _never()) / "gone"
    )
    signer.clock.now += 600
    with pytest.raises(StoreError):
        lists.refresh(signer.clock())
    assert http.get("/status-list").status_code == 200
    signer.clock.now += 3000
    answer = http.get("/status-list")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def _never() -> Path:
    raise AssertionError("this signer has a directory")


def test_a_signer_behind_a_prefix_answers_under_both_paths(tmp_path: Path) -> None:
    given = settings(tmp_path / "signer", status_list_uri="https://gateway.example/signer/status-list")
    with RunningSigner(given) as signer:
        for path in ("/status-list", "/signer/status-list"):
            assert signer.http.get(path).status_code == 200
