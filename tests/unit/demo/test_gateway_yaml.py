"""The demo's gateway.yaml: what it means, and each of its answers."""

from __future__ import annotations

import json
import re
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from jwtgate.config import load
from jwtgate.plan import IdentityHeader, JwksUrl, Listener
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.plan import Plan

INVALID_SIGNATURE = (400, '{"success": false, "error": "invalid signature"}')
MALFORMED = (400, '{"success": false, "error": "token is malformed"}')
EMPTY = (400, '{"success": false, "error": "token is empty"}')
INTROSPECTION_FAILED = (500, '{"success": false, "error": "introspection failed"}')
NOT_ACTIVE = (403, '{"success": false, "error": "token is not active"}')
NOT_AUTHORIZED = (401, '{"success": false, "error": "you are not authorized to access this resource"}')
PARSING_ERROR = (500, '{"success": false, "error": "parsing error"}')
UNKNOWN = (500, '{"success": false, "error": "something unknown happened :O"}')
UNAVAILABLE = (503, '{"success": false, "error": "temporarily unavailable"}')

ANSWERS = {
    Reason.TOKEN_MISSING: EMPTY,
    Reason.CREDENTIALS_AMBIGUOUS: MALFORMED,
    Reason.TOKEN_MALFORMED: MALFORMED,
    Reason.TOKEN_TOO_LARGE: MALFORMED,
    Reason.HEADER_INVALID: MALFORMED,
    Reason.CRIT_UNSUPPORTED: MALFORMED,
    Reason.CLAIMS_UNREADABLE: PARSING_ERROR,
    Reason.ISSUER_UNKNOWN: INVALID_SIGNATURE,
    Reason.KEY_UNKNOWN: INVALID_SIGNATURE,
    Reason.KEY_AMBIGUOUS: INVALID_SIGNATURE,
    Reason.ALGORITHM_NOT_ALLOWED: INVALID_SIGNATURE,
    Reason.SIGNATURE_INVALID: INVALID_SIGNATURE,
    Reason.TOKEN_EXPIRED: NOT_ACTIVE,
    Reason.TOKEN_NOT_YET_VALID: NOT_ACTIVE,
    Reason.TOKEN_TOO_OLD: NOT_ACTIVE,
    Reason.TOKEN_REVOKED: NOT_ACTIVE,
    Reason.TOKEN_INACTIVE: NOT_ACTIVE,
    Reason.STATUS_UNKNOWN: NOT_ACTIVE,
    Reason.AUDIENCE_MISMATCH: NOT_ACTIVE,
    Reason.TYPE_MISMATCH: NOT_ACTIVE,
    Reason.CLAIM_MISSING: NOT_ACTIVE,
    Reason.PROOF_MISSING: NOT_ACTIVE,
    Reason.SCOPE_MISSING: NOT_AUTHORIZED,
    Reason.ROLE_MISSING: NOT_AUTHORIZED,
    Reason.REQUIREMENT_FAILED: NOT_AUTHORIZED,
    Reason.STEP_UP_REQUIRED: NOT_AUTHORIZED,
    Reason.POLICY_ERROR: UNKNOWN,
    Reason.POLICY_UNKNOWN: UNKNOWN,
    Reason.INTERNAL_ERROR: UNKNOWN,
    Reason.INTROSPECTION_FAILED: INTROSPECTION_FAILED,
    Reason.ISSUER_UNAVAILABLE: UNAVAILABLE,
    Reason.STATUS_UNAVAILABLE: UNAVAILABLE,
    Reason.VALIDATOR_UNAVAILABLE: UNAVAILABLE,
}


def demo_plan(environ: Mapping[str, str]) -> Plan:
    with as_file(files("jwtgate.demo") / "gateway.yaml") as path:
        loaded = load(path, environ)
    assert loaded.warnings == ()
    return loaded.plan


PLAN = demo_plan({})


def test_every_reason_is_in_the_table() -> None:
    assert ANSWERS.keys() == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_its_own_status_and_body(reason: Reason) -> None:
    answer = dict(PLAN.answers)[reason]
    assert (answer.status, answer.body) == ANSWERS[reason]
    assert answer.content_type == "application/json"
    assert list(json.loads(answer.body)) == ["success", "error"]


@pytest.mark.parametrize("reason", Reason)
def test_what_is_down_asks_to_come_back_and_nothing_else_does(reason: Reason) -> None:
    answer = dict(PLAN.answers)[reason]
    assert ("Retry-After" in dict(answer.headers)) == (answer.status == 503)


def test_the_demo_listens_on_the_loopback_address_only() -> None:
    assert PLAN.listeners == (Listener("127.0.0.1:58080", tls=None),)
    assert PLAN.access_log is None
    assert PLAN.signer is not None
    assert PLAN.signer.listen == "127.0.0.1:58081"
    addresses = {name: upstream.servers[0].address for name, upstream in PLAN.upstreams.items()}
    assert addresses == {
        "microservice-a": "127.0.0.1:58082",
        "microservice-b": "127.0.0.1:58083",
        "signer": "127.0.0.1:58081",
    }


def test_the_gateway_trusts_what_its_signer_issues() -> None:
    signer, issuer = PLAN.signer, PLAN.issuers["signer"]
    assert signer is not None
    assert (signer.issuer, signer.audience, signer.algorithms) == (
        issuer.issuer,
        issuer.audience,
        issuer.algorithms,
    )
    assert (signer.algorithms, signer.token_lifetime, signer.jwks_max_age) == (("ES512",), 86400, 300)
    assert issuer.keys == JwksUrl("http://127.0.0.1:58081/jwk")


def test_both_services_need_a_token_and_the_signer_none() -> None:
    routes = {route.path: route for route in PLAN.routes}
    assert routes.keys() == {"/a/", "/b/", "/signer/"}
    assert all(route.strip_prefix for route in PLAN.routes)
    for path in ("/a/", "/b/"):
        policy = routes[path].policy
        assert policy is not None
        assert PLAN.policies[policy].bare_token
        assert PLAN.policies[policy].issuers == ("signer",)
    b = routes["/b/"].policy
    assert b is not None
    assert PLAN.policies[b].identity == (IdentityHeader("X-User", ("sub",)),)
    assert (routes["/signer/"].policy, routes["/signer/"].cache_jwks) == (None, True)


def test_addresses_key_directory_and_access_log_come_from_the_environment() -> None:
    plan = demo_plan(
        {
            "JWTGATE_DEMO_LISTEN": "127.0.0.1:1080",
            "JWTGATE_DEMO_SIGNER": "127.0.0.1:1081",
            "JWTGATE_DEMO_SIGNER_LISTEN": "127.0.0.1:1081",
            "JWTGATE_DEMO_A": "127.0.0.1:1082",
            "JWTGATE_DEMO_B": "127.0.0.1:1083",
            "JWTGATE_DEMO_KEY_DIR": "/somewhere/keys",
            "JWTGATE_DEMO_ACCESS_LOG": "stdout",
        }
    )
    assert plan.listeners == (Listener("127.0.0.1:1080", tls=None),)
    assert plan.issuers["signer"].keys == JwksUrl("http://127.0.0.1:1081/jwk")
    assert {name: upstream.servers[0].address for name, upstream in plan.upstreams.items()} == {
        "microservice-a": "127.0.0.1:1082",
        "microservice-b": "127.0.0.1:1083",
        "signer": "127.0.0.1:1081",
    }
    assert plan.signer is not None
    assert plan.signer.listen == "127.0.0.1:1081"
    assert str(plan.signer.place.key_dir) == "/somewhere/keys"
    assert plan.access_log is not None


def test_compose_sets_only_what_the_demo_reads() -> None:
    root = Path(__file__).resolve().parents[3]
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    read = set(re.findall(r"\$\{(JWTGATE_DEMO_[A-Z_]+)", (files("jwtgate.demo") / "gateway.yaml").read_text())) | {
        "JWTGATE_DEMO_GATEWAY"
    }
    said = {name for part in compose["services"].values() for name in part.get("environment", {})}
    assert said <= read
