"""Issuers' keys as a running gateway has them: `jwtgate keys`, and a fetch that a person asks for."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate.keys import generate_signing_key
from support.gateway import Gateway, jwtgate, wait_until
from support.issuer import AUDIENCE, URL, Issuer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend

SECRET = "correct horse battery staple, and more of it"
TENANT = "https://login.example/{tenant}/v2.0"


@pytest.fixture(scope="module")
def own(nginx: Path) -> Iterator[Issuer]:  # noqa: ARG001 - one for each gateway
    """An issuer whose keys a test changes: the last one."""
    with Issuer(max_age=3600) as own:
        yield own


@pytest.fixture(scope="module")
def gateway(
    nginx: Path, backend: Backend, own: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    secret = tmp_path_factory.mktemp("secrets") / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    inline = generate_signing_key("ES256").public_jwk() | {"kid": "inline-1"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configuration = f"""
issuers:
  main: {{issuer: {URL}, jwks: {own.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256]}}
  entra:
    issuer: {TENANT}
    tenants: [one, two]
    jwks: {own.jwks_url}
    audience: {AUDIENCE}
    algorithms: [ES256]
  written: {{issuer: https://written.example, keys: [{json.dumps(inline)}], audience: x, algorithms: [ES256]}}
  hidden: {{issuer: https://hidden.example, secret_file: {secret}, audience: x, algorithms: [HS256]}}
  silent:
    issuer: https://silent.example
    jwks: http://127.0.0.1:{silent.getsockname()[1]}/jwks
    audience: x
    algorithms: [ES256]
    fetch: {{timeout: 60s}}
  down: {{issuer: https://down.example, jwks: "http://127.0.0.1:1/jwks", audience: x, algorithms: [ES256]}}
policies: {{caller: {{issuers: [main, entra, written, hidden, silent, down]}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 600s}}]
workers: 2
"""
        with Gateway(configuration, nginx=nginx) as gateway:
            yield gateway


def shown(gateway: Gateway) -> dict[str, Any]:
    """What `jwtgate keys --json` says, by issuer."""
    done = jwtgate("keys", str(gateway.configuration), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["workers"], told["answering"]) == (2, 2)
    return {issuer["name"]: issuer for issuer in told["issuers"]}


def test_keys_are_shown_with_where_they_are_from_and_when_they_were_used(gateway: Gateway, own: Issuer) -> None:
    wait_until(lambda: all(shown(gateway)[name]["keys"] for name in ("main", "entra")))
    assert [key["last_used"] for key in shown(gateway)["main"]["keys"]] == [None]
    for number in range(6):  # several, so that no worker is left out
        assert gateway.request("/", token=own.token(jti=str(number))).status == 200
    assert gateway.request("/", token=own.token(iss=TENANT.replace("{tenant}", "two"))).status == 200
    assert gateway.request("/", token=own.token(iss=TENANT.replace("{tenant}", "three"))).status == 401

    after = shown(gateway)
    (key,) = after["main"]["keys"]
    assert (key["kid"], key["algorithms"]) == (own.key.kid, ["ES256"])
    assert key["last_used"] >= key["first_seen"]
    assert {name: issuer["origin"] for name, issuer in after.items()} == {
        "main": "fetched",
        "entra": "fetched",
        "written": "inline",
        "hidden": "secret",
        "silent": "pending",
        "down": None,
    }
    assert (after["entra"]["issuer"], after["entra"]["tenants"]) == (TENANT, 2)
    assert 0 <= after["main"]["age"] < 600
    assert 0 < after["main"]["next_refresh"] < 3600
    assert after["down"]["failing"]
    assert "127.0.0.1:1" in after["down"]["last_error"]
    assert not after["down"]["available"]

    for_people = jwtgate("keys", "--run-dir", str(gateway.run_dir))
    assert for_people.returncode == 0
    assert key["thumbprint"] in for_people.stdout
    assert "inline-1" in for_people.stdout
    assert "unavailable: its tokens get 503" in for_people.stdout
    assert SECRET not in for_people.stdout + json.dumps(after)


def test_a_refresh_that_fails_says_so_and_takes_nothing_away(gateway: Gateway, own: Issuer) -> None:
    token = own.token()
    assert gateway.request("/", token=token).status == 200
    own.down()
    done = jwtgate("keys", "refresh", "--issuer", "main", "--run-dir", str(gateway.run_dir))
    assert done.returncode == 1
    own.up()
    assert "failing" in done.stdout
    assert gateway.request("/", token=token).status == 200


def test_a_refresh_that_has_not_ended_is_no_success(gateway: Gateway) -> None:
    done = jwtgate("keys", "refresh", str(gateway.configuration), "--issuer", "silent")
    assert done.returncode == 1
    assert "in 2 of 2 validators a fetch has failed, or has not ended" in done.stdout


def test_a_name_that_is_no_issuer_is_answered_by_those_that_are(gateway: Gateway) -> None:
    done = jwtgate("keys", "--run-dir", str(gateway.run_dir), "refresh", "--issuer", "mian")
    assert done.returncode == 1
    assert "no issuer 'mian': there are main, entra, written, hidden, silent, down" in done.stderr


def test_a_removed_key_is_refused_everywhere_once_a_refresh_was_asked_for(gateway: Gateway, own: Issuer) -> None:
    assert jwtgate("keys", "refresh", str(gateway.configuration), "--issuer", "main").returncode == 0
    tokens = [own.token(jti=str(number)) for number in range(8)]
    assert {gateway.request("/", token=token).status for token in tokens * 2} == {200}
    gone = shown(gateway)["main"]["keys"][0]["thumbprint"]
    # The issuer has been broken into: another key from now on.
    own.keys = [generate_signing_key("ES256")]
    assert {gateway.request("/", token=token).status for token in tokens} == {200}
    fetches = own.fetches

    done = jwtgate("keys", "refresh", str(gateway.configuration), "--issuer", "main")

    assert (done.returncode, done.stderr) == (0, "")
    assert own.fetches == fetches + 1, "the workers share it"
    assert {gateway.request("/", token=token).status for token in tokens * 2} == {401}
    assert {gateway.request("/", token=own.token(key=own.keys[0])).status for _ in range(8)} == {200}
    come = shown(gateway)["main"]["keys"][0]["thumbprint"]
    changes = [line for line in gateway.said.splitlines() if "keys_changed" in line and come in line]
    assert [gone in line for line in changes] == [True], "one line for all workers"


def test_an_outage_and_its_end_are_in_the_log_without_being_asked_for(gateway: Gateway, own: Issuer) -> None:
    def refresh() -> None:
        own.keys = [generate_signing_key("ES256")]
        jwtgate("keys", "refresh", str(gateway.configuration), "--issuer", "main")

    refresh()  # whatever was wrong before is over
    before = len(gateway.said)
    for turn in (own.down, own.up):
        turn()
        refresh()
    whole = gateway.said[before:].rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    events = [line["event"] for line in lines if line.get("issuer") == "main"]
    assert events == ["keys_fetch_failed", "keys_changed", "keys_fetch_recovered"]
