"""The gate inside a configuration that would open others: what surrounds it is inherited, and must not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.issuer import AUDIENCE, URL
from support.stand_alone import ALLOW, Answer, StandAlone, StubValidators, denied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend

# Each is put into the http block, before our own lines. With any of them, some `auth_request` gateway is open.
HOSTILE = """
    error_page 401 403 404 500 502 503 504 =200 /hostile;
    proxy_intercept_errors on;
    recursive_error_pages on;
    proxy_cache_valid any 10m;
    proxy_cache_valid 200 401 500 10m;
    proxy_cache_use_stale error timeout invalid_header updating http_500 http_502 http_503 http_504 http_403;
    proxy_cache_lock on;
    proxy_cache_background_update on;
    proxy_cache_revalidate on;
    proxy_cache_methods GET HEAD POST;
    proxy_cache_bypass $http_authorization;
    proxy_no_cache $http_x_no_cache;
    proxy_cache_key hostile;
    proxy_ignore_headers X-Accel-Expires X-Accel-Redirect;
    proxy_pass_request_headers on;
    proxy_set_header Authorization hostile;
    proxy_set_header X-User root;
    proxy_next_upstream error timeout http_500 http_403 non_idempotent;
    proxy_buffering off;
    proxy_hide_header X-Jwtgate-Reason;
    open_file_cache max=100;
    client_max_body_size 1;
    merge_slashes off;
    satisfy any;
    open_file_cache_errors on;
    root /;
    auth_request off;
    add_header X-Hostile yes always;
    access_log off;
"""


def surrounded(text: str) -> str:
    """A rendered configuration with the hostile lines in its http block."""
    before, opening, after = text.partition("\nhttp {\n")
    assert opening
    own = {line.split()[0] for line in after.splitlines() if line.startswith("    ") and line[4:5] not in " #}"}
    own -= {"access_log"}
    lines = [line for line in HOSTILE.splitlines() if line and line.split()[0] not in own]
    return before + opening + "\n".join(lines) + after


def surrounded_more_closely(text: str) -> str:
    """The same lines where no others of ours stand between: in the server block of an operator of his own.

    He may answer a denial as he likes. The service must not get the request.
    """
    off, on = "\n        proxy_intercept_errors off;", "\n        proxy_intercept_errors on;"
    assert text.count(off) == 1
    return text.replace(
        off,
        f"""{on}
        recursive_error_pages on;
        error_page 401 403 404 500 502 503 504 =200 /hostile;
        proxy_cache_valid any 10m;
        open_file_cache max=100;
        location = /hostile {{ return 200 hostile; }}""",
    ).replace("        error_page 401 500 = $jwtgate_answer;\n", "")


CONFIGURATION = f"""
issuers:
  main: {{{{issuer: {URL}, jwks: http://127.0.0.1:1/jwks, audience: {AUDIENCE}, algorithms: [ES256]}}}}
policies: {{{{caller: {{{{issuer: main}}}}}}}}
upstreams: {{{{backend: http://{{backend}}}}}}
rate_limits: {{{{per_user: {{{{by: subject, rate: 10000/s}}}}}}}}
routes:
  - {{{{path: /raw/, upstream: backend, policy: caller, identity: {{{{X-User: sub}}}}}}}}
  - {{{{path: /uncached/, upstream: backend, policy: caller, staleness: 0}}}}
  - {{{{path: /limited/, upstream: backend, policy: caller, rate_limit: per_user}}}}
  - {{{{path: /public/, upstream: backend, public: true}}}}
"""


@pytest.fixture(scope="module")
def hostile(nginx: Path, backend: Backend) -> Iterator[tuple[StandAlone, StubValidators]]:
    """The gate in hostile surroundings, with validators that say what they are told."""
    text = CONFIGURATION.format(backend=backend.address)
    with (
        StandAlone(text, nginx=nginx, change=surrounded) as alone,
        StubValidators(alone.run_dir, lambda _path, _headers: denied("token_expired")) as stubs,
    ):
        yield alone, stubs


ANSWERS: dict[str, tuple[Answer, int]] = {
    "denied": (denied("token_expired"), 401),
    "denied for the lack of a role": (denied("role_missing"), 403),
    "denied without a reason": ((401, {}), 500),
    "a reason that nobody knows": (denied("no_such_reason"), 500),
    "403": ((403, {}), 403),
    "404": ((404, {}), 503),
    "500": ((500, {}), 503),
    "302": ((302, {"Location": "/public/"}), 503),
    "a redirect inside": ((401, {"X-Accel-Redirect": "/public/", "X-Jwtgate-Reason": "token_expired"}), 401),
}


@pytest.mark.parametrize("path", ["/raw/x", "/uncached/x", "/limited/x"])
@pytest.mark.parametrize(("answer", "status"), ANSWERS.values(), ids=ANSWERS)
def test_no_answer_but_an_allow_opens_the_gate(
    hostile: tuple[StandAlone, StubValidators], backend: Backend, path: str, answer: Answer, status: int
) -> None:
    gate, stubs = hostile
    stubs.answer = lambda _path, _headers: answer
    before = len(backend.seen)
    for method, body in (("GET", None), ("POST", b"body"), ("GET", None)):
        got = gate.request(path, method=method, body=body, token="t")
        assert got.status == status
        assert "x-hostile" not in got.headers
    assert len(backend.seen) == before


@pytest.mark.parametrize("path", ["/raw/x", "/uncached/x", "/limited/x"])
def test_no_answer_but_an_allow_opens_the_gate_in_a_hostile_server(
    nginx: Path, backend: Backend, path: str
) -> None:
    text = CONFIGURATION.format(backend=backend.address)
    with (
        StandAlone(text, nginx=nginx, change=surrounded_more_closely) as gate,
        StubValidators(gate.run_dir, lambda _path, _headers: ALLOW) as stubs,
    ):
        before = len(backend.seen)
        assert gate.request(path, token="t").json()["path"] == path
        for answer, _ in ANSWERS.values():
            stubs.answer = lambda _path, _headers, answer=answer: answer  # type: ignore[misc]  # bound now
            assert gate.request(path, token="t").status < 600
        assert len(backend.seen) == before + 1


def test_denials_are_not_cached_and_allows_are_for_as_long_as_they_say(
    hostile: tuple[StandAlone, StubValidators],
) -> None:
    gate, stubs = hostile
    stubs.asked.clear()
    stubs.answer = lambda _path, _headers: denied("token_expired")
    assert [gate.request("/raw/x", token="cached").status for _ in range(3)] == [401] * 3
    assert len(stubs.asked) == 3
    stubs.answer = lambda _path, _headers: (200, {"X-Accel-Expires": "60", "X-Jwtgate-Identity-X-User": "alice"})
    for _ in range(3):
        answer = gate.request("/raw/x", token="cached", headers={"X-User": "root"})
        assert answer.status == 200
        assert [value for name, value in answer.json()["headers"] if name == "x-user"] == ["alice"]
    assert len(stubs.asked) == 4
    stubs.answer = lambda _path, _headers: (500, {})
    assert gate.request("/raw/x", token="another").status == 503
    assert {headers.get("authorization") for _, headers in stubs.asked} == {"Bearer cached", "Bearer another"}
    assert all("x-user" not in headers for _, headers in stubs.asked)


def test_without_validators_it_stays_shut(nginx: Path, backend: Backend) -> None:
    with StandAlone(CONFIGURATION.format(backend=backend.address), nginx=nginx, change=surrounded) as gate:
        assert [gate.request("/raw/x", token="t").status for _ in range(2)] == [503, 503]
        assert gate.request("/nowhere").status == 404


def test_the_services_answers_are_left_alone(hostile: tuple[StandAlone, StubValidators]) -> None:
    gate, _ = hostile
    assert gate.request("/public/status/401").status == 401
    assert gate.request("/public/status/500").status == 500
    assert gate.request("/public/accel").text == "plain"
