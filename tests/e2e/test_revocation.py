"""Revoked tokens at a running gateway: by the issuer's status list, by the operator's deny-list, and how soon."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate.nginx.binary import find_nginx
from jwtgate.revocation import Denied, write_denied
from support.gateway import Gateway, jwtgate, wait_until
from support.http import request
from support.issuer import AUDIENCE, URL, Issuer
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response

STALENESS = 2  # seconds that NGINX repeats an allow
MAX_AGE = 2  # of the status list
MAX_STALE = 6
SLACK = 3  # for a machine that has other things to do


@pytest.fixture(scope="module")
def nginx() -> Path:
    """One is enough: what is tested here is not NGINX's."""
    return find_nginx().path


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.list_max_age = MAX_AGE
        yield running


@pytest.fixture(scope="module")
def deny_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("denied") / "denied.jsonl"
    path.write_text("# nobody yet\n")
    return path


@pytest.fixture(scope="module")
def admin() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def gateway(nginx: Path, backend: Backend, issuer: Issuer, deny_list: Path, admin: str) -> Iterator[Gateway]:
    text = f"""
admin: {admin}
workers: 2
deny_list: {deny_list}
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256], leeway: 0s,
          status_lists: {issuer.list_url}, status_max_stale: {MAX_STALE}s}}
policies: {{one: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes:
  - {{path: /one/, upstream: backend, policy: one, staleness: {STALENESS}s}}
  - {{path: /long/, upstream: backend, policy: one, staleness: 600s}}
  - {{path: /never/, upstream: backend, policy: one, staleness: 0}}
  - {{path: /lax/, upstream: backend, policy: one, staleness: 0, unsafe_allow_stale_status: true}}
"""
    with Gateway(text, nginx=nginx) as running:
        wait_until(lambda: issuer.list_fetches > 0)
        yield running


def reason(gateway: Gateway, answer: Response) -> str:
    found: str = gateway.logged(answer.headers["x-request-id"])["reason"]
    return found


def everywhere(gateway: Gateway, token: str) -> set[int]:
    """What the workers say, each of which reads the deny-list for itself: NGINX asks them in turn."""
    return {gateway.request("/never/", token=token).status for _ in range(8)}


def seconds_until_denied(gateway: Gateway, token: str) -> float:
    """How long a token that is used all the time still gets through."""
    began = time.monotonic()
    wait_until(lambda: gateway.request("/one/", token=token).status != 200, patience=60)
    return time.monotonic() - began


def test_a_token_that_its_issuer_revokes_stops_working_within_max_age_and_staleness(
    gateway: Gateway, issuer: Issuer
) -> None:
    token, other = issuer.token(status=issuer.status(7)), issuer.token(status=issuer.status(8))
    for each in (token, other):
        assert gateway.request("/one/", token=each).status == 200
    issuer.revoked.add(7)
    assert seconds_until_denied(gateway, token) <= MAX_AGE + STALENESS + SLACK
    answer = gateway.request("/one/", token=token)
    assert (answer.status, answer.json()["code"]) == (401, "invalid_token")
    assert reason(gateway, answer) == "token_revoked"
    assert gateway.request("/one/", token=other).status == 200
    assert gateway.request("/one/", token=issuer.token()).status == 200, "a token without a status"


def test_jwtgate_keys_shows_the_status_lists_and_the_deny_list(
    gateway: Gateway, issuer: Issuer, deny_list: Path, admin: str
) -> None:
    def told() -> dict[str, Any]:
        done = jwtgate("keys", str(gateway.configuration), "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    wait_until(lambda: told()["status_lists"][0]["age"] is not None)
    now = told()
    (listed,) = now["status_lists"]
    assert (listed["issuer"], listed["uri"], listed["error"]) == ("main", issuer.list_url, None)
    assert 0 <= listed["age"] <= MAX_STALE
    assert now["deny_list"] == {"file": str(deny_list), "entries": 0, "error": None}

    before = deny_list.read_bytes()
    deny_list.write_bytes(before + write_denied(Denied(iss=URL, jti="shown")))
    wait_until(lambda: told()["deny_list"]["entries"] == 1)
    deny_list.write_bytes(before + b"nonsense\n")
    wait_until(lambda: told()["deny_list"]["error"] is not None)
    shown = jwtgate("keys", str(gateway.configuration)).stdout
    assert f"status list  {issuer.list_url} of main" in shown
    assert f"deny-list  {deny_list}" in shown
    assert "the last good one is" in shown
    metrics = request(admin, "/metrics").text.splitlines()
    assert {
        'jwtgate_status_lists{issuer="main"} 1.0',
        'jwtgate_status_lists_failing{issuer="main"} 0.0',
        "jwtgate_deny_list_entries 1.0",
        "jwtgate_deny_list_failing 1.0",
    } <= set(metrics)
    assert any(line.startswith('jwtgate_status_list_age_seconds{issuer="main"} ') for line in metrics)
    deny_list.write_bytes(before)
    wait_until(lambda: told()["deny_list"] == {"file": str(deny_list), "entries": 0, "error": None})


@pytest.mark.usefixtures("gateway")
def test_the_workers_of_a_gateway_make_one_fetch_for_each_max_age(issuer: Issuer) -> None:
    before = issuer.list_fetches
    time.sleep(3 * MAX_AGE)
    # One after 70 to 90 % of the max-age, by whichever worker; two workers on their own would make twice as many.
    assert 2 <= issuer.list_fetches - before <= 5


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"status_list": {"idx": 1024, "uri": "LIST"}}, "status_unknown"),
        ({"status_list": {"idx": 0, "uri": "LIST/2"}}, "status_unknown"),
        ({"status_list": {"idx": 0, "uri": "http://127.0.0.1:1/elsewhere"}}, "status_unknown"),
        ({"status_list": {"idx": -1, "uri": "LIST"}}, "claims_unreadable"),
        ("revoked", "claims_unreadable"),
    ],
)
def test_a_status_that_cannot_be_looked_up_denies(
    gateway: Gateway, issuer: Issuer, status: dict[str, dict[str, str]] | str, expected: str
) -> None:
    if isinstance(status, dict):
        reference = status["status_list"]
        status = {"status_list": reference | {"uri": reference["uri"].replace("LIST", issuer.list_url)}}
    answer = gateway.request("/lax/", token=issuer.token(status=status))
    assert answer.status == 401
    assert reason(gateway, answer) == expected


def test_a_list_that_is_too_old_is_503_or_allowed_as_the_route_says(gateway: Gateway, issuer: Issuer) -> None:
    valid, revoked = issuer.token(status=issuer.status(9)), issuer.token(status=issuer.status(10))
    issuer.revoked.add(10)
    wait_until(lambda: gateway.request("/never/", token=revoked).status == 401)
    issuer.list_status = 500
    try:
        wait_until(lambda: gateway.request("/never/", token=valid).status == 503)
        answer = gateway.request("/never/", token=valid)
        assert answer.json()["code"] == "temporarily_unavailable"
        assert "retry-after" in answer.headers
        assert reason(gateway, answer) == "status_unavailable"
        assert gateway.request("/lax/", token=valid).status == 200
        assert gateway.request("/lax/", token=revoked).status == 401, "what was revoked stays revoked"
        assert gateway.request("/never/", token=issuer.token()).status == 200
    finally:
        issuer.list_status = 200
    wait_until(lambda: gateway.request("/never/", token=valid).status == 200)


def test_an_entry_in_the_deny_list_works_within_the_staleness(
    gateway: Gateway, issuer: Issuer, deny_list: Path
) -> None:
    token, other = issuer.token(jti="leaked"), issuer.token(jti="kept")
    for each in (token, other):
        assert gateway.request("/one/", token=each).status == 200
    with deny_list.open("ab") as file:
        file.write(write_denied(Denied(iss=URL, jti="leaked", until=int(time.time()) + 300)))
    assert seconds_until_denied(gateway, token) <= STALENESS + SLACK
    answer = gateway.request("/one/", token=token)
    assert reason(gateway, answer) == "token_revoked"
    assert gateway.request("/one/", token=other).status == 200


def test_revoke_denies_at_once_also_what_was_decided_before(
    gateway: Gateway, issuer: Issuer, deny_list: Path
) -> None:
    lost, kept = issuer.token(jti="lost"), issuer.token(jti="not lost")
    for _ in range(3):
        for each in (lost, kept):
            assert gateway.request("/long/", token=each).status == 200
    command = ("revoke", str(gateway.configuration))
    done = jwtgate(*command, "--token", "-", "--note", "laptop", input=lost)
    assert done.returncode == 0, done.stderr
    assert "2 validators have read the deny-list" in done.stdout
    assert gateway.request("/long/", token=lost).status == 401
    assert gateway.request("/long/", token=kept).status == 200
    assert lost not in done.stdout + deny_list.read_text() + gateway.said

    old = issuer.token(sub="carol", iat=int(time.time()) - 10)
    assert gateway.request("/long/", token=old).status == 200
    assert jwtgate(*command, "--sub", "carol", "--issued-before", "now").returncode == 0
    assert gateway.request("/long/", token=old).status == 401
    assert gateway.request("/long/", token=issuer.token(sub="carol")).status == 200

    deny_list.write_text(deny_list.read_text() + "not an entry\n")
    refused = jwtgate(*command, "--sub", "dan")
    assert refused.returncode in (1, 2)
    assert f"{deny_list}:" in refused.stderr
    deny_list.write_text(deny_list.read_text().replace("not an entry\n", ""))


def test_a_damaged_deny_list_is_said_and_changes_nothing(
    gateway: Gateway, issuer: Issuer, deny_list: Path
) -> None:
    token = issuer.token(sub="mallory")
    before = deny_list.read_bytes()
    deny_list.write_bytes(before + write_denied(Denied(iss=URL, sub="mallory")))
    wait_until(lambda: everywhere(gateway, token) == {401})
    deny_list.write_bytes(b"mallory is welcome again\n")
    wait_until(lambda: f"{deny_list}:1: not an entry" in gateway.said)
    assert gateway.request("/never/", token=token).status == 401
    deny_list.write_bytes(before)
    wait_until(lambda: everywhere(gateway, token) == {200})


def test_a_worker_that_is_started_again_knows_the_deny_list_before_its_first_decision(
    gateway: Gateway, issuer: Issuer, deny_list: Path
) -> None:
    token = issuer.token(sub="eve")
    with deny_list.open("ab") as file:
        file.write(write_denied(Denied(iss=URL, sub="eve")))
    wait_until(lambda: everywhere(gateway, token) == {401})
    for pid in gateway.children("validator"):
        os.kill(pid, signal.SIGKILL)
    answers = {gateway.request("/never/", token=token).status for _ in range(50)}
    assert answers <= {401, 503}
    wait_until(lambda: gateway.request("/never/", token=issuer.token()).status == 200)
    assert gateway.request("/never/", token=token).status == 401
