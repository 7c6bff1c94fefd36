"""Each row of the chaos table, played against a real HTTPS server; the seconds are the test's own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from chaos import table
from chaos.issuer import TROUBLES, Authority, ChaosIssuer, World
from chaos.table import Course, Gets, Row
from jwtgate.authenticate import Allow, Authenticator, Credential, NeedKeys, NeedStatus
from jwtgate.jwks import Clocks, KeyStore
from jwtgate.keys import generate_signing_key
from jwtgate.plan import DecisionCache, Fetching, Issuer, JwksUrl, Plan, Policy
from jwtgate.tokens import VerifiedTokens, mint

if TYPE_CHECKING:
    from jwtgate.keys import SigningKey

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"
POLICY = "caller-0"
# Real seconds. Long enough for any answer that comes at all; those troubles in which none comes wait it out.
FETCH_TIMEOUT = 3.0
SLOW_TIMEOUT = 0.2
SLOW = ("silent", "dripping")


class Gateway:
    """What stands between a token and its answer: the key store and `authenticate`, as in the validator."""

    def __init__(self, world: World, trouble: str) -> None:
        self.now = 1000.0
        fetching = Fetching(
            total_timeout=SLOW_TIMEOUT if trouble in SLOW else FETCH_TIMEOUT, ca_file=world.issuer.authority.pem
        )
        issuer = Issuer(
            name="idp",
            issuer="https://idp",
            keys=JwksUrl(world.issuer.url, fetching),
            audience=("services",),
            algorithms=("ES256",),
            leeway=0,
            max_token_bytes=8192,
            types=None,
            required_claims=(),
            max_lifetime=None,
        )
        clocks = Clocks(lambda: self.now, lambda: world.wall)
        self.store = KeyStore([issuer], clocks=clocks, jitter=lambda: 0.5, patience=10)
        self._authenticate = Authenticator(_plan(issuer), VerifiedTokens(1 << 20))

    async def request(self, token: str) -> Gets:
        """What a request with this token gets."""
        credential = Credential(token)
        outcome = self._authenticate(self.store.keysets, POLICY, credential, time.time())
        if isinstance(outcome, NeedKeys):
            tried = self.store.keysets.get(outcome.issuer)
            answered = await self.store.need(outcome.issuer, outcome.kid, tried)
            outcome = self._authenticate(self.store.keysets, POLICY, credential, time.time())
            if isinstance(outcome, NeedKeys):
                outcome = outcome.settled(answered=answered)
        outcome = outcome.otherwise if isinstance(outcome, NeedKeys | NeedStatus) else outcome
        return Gets.ALLOWED if isinstance(outcome, Allow) else Gets(outcome.reason)

    async def second(self, seconds: float = 1.0) -> None:
        """Let time pass, and what is due be done."""
        self.now += seconds
        self.store.beat()
        await self.store.settle()


def _plan(issuer: Issuer) -> Plan:
    policy = Policy(id=POLICY, name="caller", issuers=("idp",), bare_token=False, staleness=10, identity=())
    return Plan(
        listeners=(),
        run_dir=None,
        state_dir=None,
        trusted_proxies=(),
        realm="test",
        access_log=None,
        admin=None,
        issuers={"idp": issuer},
        policies={POLICY: policy},
        upstreams={},
        routes=(),
        answers=(),
        cache=DecisionCache(max_size=1 << 20),
        workers=1,
        signer=None,
    )


def _token(key: SigningKey) -> str:
    now = int(time.time())
    return mint({"iss": "https://idp", "aud": "services", "sub": "alice", "iat": now, "exp": now + 3600}, key)


def _course(seconds: list[Gets]) -> Course:
    """When it changed, and to what."""
    return tuple(
        (second, gets) for second, gets in enumerate(seconds) if second == 0 or seconds[second - 1] is not gets
    )


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    directory = tmp_path_factory.mktemp("tls")
    return Authority(directory, "ours"), Authority(directory, "stranger")


@pytest.mark.parametrize("row", table.TABLE, ids=lambda row: row.trouble)
def test_a_request_gets_what_the_table_says(row: Row, authorities: tuple[Authority, Authority]) -> None:
    ours, stranger = authorities

    async def story() -> tuple[Course, Course, Course, int, int]:
        issuer, other = ChaosIssuer(ours), ChaosIssuer(ours)
        await issuer.start()
        await other.start()
        issuer.elsewhere = other.url
        world = World(issuer, stranger)
        gateway = Gateway(world, row.trouble)
        await gateway.second()
        assert issuer.fetches == 1
        tokens = _token(issuer.old), _token(issuer.new)
        nobody = generate_signing_key("ES256")
        issuer.keys = [issuer.old, issuer.new]
        await TROUBLES[row.trouble](world)
        gets: tuple[list[Gets], list[Gets], list[Gets]] = ([], [], [])
        failed = 0
        with capture_logs() as logs:
            for number in range(table.SECONDS):
                for token, seen in zip(tokens, gets, strict=False):
                    seen.append(await gateway.request(token))
                gets[2].append(await gateway.request(_token(replace(nobody, kid=f"nobody-{number}"))))
                await gateway.second()
            failed = sum(log["event"] == "keys_fetch_failed" for log in logs)
        await gateway.store.aclose()
        fetches = issuer.fetches - 1 if issuer.up else failed
        await issuer.stop()
        await other.stop()
        return _course(gets[0]), _course(gets[1]), _course(gets[2]), fetches, other.fetches

    old, new, unknown, fetches, elsewhere = asyncio.run(story())
    assert (old, new, unknown) == (row.old, row.new, row.unknown)
    assert fetches == row.fetches
    assert elsewhere == 0


@pytest.mark.parametrize("row", table.TABLE, ids=lambda row: row.trouble)
def test_a_cold_start_in_the_middle_of_it_gets_what_the_table_says(
    row: Row, authorities: tuple[Authority, Authority]
) -> None:
    ours, stranger = authorities

    async def story() -> Gets:
        issuer = ChaosIssuer(ours)
        await issuer.start()
        issuer.elsewhere = "https://localhost:9/"
        issuer.keys = [issuer.old, issuer.new]
        world = World(issuer, stranger)
        await TROUBLES[row.trouble](world)
        gateway = Gateway(world, row.trouble)
        for _ in range(3):
            await gateway.second()
        gets = await gateway.request(_token(issuer.new))
        await gateway.store.aclose()
        await issuer.stop()
        return gets

    assert asyncio.run(story()) is row.cold


def test_the_docs_show_this_table() -> None:
    assert table.as_markdown() in DOCS.read_text()
