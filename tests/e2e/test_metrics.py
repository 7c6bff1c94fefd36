"""What the admin address tells Prometheus, and that the dashboard, the alerts and the docs speak of it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.gateway import Gateway, jwtgate, wait_until
from support.http import request, send
from support.issuer import AUDIENCE, URL, Issuer
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.backend import Backend

ROOT = Path(__file__).parents[2]

Sample = tuple[str, frozenset[tuple[str, str]]]


class Watched:
    """A gateway and its metrics."""

    def __init__(self, gateway: Gateway, admin: str) -> None:
        self.gateway, self.admin = gateway, admin

    def text(self) -> str:
        """What Prometheus would read."""
        return request(self.admin, "/metrics").text

    def samples(self) -> dict[Sample, float]:
        """All values, by name and labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels, whatever others they have."""
        return sum(
            value for (found, pairs), value in self.samples().items() if found == name and pairs >= labels.items()
        )


@pytest.fixture(scope="module")
def watched(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Watched]:
    """A gateway that nobody else asks."""
    admin = f"127.0.0.1:{free_port()}"
    text = f"""
admin: {admin}
issuers:
  main: {{issuer: {URL}, jwks: {issuer.jwks_url}, audience: {AUDIENCE}, algorithms: [{issuer.algorithm}]}}
  down: {{issuer: {URL}/down, jwks: "http://127.0.0.1:1/jwks", audience: {AUDIENCE}, algorithms: [ES256]}}
policies: {{caller-all: {{issuers: [main, down]}}, caller-next: {{issuer: main}}}}
upstreams: {{backend: http://{backend.address}}}
routes:
  - {{path: /x/, upstream: backend, policy: caller-all, shadow: caller-next, staleness: 60s}}
  - {{path: /uncached/, upstream: backend, policy: caller-all, staleness: 0}}
  - {{path: /public/, upstream: backend, public: true}}
"""
    with Gateway(text, nginx=nginx) as gateway:
        yield Watched(gateway, admin)


def test_requests_are_counted_by_route_and_decision(watched: Watched, issuer: Issuer) -> None:
    gateway, token = watched.gateway, issuer.token(jti="counted")
    for _ in range(3):
        assert gateway.request("/x/", token=token).status == 200
        assert gateway.request("/uncached/", token=token).status == 200
    assert gateway.request("/x/").status == 401
    assert gateway.request("/x/", token=issuer.token(exp=1)).status == 401
    assert gateway.request("/public/").status == 200
    assert gateway.request("/nowhere").status == 404
    assert (
        send(gateway.address, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n").status
        == 400
    )

    def total() -> float:
        return watched.value("jwtgate_requests_total")

    wait_until(lambda: total() == 11)
    allowed = {"policy": "caller-all", "issuer": "main", "reason": "allowed"}
    assert watched.value("jwtgate_decisions_total", route="/x/", **allowed) == 3
    assert watched.value("jwtgate_decisions_total", route="/uncached/", **allowed) == 3
    assert watched.value("jwtgate_decisions_total", route="/x/", reason="token_missing") == 1
    assert watched.value("jwtgate_decisions_total", route="/x/", reason="token_expired", issuer="main") == 1
    assert watched.value("jwtgate_decisions_total", reason="bad_request") == 1
    assert watched.value("jwtgate_decisions_total", route="/public/") == 0
    assert watched.value("jwtgate_requests_total", route="/public/", status="200") == 1
    assert watched.value("jwtgate_requests_total", route="", status="404") == 1
    assert watched.value("jwtgate_decision_cache_total", route="/x/", state="hit") == 1
    assert watched.value("jwtgate_decision_cache_total", route="/uncached/") == 0

    asked = watched.value("jwtgate_validator_decision_seconds_count")
    assert asked == 7, "one answer came from NGINX's cache"
    assert watched.value("jwtgate_validator_decision_seconds_bucket", le="+Inf") == asked
    assert 0 < watched.value("jwtgate_validator_decision_seconds_sum") < 60
    assert 1 <= watched.value("jwtgate_verified_token_hits_total") <= 3  # two workers, each checks it once
    assert watched.value("jwtgate_ready") == 1
    assert watched.value("jwtgate_issuer_available", issuer="main") == 1
    assert watched.value("jwtgate_issuer_keys", issuer="main") == 1


def test_each_key_is_told_with_when_it_was_seen_and_used(watched: Watched, issuer: Issuer) -> None:
    before = time.time()
    assert watched.gateway.request("/uncached/", token=issuer.token()).status == 200
    key = {"issuer": "main", "kid": issuer.key.kid, "alg": issuer.algorithm}
    key["thumbprint"] = issuer.key.kid  # RFC 7638
    samples = watched.samples()
    labels = frozenset(key.items())
    seen = samples["jwtgate_key_first_seen_timestamp_seconds", labels]
    used = samples["jwtgate_key_last_used_timestamp_seconds", labels]
    assert before - 3600 < seen <= used <= time.time()
    assert used >= before
    assert watched.value("jwtgate_keys_left_out") == 0


def test_where_the_keys_of_an_issuer_are_from_is_told_and_when_a_fetch_failed(watched: Watched) -> None:
    wait_until(lambda: watched.value("jwtgate_issuer_keys_source", issuer="down", source="none"))
    samples = watched.samples()
    down = frozenset({("issuer", "down")})
    assert samples["jwtgate_issuer_available", down] == 0
    assert samples["jwtgate_issuer_failing", down] == 1
    assert time.time() - 3600 < samples["jwtgate_issuer_last_error_timestamp_seconds", down] <= time.time()
    main = {
        pairs for name, pairs in samples if name == "jwtgate_issuer_keys_source" and ("issuer", "main") in pairs
    }
    assert main == {frozenset({("issuer", "main"), ("source", "fetched")})}


def test_kept_keys_that_nobody_has_read_yet_are_no_outage(nginx: Path, backend: Backend) -> None:
    """`lazy`: what issuers are for some seconds when there are many. Their keys are read when a token comes."""
    admin = f"127.0.0.1:{free_port()}"
    with Issuer() as own:
        text = f"""
admin: {admin}
state_dir: state
workers: 2
issuers:
  kept: {{issuer: {URL}, jwks: {own.jwks_url}, audience: {AUDIENCE}, algorithms: [ES256], start: lazy}}
  never: {{issuer: {URL}/n, jwks: "{own.jwks_url}?never", audience: {AUDIENCE}, algorithms: [ES256], start: lazy}}
policies: {{caller: {{issuers: [kept, never]}}}}
upstreams: {{backend: http://{backend.address}}}
routes: [{{path: /, upstream: backend, policy: caller, staleness: 0}}]
"""
        with Gateway(text, nginx=nginx) as gateway:
            watched = Watched(gateway, admin)
            assert gateway.request("/", token=own.token()).status == 200
            gateway.stop()
            own.down()
            gateway.start()

            told = watched.samples()
            names = {name for name, pairs in told if ("issuer", "kept") in pairs or ("issuer", "never") in pairs}
            assert not names & {"jwtgate_issuer_available", "jwtgate_issuer_keys"}
            assert watched.value("jwtgate_issuer_keys_source", issuer="kept", source="kept") == 1
            assert watched.value("jwtgate_issuer_keys_source", issuer="never", source="pending") == 1
            ready = request(admin, "/ready")
            assert (ready.status, json.loads(ready.text)["missing_issuers"]) == (200, [])
            said = jwtgate("keys", str(gateway.configuration)).stdout
            assert "on disk, not read yet" in said
            assert "not fetched yet" in said
            assert "unavailable" not in said

            assert gateway.request("/", token=own.token()).status == 200
            assert watched.value("jwtgate_issuer_available", issuer="kept") == 1
            assert watched.value("jwtgate_issuer_keys_source", issuer="kept", source="snapshot") == 1


def test_what_has_been_counted_takes_no_room(watched: Watched) -> None:
    file = watched.gateway.run_dir / "counts.log"
    assert file.stat().st_mode & 0o077 == 0
    for _ in range(300):
        watched.gateway.request("/public/")
    wait_until(lambda: watched.value("jwtgate_requests_total", route="/public/") >= 300)
    assert file.stat().st_size > 300
    assert file.stat().st_blocks * 512 <= 8192


def test_no_label_has_anything_of_a_token_or_a_client(watched: Watched, issuer: Issuer) -> None:
    token = issuer.token(sub="somebody-known", jti="secret-jti")
    for path in ("/x/private?secret-query", "/secret-path"):
        watched.gateway.request(path, token=token, headers={"User-Agent": "secret-agent", "Host": "secret-host"})
    forged = issuer.token(iss="https://secret-issuer.example")
    watched.gateway.request("/x/", token=forged)
    wait_until(lambda: watched.value("jwtgate_decisions_total", reason="issuer_unknown") >= 1)
    unknown = issuer.token(key=replace(issuer.key, kid="secret-kid"))
    watched.gateway.request("/x/", token=unknown)
    wait_until(lambda: watched.value("jwtgate_decisions_total", reason="key_unknown") >= 1)
    text = watched.text()
    assert not [word for word in ("secret", "somebody", token[:20]) if word in text]


# Files that speak of metrics


def existing(watched: Watched, issuer: Issuer) -> set[str]:
    """The names of all samples that there are, once somebody has asked, and an issuer has failed."""
    watched.gateway.request("/x/")
    watched.gateway.request("/uncached/", token=issuer.token())
    wait_until(lambda: watched.value("jwtgate_decision_cache_total"))
    wait_until(lambda: watched.value("jwtgate_issuer_failing", issuer="down"))
    names = {name for name, _ in watched.samples()}
    assert len(names) > 15
    return names | {"up"} | {f"jwtgate_nginx_{name}" for name in OF_STUB_STATUS} | OF_REVOCATION


# Only of a gateway with status lists or a deny-list: tests/e2e/test_revocation.py.
OF_REVOCATION = {
    "jwtgate_status_lists",
    "jwtgate_status_lists_failing",
    "jwtgate_status_list_age_seconds",
    "jwtgate_deny_list_entries",
    "jwtgate_deny_list_failing",
}

# Only of an NGINX that was built with stub_status.
OF_STUB_STATUS = ("connections", "connections_accepted_total", "connections_handled_total", "requests_total")


def queries() -> dict[str, str]:
    """Every query of the dashboard and of the alert rules."""
    dashboard = json.loads((ROOT / "deploy/grafana/jwtgate.json").read_text())
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    found |= {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    assert len(found) > 20
    return found


def test_dashboard_and_alerts_ask_for_metrics_and_labels_that_exist(watched: Watched, issuer: Issuer) -> None:
    known = existing(watched, issuer)
    labels = {name for _, pairs in watched.samples() for name, _ in pairs} | {"instance", "job"}
    for title, query in queries().items():
        names = set(re.findall(r"\b(?:jwtgate_\w+|up(?=\{))", query))
        assert names, title
        assert names <= known, title
        used = re.findall(r"(\w+)(?:=~|!=|=)\"", query)
        used += [name.strip() for by in re.findall(r"by \(([^)]*)\)", query) for name in by.split(",")]
        assert set(used) <= labels, title


def test_every_metric_is_in_the_docs(watched: Watched, issuer: Issuer) -> None:
    documented = set(re.findall(r"^\| `(jwtgate_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    exist = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in existing(watched, issuer)} - {"up"}
    assert documented == exist


def test_the_alert_rules_say_what_to_do() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert set(rule["annotations"]) == {"summary", "do"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
