"""`jwtgate explain`: the route that NGINX would choose, and a word of advice for every reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate.cli.explain_advice import ADVICE
from jwtgate.config import load_text
from jwtgate.reasons import Reason
from jwtgate.routing import match_route
from support.gateway import jwtgate

if TYPE_CHECKING:
    from pathlib import Path

PLAN = load_text(
    """
version: 1
listen: 8000
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /, upstream: app, public: true}
  - {path: /a/, upstream: app, public: true}
  - {path: /a/b/, upstream: app, public: true}
  - {path: /a/exact, upstream: app, public: true}
  - {host: one.example, path: /, upstream: app, public: true}
  - {host: one.example, path: /a/, upstream: app, public: true}
  - {host: "*.example", path: /wild/, upstream: app, public: true}
  - {host: "*.deep.example", path: /deep/, upstream: app, public: true}
""",
    "gateway.yaml",
    {},
).plan


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        (None, "/", (None, "/")),
        (None, "/x", (None, "/")),
        (None, "/a", (None, "/")),
        (None, "/a/", (None, "/a/")),
        (None, "/a/x?y=/a/b/", (None, "/a/")),
        (None, "/a/b/c", (None, "/a/b/")),
        (None, "/a/exact", (None, "/a/exact")),
        (None, "/a/exact/", (None, "/a/")),
        (None, "/a/exact?x", (None, "/a/exact")),
        ("one.example", "/a/", ("one.example", "/a/")),
        ("ONE.example:8080", "/a/", ("one.example", "/a/")),
        ("one.example", "/x", ("one.example", "/")),
        # What a host does not say for itself is as everywhere: NGINX takes the longest.
        ("one.example", "/a/b/c", (None, "/a/b/")),
        ("one.example", "/a/exact", (None, "/a/exact")),
        # A host with a name of its own has nothing of the wildcards.
        ("one.example", "/wild/", ("one.example", "/")),
        ("two.example", "/wild/", ("*.example", "/wild/")),
        ("x.two.example", "/wild/", ("*.example", "/wild/")),
        ("x.deep.example", "/deep/", ("*.deep.example", "/deep/")),
        ("x.deep.example", "/wild/", (None, "/")),
        ("deep.example", "/deep/", (None, "/")),
        ("example", "/wild/", (None, "/")),
        ("elsewhere.test", "/a/", (None, "/a/")),
    ],
)
def test_the_route_is_the_one_that_nginx_chooses(
    host: str | None, path: str, expected: tuple[str | None, str]
) -> None:
    route = match_route(PLAN, host, path)
    assert route is not None
    assert (route.host, route.path) == expected


def test_there_is_advice_for_every_reason() -> None:
    assert ADVICE.keys() == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_advice_is_a_sentence_without_its_full_stop(reason: Reason) -> None:
    assert ADVICE[reason]
    assert not ADVICE[reason].endswith(".")


POLICIES = """
version: 1
listen: 8000
issuers:
  idp: {issuer: https://idp.example, jwks: http://127.0.0.1:1/jwks, audience: a, algorithms: [ES256, RS256]}
  pool: {preset: cognito, issuer: https://pool.example, jwks: http://127.0.0.1:1/jwks, audience: app}
policies:
  pool: {issuer: pool}
  editor:
    issuer: idp
    require:
      methods:
        GET: {any: [{roles: editor}, {all: [{scopes: read}, {not: {claim: kind, equals: guest}}]}]}
        POST: {cel: "request.headers['x-team'] == claims.team"}
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /a/, upstream: app, policy: editor}
  - {path: /pool/, upstream: app, policy: pool}
  - {path: /public/, upstream: app, public: true}
"""
CLAIMS = {"iss": "https://idp.example", "aud": "a", "exp": 4_000_000_000}


def explained(
    directory: Path, token: dict[str, Any], *options: str, route: str = "/a/"
) -> tuple[int, dict[str, Any]]:
    """The exit code, and what was said as JSON."""
    file = directory / "gateway.yaml"
    file.write_text(POLICIES)
    done = jwtgate("explain", str(file), "-", "--route", route, "--json", *options, input=json.dumps(token))
    return done.returncode, json.loads(done.stdout)


def test_a_token_of_header_and_claims_alone_is_explained_without_its_signature(tmp_path: Path) -> None:
    code, said = explained(
        tmp_path, {"header": {"alg": "RS256", "kid": "x"}, "claims": {**CLAIMS, "roles": "editor"}}
    )
    assert (code, said["verdict"], said["reason"], said["answer"]) == (0, "allowed", None, None)
    skipped = {step["step"]: step["text"] for step in said["steps"] if step["skipped"]}
    assert skipped == dict.fromkeys(("key", "verify"), "skipped: the token is not signed")
    assert all(step["passed"] for step in said["steps"] if not step["skipped"])
    assert said["key"] is None


@pytest.mark.parametrize(
    ("token", "reason", "step"),
    [
        ({"claims": {}}, "issuer_unknown", "issuer"),
        ({"claims": {**CLAIMS, "iss": "https://other.example"}}, "issuer_unknown", "issuer"),
        ({"header": {"alg": "HS256"}, "claims": CLAIMS}, "algorithm_not_allowed", "key"),
        ({"claims": {**CLAIMS, "exp": 1}}, "token_expired", "claims"),
        ({"claims": {"iss": CLAIMS["iss"], "aud": "a"}}, "claim_missing", "claims"),
        ({"claims": {**CLAIMS, "aud": "b"}}, "audience_mismatch", "claims"),
        ({"claims": CLAIMS}, "requirement_failed", "requirements"),
    ],
)
def test_what_is_wrong_with_it_is_found(tmp_path: Path, token: dict[str, Any], reason: str, step: str) -> None:
    code, said = explained(tmp_path, token)
    assert (code, said["verdict"], said["reason"]) == (1, "denied", reason)
    assert [each["step"] for each in said["steps"] if each["passed"] is False] == [step]
    assert said["answer"]["status"] in (401, 403)
    assert said["advice"]


def test_the_audience_is_shown_where_the_issuer_has_it(tmp_path: Path) -> None:
    claims = {"iss": "https://pool.example", "client_id": "other", "token_use": "access", "exp": CLAIMS["exp"]}
    _, said = explained(tmp_path, {"header": {"alg": "RS256"}, "claims": claims}, route="/pool/")
    (text,) = [step["text"] for step in said["steps"] if step["step"] == "claims"]
    assert said["reason"] == "audience_mismatch"
    assert "client_id 'other' (expected app), token_use 'access' (expected access)" in text


def test_each_requirement_says_what_it_asks_and_what_was_found(tmp_path: Path) -> None:
    _, said = explained(tmp_path, {"claims": {**CLAIMS, "scope": "read", "kind": "guest"}})
    assert [(each["position"], each["found"], each["met"]) for each in said["requirements"]] == [
        ("methods", "method GET", False),
        ("methods.GET.any", None, False),
        ("methods.GET.any[0].roles", "no roles", False),
        ("methods.GET.any[1].all", None, False),
        ("methods.GET.any[1].all[0].scopes", 'scope is "read"', True),
        ("methods.GET.any[1].all[1].not", None, False),
        ("methods.GET.any[1].all[1].not.claim.equals", 'kind is "guest"', True),
    ]
    assert said["advice"].endswith('role editor or (scope read, and not kind equals "guest")')


def test_the_method_and_headers_are_those_of_the_request(tmp_path: Path) -> None:
    token = {"claims": {**CLAIMS, "team": "blue"}}
    assert explained(tmp_path, token, "--method", "POST", "-H", "X-Team: blue")[0] == 0
    assert explained(tmp_path, token, "--method", "POST", "-H", "X-Team: red")[1]["position"] == "methods.POST.cel"
    assert explained(tmp_path, token, "--method", "PUT")[1]["position"] == "methods"


def test_a_public_route_is_public(tmp_path: Path) -> None:
    assert explained(tmp_path, {"claims": {}}, route="/public/") == (0, {"route": "/public/", "verdict": "public"})


def test_people_get_a_tree(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(POLICIES)
    done = jwtgate("explain", str(file), json.dumps({"claims": {**CLAIMS, "scope": "read"}}), "--route", "/a/")
    assert done.returncode == 0
    assert '├── ✓ scope read: scope is "read"  [methods.GET.any[1].all[0].scopes]\n' in done.stdout
    bad = jwtgate("explain", str(file), '{"claim": 1}', "--route", "/a/")
    assert bad.returncode == 2
    assert "claims" in bad.stderr


INCLUDED = """
version: 1
issuers:
  main: {issuer: https://issuer.example, jwks: https://issuer.example/jwks, audience: services, algorithms: ES256}
policies:
  writer: {issuer: main, require: {all: [{scopes: write}, {cel: "request.path == '/orders/1'"}]}}
include: {orders: {policy: writer}}
"""


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--include", "orders", "--route", "/orders/1"], 0, "Include orders, policy writer, issuer main"),
        (["--include", "orders", "--route", "/orders/2"], 1, "denied: requirement_failed"),
        (["--include", "orders", "--route", "/orders/1", "--json"], 0, '"include": "orders"'),
        (["--include", "other"], 2, "there is none of that name: orders"),
        (["--route", "/orders/1"], 2, "has no routes: name an entry of its include: by --include NAME"),
    ],
)
def test_an_entry_of_include_is_explained_by_its_name(
    tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(INCLUDED)
    token = {"iss": "https://issuer.example", "aud": "services", "exp": 4_000_000_000, "scope": "write"}
    done = jwtgate("explain", str(file), json.dumps({"claims": token}), *options)
    assert done.returncode == code, done.stderr
    assert said in " ".join((done.stdout + done.stderr).replace("│", " ").split())
