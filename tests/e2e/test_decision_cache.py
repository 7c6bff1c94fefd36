"""The decision cache: what is repeated without asking, for how long, and what never is."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway import Gateway, wait_until
from support.http import request
from support.issuer import AUDIENCE, URL, Issuer
from support.stand_alone import ALLOW, UNCACHED, Answer, Answerer, StandAlone, StubValidators, denied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response


def cached(gateway: Gateway, answer: Response) -> str:
    """What the log says about the cache for a request."""
    entry: str = gateway.logged(answer.headers["x-request-id"])["decision_cache"]
    return entry


# Counted at the socket: a validator that says what it is told


def configuration(backend: Backend) -> str:
    """gateway.yaml for stubs."""
    return f"""
issuers:
  main: {{issuer: {URL}, jwks: http://127.0.0.1:1/jwks, audience: {AUDIENCE}, algorithms: [ES256]}}
policies: {{one: {{issuer: main}}, two: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes:
  - {{path: /one/, upstream: backend, policy: one, max_body: 1m}}
  - {{path: /also-one/, upstream: backend, policy: one}}
  - {{path: /two/, upstream: backend, policy: two}}
  - {{path: /user/, upstream: backend, policy: one, identity: {{X-User: sub}}}}
  - {{path: /never/, upstream: backend, policy: one, staleness: 0}}
"""


def allowed_for(seconds: int) -> Answerer:
    """Everything is allowed, and may be repeated for a while."""
    return lambda _path, _headers: (200, {"X-Accel-Expires": f"@{int(time.time()) + seconds}"})


def as_whom(_path: str, headers: Mapping[str, str]) -> Answer:
    """Everything is allowed, and may be repeated for a minute, as the user whom the credential names."""
    user = headers.get("authorization", "nobody").rpartition(" ")[2]
    return 200, {"X-Accel-Expires": f"@{int(time.time()) + 60}", "X-Jwtgate-Identity-X-User": user[-100:]}


@pytest.fixture(scope="module")
def standing_alone(nginx: Path, backend: Backend) -> Iterator[tuple[StandAlone, StubValidators]]:
    """NGINX, with validators that count."""
    with StandAlone(configuration(backend), nginx=nginx) as alone, StubValidators(alone.run_dir, as_whom) as stubs:
        yield alone, stubs


@pytest.fixture
def repeating(standing_alone: tuple[StandAlone, StubValidators]) -> tuple[StandAlone, StubValidators]:
    """The same, with validators who answer `as_whom` unless the test says otherwise."""
    alone, stubs = standing_alone
    stubs.answer = as_whom
    stubs.asked.clear()
    return alone, stubs


def test_a_hundred_repeats_ask_the_validator_twice(repeating: tuple[StandAlone, StubValidators]) -> None:
    """A decision is kept when its token comes for the second time: many come once."""
    gate, stubs = repeating
    before = len(stubs.asked)
    assert {gate.request("/one/x", token="hundred").status for _ in range(100)} == {200}
    assert len(stubs.asked) == before + 2


def test_a_decision_is_asked_for_anew_when_it_ends(repeating: tuple[StandAlone, StubValidators]) -> None:
    """At most twice in a window: NGINX looks at whole seconds."""
    gate, stubs = repeating
    stubs.answer = allowed_for(1)
    began = time.time()
    while time.time() < began + 5:
        assert gate.request("/one/x", token="again").status == 200
    windows = math.ceil(time.time() - began)
    assert 2 <= len(stubs.asked) <= 2 * windows + 1


OTHER: dict[str, dict[str, str]] = {
    "Range": {"Range": "bytes=0-1"},
    "If-None-Match": {"If-None-Match": "*"},
    "If-Modified-Since": {"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"},
    "If-Match": {"If-Match": '"x"'},
    "Cache-Control": {"Cache-Control": "no-cache, no-store, max-age=0"},
    "Pragma": {"Pragma": "no-cache"},
    "Vary": {"Accept-Language": "de", "Accept-Encoding": "gzip"},
    "Cookie": {"Cookie": "a=b"},
}


@pytest.mark.parametrize("headers", OTHER.values(), ids=OTHER)
def test_other_headers_of_the_client_change_nothing(
    repeating: tuple[StandAlone, StubValidators], headers: dict[str, str]
) -> None:
    gate, stubs = repeating
    before = len(stubs.asked)
    token = "headers" + "".join(headers)
    for more in (headers, {}, headers, {}):
        answer = gate.request("/one/x", token=token, headers=more)
        assert answer.status == 200
        assert answer.json()["path"] == "/one/x"
    assert len(stubs.asked) == before + 2
    assert gate.request("/one/x", headers=headers).json()["path"] == "/one/x"  # no credential: another decision
    assert all(set(asked) <= {"host", "authorization"} for _, asked in stubs.asked)


def test_methods_paths_queries_and_bodies_share_a_decision(repeating: tuple[StandAlone, StubValidators]) -> None:
    gate, stubs = repeating
    before = len(stubs.asked)
    for method, path, options in (
        ("GET", "/one/x", {}),
        ("POST", "/one/y?z", {"body": b"x" * 100_000}),
        ("PUT", "/also-one/x", {"headers": {"Expect": "100-continue"}}),
        ("HEAD", "/one/x", {}),
        ("OPTIONS", "/one/", {}),
    ):
        assert gate.request(path, method=method, token="methods", **options).status == 200
    chunked = [("Transfer-Encoding", "chunked"), ("Authorization", "Bearer methods")]
    with contextlib.suppress(TimeoutError):
        request(gate.address, "/one/x", method="POST", headers=chunked, timeout=0.2)
    assert len(stubs.asked) == before + 2


def test_policies_do_not_share_decisions(repeating: tuple[StandAlone, StubValidators]) -> None:
    gate, stubs = repeating
    before = len(stubs.asked)
    for path in 4 * ("/one/x", "/two/x", "/user/x"):
        assert gate.request(path, token="shared").status == 200
    asked = [path for path, _ in stubs.asked[before:]]
    assert len(asked) == 2 * len(set(asked)) == 6


# Pairs of credentials that a careless key would take for one.
NEIGHBOURS = [
    (b"Bearer a", b"Bearer b"),
    (b"Bearer a", b"bearer a"),
    (b"Bearer a", b"Bearer  a"),
    (b"Bearer a", b"Bearer a a"),
    (b'Bearer "a"', b"Bearer a"),
    (b"Bearer a", b"Bearer a\t\\n"),
    (b"Bearer x.y.a", b"Bearer z.y.a"),
    (b"Bearer " + b"a" * 8000, b"Bearer " + b"a" * 7999 + b"b"),
    (b"a", b"b"),
    (b"a", b""),
]


@pytest.mark.parametrize("pair", NEIGHBOURS, ids=lambda pair: b" | ".join(pair)[:40].decode())
def test_no_credential_gets_the_decision_about_another(
    repeating: tuple[StandAlone, StubValidators], pair: tuple[bytes, bytes]
) -> None:
    gate, _ = repeating
    for _ in range(3):
        for credential in pair:
            answer = gate.request("/user/x", headers=[("Authorization", credential.decode("latin-1"))])
            users = [value for name, value in answer.json()["headers"] if name == "x-user"]
            assert users == [(credential.strip() or b"nobody").decode().rpartition(" ")[2][-100:]]


def test_staleness_0_asks_each_time(repeating: tuple[StandAlone, StubValidators]) -> None:
    gate, stubs = repeating
    before = len(stubs.asked)
    for _ in range(5):
        assert gate.request("/never/x", token="never").status == 200
    assert len(stubs.asked) == before + 5


NOT_REPEATED: dict[str, Answer] = {
    "a denial": denied("token_expired"),
    "a denial that says that it may be": (401, {"X-Jwtgate-Reason": "role_missing", "X-Accel-Expires": "0"}),
    "an allow without a word about repeating": ALLOW,
    "an allow that must not be": (200, UNCACHED),
    "an allow with headers for caches only": (200, {"Cache-Control": "max-age=60", "Expires": "60"}),
    "a failure": (500, {}),
}


@pytest.mark.parametrize("answer", NOT_REPEATED.values(), ids=NOT_REPEATED)
def test_what_the_validator_does_not_call_repeatable_is_not_repeated(
    repeating: tuple[StandAlone, StubValidators], answer: Answer
) -> None:
    gate, stubs = repeating
    stubs.answer = lambda _path, _headers: answer
    for _ in range(4):
        gate.request("/one/x", token="not repeated")
    assert len(stubs.asked) == 4


def test_first_uses_at_the_same_time_do_not_wait_for_each_other(
    repeating: tuple[StandAlone, StubValidators],
) -> None:
    """`proxy_cache_lock` polls every 500 ms: with it, nineteen of twenty would take that long."""
    gate, _ = repeating
    slowest = 0.0
    for attempt in range(5):  # a busy machine is no fault of ours
        slowest = _slowest_of(20, gate, f"first {attempt}")
        if slowest < 0.4:
            return
    raise AssertionError(f"the slowest of twenty took {slowest:.3f} s")


def _slowest_of(count: int, gate: StandAlone, token: str) -> float:
    took: list[float] = []
    together = threading.Barrier(count)

    def use() -> None:
        together.wait()
        began = time.monotonic()
        assert gate.request("/one/x", token=token).status == 200
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=use) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == count
    return max(took)


# With real validators


def test_a_token_is_asked_for_twice_and_then_repeated(gateway: Gateway, issuer: Issuer) -> None:
    token = issuer.token(jti="repeated")
    first, second, *others = [gateway.request("/raw/x", token=token) for _ in range(11)]
    assert (cached(gateway, first), cached(gateway, second)) == ("MISS", "MISS")
    assert {cached(gateway, answer) for answer in others} <= {"HIT", "EXPIRED"}
    assert [cached(gateway, answer) for answer in others].count("HIT") >= 8


def test_a_denial_is_never_repeated(gateway: Gateway, issuer: Issuer) -> None:
    for token in ("nonsense", issuer.token(exp=1)):
        answers = [gateway.request("/raw/x", token=token) for _ in range(3)]
        assert {cached(gateway, answer) for answer in answers} == {"MISS"}


def test_a_route_without_staleness_is_not_cached(gateway: Gateway, issuer: Issuer) -> None:
    token = issuer.token(jti="uncached")
    answers = [gateway.request("/uncached/x", token=token) for _ in range(3)]
    assert {cached(gateway, answer) for answer in answers} == {""}


def test_decisions_on_disk_are_for_nginx_alone(gateway: Gateway, issuer: Issuer) -> None:
    token = issuer.token()
    for _ in range(2):
        gateway.request("/raw/x", token=token)
    decisions = gateway.cache_dir / "decisions"
    assert decisions.stat().st_mode & 0o777 == 0o700
    assert gateway.run_dir.stat().st_mode & 0o066 == 0
    assert (gateway.run_dir / "nginx.conf").stat().st_mode & 0o077 == 0
    assert (gateway.run_dir / "sockets").stat().st_mode & 0o077 == 0
    assert (gateway.run_dir / "temp").stat().st_mode & 0o077 == 0
    files = [path for path in decisions.rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_a_token_is_never_let_through_after_its_end(nginx: Path, backend: Backend, issuer: Issuer) -> None:
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256], leeway: 0}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 60s}}]
"""
    with Gateway(text, nginx=nginx) as gateway:
        exp = int(time.time()) + 4
        token = issuer.token(exp=exp)
        answers: list[tuple[float, float, int]] = []
        hits = 0
        while time.time() < exp + 1.5:
            began = time.time()
            answer = gateway.request("/x", token=token)
            answers.append((began, time.time(), answer.status))
            hits += cached(gateway, answer) == "HIT"
    assert hits > 10
    assert {status for _, ended, status in answers if ended < exp - 0.2} == {200}
    assert {status for began, _, status in answers if began >= exp} == {401}


def _token_of(size: int, issuer: Issuer, **claims: Any) -> str:
    """A token of that many bytes."""
    guess = (size - len(issuer.token(**claims))) * 3 // 4
    # Base64 has no text of every length; the type in the header makes up for it.
    tokens = (
        issuer.token(typ=typ, padding="p" * padding, **claims)
        for typ in ("JWT", "JWTJ", "JWTJW")
        for padding in range(guess - 20, guess)
    )
    return next(token for token in tokens if len(token) == size)


def test_the_largest_token_is_cached_with_its_headers_and_one_byte_more_is_refused(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    """With as much identity as a decision may carry (see jwtgate.identity)."""
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256], max_token_bytes: 8k}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 60s, identity: {{X-User: sub, X-Roles: roles}}}}]
"""
    with Gateway(text, nginx=nginx) as gateway:
        largest = _token_of(8192, issuer, sub="s" * 500, roles="r" * 900)
        for expected in ("MISS", "MISS", "HIT"):
            answer = gateway.request("/", token=largest)
            assert answer.status == 200
            assert cached(gateway, answer) == expected
            got = dict(answer.json()["headers"])
            assert (got["x-user"], got["x-roles"]) == ("s" * 500, "r" * 900)
        for size in (8193, 8300, 12_000, 15_000, 17_000, 40_000):
            answer = gateway.request("/", token=largest + "x" * (size - len(largest)))
            assert (answer.status, answer.json()["code"]) == (401, "invalid_token"), size
            entry = gateway.logged(answer.headers["x-request-id"])
            assert entry["reason"] in ("token_too_large", "header_too_large")
        assert "not enough" not in gateway.said
        assert "too big" not in gateway.said


def test_when_the_cache_is_over_its_share_requests_pass_uncached(
    nginx: Path, backend: Backend, issuer: Issuer
) -> None:
    text = f"""
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256]}}
policies: {{caller: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
cache: {{max_size: 1m}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 60s}}]
"""
    with Gateway(text, nginx=nginx) as gateway:
        token = issuer.token()
        answers = [gateway.request("/", token=token) for _ in range(3)]
        assert [cached(gateway, answer) for answer in answers] == ["MISS", "MISS", "HIT"]
        ballast = gateway.cache_dir / "ballast"
        ballast.write_bytes(os.urandom(2 * 1024 * 1024))
        wait_until(lambda: gateway.said.count("over its share") == len(gateway.children("validator")))
        other = issuer.token(jti="while full")
        answers = [gateway.request("/", token=other) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        assert [cached(gateway, answer) for answer in answers] == ["MISS"] * 3
        ballast.unlink()
        wait_until(lambda: gateway.said.count("has room again") == len(gateway.children("validator")))
        assert gateway.request("/", token=other).status == 200
        assert cached(gateway, gateway.request("/", token=other)) == "HIT"
