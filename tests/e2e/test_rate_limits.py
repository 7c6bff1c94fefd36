"""Rate limits: whom they count, when, and what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.sync.client import connect as connect_websocket

from support.issuer import AUDIENCE, URL
from support.stand_alone import StandAlone, StubValidators, denied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response
    from support.stand_alone import Answer

AT_ONCE = 5


def decide(_path: str, headers: Mapping[str, str]) -> Answer:
    """The token says who it is, and a few words more. `bad` is nobody."""
    token = headers.get("authorization", "").removeprefix("Bearer ")
    user, _, _ = token.partition(".")
    if user in ("bad", ""):
        return denied("token_expired")
    subject = "" if user == "nobody" else f"digest-of-{user}"
    return 200, {"X-Accel-Expires": "60", "X-Jwtgate-Issuer": "main", "X-Jwtgate-Subject": subject}


@pytest.fixture(scope="module")
def gate(nginx: Path, backend: Backend) -> Iterator[tuple[StandAlone, StubValidators]]:
    """NGINX with limits of five requests at once and one more each ten seconds; each test has limits of its own.

    The proxy in front of it, which is the test, says the client's address.
    """
    names = ("flood", "shared", "network", "tokens", "same", "cached", "refused", "nobody", "log", "strip")
    by = {name: "address" if name in ("flood", "shared", "network", "log") else "subject" for name in names}
    limits = "".join(f"  {name}: {{by: {by[name]}, rate: 6/m, burst: {AT_ONCE}}}\n" for name in names)
    routes = "".join(
        f"  - {{path: /{name}/, upstream: backend, policy: caller, rate_limit: {name}}}\n"
        for name in names
        if name not in ("strip", "cached")
    )
    text = f"""
trusted_proxies: [127.0.0.0/8]
issuers:
  main: {{issuer: {URL}, jwks: http://127.0.0.1:1/jwks, audience: {AUDIENCE}, algorithms: [ES256]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
rate_limits:
{limits}
routes:
{routes}
  - {{path: /cached/, upstream: backend, policy: caller, rate_limit: cached, max_body: 1k}}
  - {{path: /also-shared/, upstream: backend, public: true, rate_limit: shared}}
  - {{path: /strip/, upstream: backend, policy: caller, rate_limit: strip, strip_prefix: true, websocket: true}}
  - {{path: /unlimited/, upstream: backend, policy: caller}}
"""
    with StandAlone(text, nginx=nginx) as alone, StubValidators(alone.run_dir, decide) as stubs:
        yield alone, stubs


def statuses(gate: StandAlone, path: str, tokens: list[str], client: str = "203.0.113.1") -> list[int]:
    """The statuses of one request with each token, from a client."""
    headers = {"X-Forwarded-For": client}
    return [gate.request(path, token=token, headers=headers).status for token in tokens]


def is_limited(answer: Response) -> bool:
    """Whether it is the gateway's own answer to too many requests."""
    return (
        answer.status == 429
        and answer.headers["retry-after"] == "1"
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["code"] == "too_many_requests"
        and answer.json()["request_id"] == answer.headers["x-request-id"]
    )


def test_an_address_is_limited_before_its_token_is_looked_at(
    gate: tuple[StandAlone, StubValidators], backend: Backend
) -> None:
    alone, stubs = gate
    before, asked = len(backend.seen), len(stubs.asked)
    assert statuses(alone, "/flood/x", [f"bad.{n}" for n in range(AT_ONCE)]) == [401] * AT_ONCE
    assert statuses(alone, "/flood/x", ["bad.x", "alice.x"]) == [429, 429]
    assert len(stubs.asked) == asked + AT_ONCE
    assert statuses(alone, "/flood/x", ["alice.x"], client="203.0.113.2") == [200]
    assert len(backend.seen) == before + 1
    assert is_limited(alone.request("/flood/x", token="alice.x", headers={"X-Forwarded-For": "203.0.113.1"}))


def test_routes_that_name_a_limit_share_its_count(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, _ = gate
    assert statuses(alone, "/shared/x", ["alice"] * (AT_ONCE - 1)) == [200] * (AT_ONCE - 1)
    assert statuses(alone, "/also-shared/x", ["alice"] * 2) == [200, 429]
    assert statuses(alone, "/unlimited/x", ["alice"] * 2) == [200, 200]


def test_of_an_ipv6_address_the_first_64_bits_count(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, _ = gate
    for number in range(AT_ONCE):
        assert statuses(alone, "/network/x", ["alice"], client=f"2001:db8:0:1::{number}:1") == [200]
    assert statuses(alone, "/network/x", ["alice"], client="2001:db8:0:1:ffff::") == [429]
    assert statuses(alone, "/network/x", ["alice"], client="2001:db8:0:2::1") == [200]


def test_a_subject_is_limited_whatever_its_tokens_and_its_address(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, _ = gate
    for number in range(AT_ONCE):
        assert statuses(alone, "/tokens/x", [f"alice.{number}"], client=f"203.0.113.{number}") == [200]
    assert statuses(alone, "/tokens/x", ["alice.again"], client="203.0.113.99") == [429]
    assert statuses(alone, "/tokens/x", ["bob.0"], client="203.0.113.99") == [200]


def test_a_decision_from_the_cache_counts_like_another(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, stubs = gate
    asked = len(stubs.asked)
    assert statuses(alone, "/same/x", ["alice.same"] * (AT_ONCE + 2)) == [200] * AT_ONCE + [429] * 2
    assert len(stubs.asked) == asked + 2  # the second time it is kept


def test_what_is_denied_does_not_count_for_a_subject(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, _ = gate
    assert statuses(alone, "/refused/x", ["bad.0"] * 3 * AT_ONCE) == [401] * 3 * AT_ONCE
    assert statuses(alone, "/refused/x", ["alice"] * AT_ONCE) == [200] * AT_ONCE


def test_tokens_without_a_subject_share_one_count(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, _ = gate
    assert statuses(alone, "/nobody/x", [f"nobody.{n}" for n in range(AT_ONCE)]) == [200] * AT_ONCE
    assert statuses(alone, "/nobody/x", ["nobody.again"]) == [429]


def test_a_route_limited_by_subject_is_otherwise_like_any(
    gate: tuple[StandAlone, StubValidators], backend: Backend
) -> None:
    alone, _ = gate
    assert alone.request("/strip/a%20b%3F?c=%2F", token="alice").json()["path"] == "/a%20b%3F"
    assert alone.request("/strip/x/../y", token="alice").status == 400
    assert alone.request("/strip/status/503", token="alice").text == "the service's own words"
    assert alone.request("/cached/x", token="alice", method="POST", body=b"x" * 1024).status == 200
    assert alone.request("/cached/x", token="alice", method="POST", body=b"x" * 1025).status == 413
    headers = {"Authorization": "Bearer bob"}
    with connect_websocket(f"ws://{alone.address}/strip/echo", additional_headers=headers, proxy=None) as socket:
        socket.send("hello")
        assert socket.recv(timeout=10) == "hello"
    before = len(backend.seen)
    assert alone.request("/cached/x", token="bad", method="POST", body=b"x").status == 401
    assert alone.request("/@jwtgate_admitted_1", token="alice").status == 404
    assert len(backend.seen) == before


def test_a_refusal_is_logged_with_its_reason(gate: tuple[StandAlone, StubValidators]) -> None:
    alone, _ = gate
    headers = {"X-Forwarded-For": "203.0.113.7"}
    answers = [alone.request("/log/x?secret=1", token="alice", headers=headers) for _ in range(AT_ONCE + 1)]
    entry = alone.logged(answers[-1].headers["x-request-id"])
    assert (entry["status"], entry["reason"], entry["route"]) == (429, "rate_limited", "/log/")
    assert "secret" not in alone.said
