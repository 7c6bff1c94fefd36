"""Policies through the real gateway: requirements, inputs, sources of tokens, optional tokens, identity, CORS."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.gateway import Gateway
from support.issuer import AUDIENCE, URL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.backend import Backend
    from support.http import Response
    from support.issuer import Issuer


def configuration(backend: Backend, issuer: Issuer) -> str:
    """gateway.yaml with a route for each thing."""
    return f"""
issuers:
  main:
    issuer: {URL}
    jwks: {issuer.jwks_url}
    audience: {AUDIENCE}
    algorithms: [{issuer.algorithm}]
    claims: {{roles: realm_access.roles}}
upstreams: {{backend: http://{backend.address}}}
policies:
  any: {{issuer: main}}
  editor: {{issuer: main, require: {{scopes: write, roles: {{any: [editor, admin]}}}}}}
  methods: {{issuer: main, require: {{methods: {{GET: true, POST: {{scopes: write}}}}}}}}
  tenant: {{issuer: main, require: {{cel: "request.headers['x-tenant'] == claims.tenant"}}}}
  path: {{issuer: main, require: {{cel: "request.path.startsWith('/path/' + claims.tenant + '/')"}}}}
  host: {{issuer: main, require: {{cel: "request.host == claims.host"}}}}
  broken: {{issuer: main, require: {{cel: "claims.level > 3"}}}}
  now: {{issuer: main, require: {{cel: "now < timestamp(claims.until)"}}}}
  fresh: {{issuer: main, require: {{max_age: 1m}}}}
  header: {{issuer: main, token_from: [authorization, {{header: X-Access-Token}}]}}
  cookie: {{issuer: main, token_from: [authorization, {{cookie: session}}]}}
  query: {{issuer: main, token_from: {{unsafe_query_token: access_token}}}}
  protocol: {{issuer: main, token_from: {{websocket_protocol: bearer}}}}
  read: {{issuer: main, token_from: {{header: X-Access-Token}},
    require: {{cel: "request.headers['x-access-token'] != ''"}}}}
  optional: {{issuer: main, optional: true}}
  optional-by-method:
    {{issuer: main, optional: true, require: {{methods: {{GET: true, POST: {{scopes: write}}}}}}}}
  tolerant: {{issuer: main, unsafe_tolerate_invalid: true}}
routes:
  - {{path: /editor/, upstream: backend, policy: editor}}
  - {{path: /methods/, upstream: backend, policy: methods}}
  - {{path: /tenant/, upstream: backend, policy: tenant}}
  - {{path: /path/, upstream: backend, policy: path}}
  - {{path: /host/, upstream: backend, policy: host}}
  - {{path: /broken/, upstream: backend, policy: broken}}
  - {{path: /now/, upstream: backend, policy: now}}
  - {{path: /fresh/, upstream: backend, policy: fresh}}
  - {{path: /header/, upstream: backend, policy: header}}
  - {{path: /header-stripped/, upstream: backend, policy: header, strip_token: true}}
  - {{path: /read/, upstream: backend, policy: read}}
  - {{path: /read-stripped/, upstream: backend, policy: read, strip_token: true}}
  - {{path: /cookie/, upstream: backend, policy: cookie}}
  - {{path: /cookie-stripped/, upstream: backend, policy: cookie, strip_token: true, strip_prefix: true}}
  - {{path: /query/, upstream: backend, policy: query}}
  - {{path: /query-stripped/, upstream: backend, policy: query, strip_token: true}}
  - {{path: /query-short/, upstream: backend, policy: query, strip_token: true, strip_prefix: true}}
  - {{path: /protocol/, upstream: backend, policy: protocol, websocket: true}}
  - {{path: /protocol-stripped/, upstream: backend, policy: protocol, websocket: true, strip_token: true}}
  - {{path: /optional/, upstream: backend, policy: optional, identity: {{X-User: sub}}}}
  - {{path: /optional-by-method/, upstream: backend, policy: optional-by-method}}
  - {{path: /tolerant/, upstream: backend, policy: tolerant, identity: {{X-User: sub}}}}
  - path: /identity/
    upstream: backend
    policy: any
    identity:
      X-User: sub
      X-Roles: {{claim: realm_access.roles, arrays: comma}}
      X-Groups: groups
      X-Whole: {{payload: base64url, omit: true}}
  - {{path: /cors/, upstream: backend, policy: any, cors: {{origins: ["https://app.example", "https://*.app.example"],
      headers: [Authorization, X-Tenant], expose: X-Total, credentials: true}}}}
  - {{path: /cors-any/, upstream: backend, policy: any, cors: {{origins: "*"}}}}
  - {{path: /cors-public/, upstream: backend, public: true, cors: {{origins: "*"}}}}
  - {{path: /cors-passed/, upstream: backend, policy: any, cors: pass}}
  - {{path: /plain/, upstream: backend, policy: any}}
"""


@pytest.fixture(scope="module")
def policies(nginx: Path, backend: Backend, issuer: Issuer) -> Iterator[Gateway]:
    """A gateway of its own for this file."""
    with Gateway(configuration(backend, issuer), nginx=nginx) as running:
        yield running


def reason(gateway: Gateway, answer: Response) -> str:
    """The precise reason, from the log."""
    found: str = gateway.logged(answer.headers["x-request-id"])["reason"]
    return found


def got(answer: Response) -> list[list[str]]:
    """The headers that the service got."""
    assert answer.status == 200, answer.text
    headers: list[list[str]] = answer.json()["headers"]
    return headers


def values(answer: Response, name: str) -> list[str]:
    """What the service got in a header."""
    return [value for each, value in got(answer) if each == name]


EDITOR: dict[str, Any] = {"scope": "read write", "realm_access": {"roles": ["editor"]}}


@pytest.mark.parametrize(
    ("path", "method", "claims", "why"),
    [
        ("/editor/", "GET", EDITOR, None),
        ("/editor/", "GET", EDITOR | {"scope": "read"}, "scope_missing"),
        ("/editor/", "GET", EDITOR | {"realm_access": {"roles": ["reader"]}}, "role_missing"),
        ("/editor/", "GET", EDITOR | {"realm_access": None, "roles": ["editor"]}, "role_missing"),
        ("/methods/", "GET", {}, None),
        ("/methods/", "HEAD", {}, None),
        ("/methods/", "POST", {}, "scope_missing"),
        ("/methods/", "POST", {"scope": "write"}, None),
        ("/methods/", "DELETE", {"scope": "write"}, "requirement_failed"),
        ("/broken/", "GET", {"level": 4}, None),
        ("/broken/", "GET", {"level": 3}, "requirement_failed"),
        ("/broken/", "GET", {"level": "4"}, "policy_error"),
        ("/broken/", "GET", {}, "policy_error"),
        ("/fresh/", "GET", {"auth_time": 1}, "step_up_required"),
    ],
)
def test_a_token_has_to_meet_what_the_policy_requires(
    policies: Gateway, issuer: Issuer, path: str, method: str, claims: dict[str, Any], why: str | None
) -> None:
    status = {None: 200, "policy_error": 500, "step_up_required": 401}.get(why, 403)
    for _ in range(2):
        answer = policies.request(path, method=method, token=issuer.token(**claims))
        assert answer.status == status
        assert reason(policies, answer) == (why or "")


def test_a_decision_for_one_method_is_not_repeated_for_another(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(jti="methods")
    for _ in range(3):
        assert policies.request("/methods/", token=token).status == 200
        assert policies.request("/methods/", method="POST", token=token).status == 403


@pytest.mark.parametrize("header", ["X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"])
def test_no_header_makes_another_method_of_the_one_that_was_decided_on(
    policies: Gateway, issuer: Issuer, header: str
) -> None:
    answer = policies.request("/methods/", token=issuer.token(), headers={header: "DELETE"})
    assert values(answer, header.lower()) == []


def test_a_header_that_a_policy_reads_is_the_one_that_the_service_gets(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(tenant="acme", jti="tenant")
    for _ in range(3):
        answer = policies.request("/tenant/", token=token, headers={"X-Tenant": "acme"})
        assert values(answer, "x-tenant") == ["acme"]
        assert policies.request("/tenant/", token=token, headers={"X-Tenant": "other"}).status == 403
        assert policies.request("/tenant/", token=token).status == 403


def test_a_repeated_header_is_decided_on_and_forwarded_alike(policies: Gateway, issuer: Issuer) -> None:
    """NGINX 1.22 takes the first of them, newer ones join them: never one for us and another for the service."""
    token = issuer.token(tenant="acme", jti="tenants")
    answer = policies.request("/tenant/", token=token, headers=[("X-Tenant", "acme"), ("X-Tenant", "other")])
    if answer.status == 200:
        assert values(answer, "x-tenant") == ["acme"]
    else:
        assert reason(policies, answer) == "requirement_failed"


@pytest.mark.parametrize("octets", ["\xff", "acme\xe9", "\x01", "\x7f"])
def test_bytes_that_are_no_text_in_what_a_policy_reads_are_refused(
    policies: Gateway, issuer: Issuer, octets: str
) -> None:
    token = issuer.token(tenant="acme")
    for path, headers in (("/tenant/", {"X-Tenant": octets}), (f"/path/acme/{octets}", {})):
        answer = policies.request(path, token=token, headers=headers)
        if answer.status != 400:  # NGINX itself refuses control characters in a path
            assert (answer.status, reason(policies, answer)) == (401, "header_invalid")
        assert policies.request(path, headers=headers).status in (400, 401)


def test_other_headers_of_the_gateway_are_set_where_a_route_has_its_own(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(tenant="acme")
    answer = policies.request(
        "/tenant/",
        token=token,
        headers={"X-Tenant": "acme", "X-User": "mallory", "X-Forwarded-For": "1.2.3.4", "X-Original-URI": "/x"},
    )
    assert values(answer, "x-forwarded-for") == ["127.0.0.1"]
    assert values(answer, "x-user") == []
    assert values(answer, "x-original-uri") == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/path/acme/1", 200),
        ("/path/acme/1?q=/path/other/", 200),
        ("/path/other/1", 403),
        ("/path/acme/../other/1", 400),
        ("/path//acme/1", 400),
        ("/path/%61cme/1", 400),
        ("/path/acme/a%20b", 400),
        ("/path/acme/%2e%2e/other/1", 400),
    ],
)
def test_a_path_that_a_policy_reads_has_one_spelling(
    policies: Gateway, issuer: Issuer, path: str, status: int
) -> None:
    token = issuer.token(tenant="acme", jti="path")
    for _ in range(2):
        assert policies.request(path, token=token).status == status


def test_a_decision_for_one_path_is_not_repeated_for_another(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(tenant="acme", jti="paths")
    for _ in range(3):  # a decision is kept when it is asked for the second time
        assert policies.request("/path/acme/1", token=token).status == 200
        assert policies.request("/path/other/1", token=token).status == 403
    # With the credential and the path on one line, this would be the entry of the first.
    split = policies.request("/path/other/1", headers=[("Authorization", f"Bearer {token} /path/acme/1")])
    assert split.status == 401


def test_the_host_is_what_nginx_routes_by(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(host="shop.example")
    for _ in range(3):
        assert policies.request("/host/", token=token, headers={"Host": "Shop.Example:8000"}).status == 200
    assert policies.request("/host/", token=token, headers={"Host": "other.example"}).status == 403
    spoofed = {"Host": "other.example", "X-Forwarded-Host": "shop.example"}
    assert policies.request("/host/", token=token, headers=spoofed).status == 403


def test_what_reads_the_time_ends_on_time(policies: Gateway, issuer: Issuer) -> None:
    end = int(time.time()) + 3
    token = issuer.token(until=end, jti="until")
    while time.time() < end - 0.2:
        asked = time.time()
        status = policies.request("/now/", token=token).status
        assert status == 200 or time.time() > end - 0.1, asked - end
    time.sleep(max(0, end + 0.1 - time.time()))
    assert policies.request("/now/", token=token).status == 403


def test_max_age_ends_on_time(policies: Gateway, issuer: Issuer) -> None:
    end = int(time.time()) + 3
    token = issuer.token(auth_time=end - 60)
    assert policies.request("/fresh/", token=token).status == 200
    time.sleep(max(0, end + 0.1 - time.time()))
    answer = policies.request("/fresh/", token=token)
    assert answer.status == 401
    assert reason(policies, answer) == "step_up_required"


# Where the token is


def bearing(kind: str, token: str) -> dict[str, Any]:
    """A request to the route of a kind, with a token where that kind has it."""
    match kind:
        case "header":
            return {"path": "/header/", "headers": {"X-Access-Token": token}}
        case "cookie":
            return {"path": "/cookie/", "headers": {"Cookie": f"a=b; session={token}; c=d"}}
        case "query":
            return {"path": f"/query/?a=b&access_token={token}&c=d"}
        case _:
            return {"path": "/protocol/", "headers": {"Sec-WebSocket-Protocol": f"chat, bearer.{token}"}}


KINDS = ("header", "cookie", "query", "protocol")


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_read_where_the_policy_says(policies: Gateway, issuer: Issuer, kind: str) -> None:
    good, expired = issuer.token(jti=kind), issuer.token(exp=1)
    for _ in range(2):
        assert policies.request(**bearing(kind, good)).status == 200
        answer = policies.request(**bearing(kind, expired))
        assert (answer.status, reason(policies, answer)) == (401, "token_expired")
    answer = policies.request(**bearing(kind, ""))
    assert (answer.status, reason(policies, answer)) == (401, "token_missing")
    assert (
        policies.request("/plain/", **{k: v for k, v in bearing(kind, good).items() if k != "path"}).status == 401
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/header/", [("X-Access-Token", "TOKEN"), ("Authorization", "Bearer TOKEN")]),
        ("/header/", [("X-Access-Token", "TOKEN, OTHER")]),
        ("/cookie/", [("Cookie", "session=TOKEN; session=OTHER")]),
        ("/cookie/", [("Cookie", "session=TOKEN;session=TOKEN")]),
        ("/cookie/", [("Cookie", "session=; session=TOKEN")]),
        ("/cookie/", [("Cookie", "session=TOKEN"), ("Cookie", "session=OTHER")]),
        ("/cookie/", [("Cookie", "session=TOKEN"), ("Authorization", "Bearer OTHER")]),
        ("/query/?access_token=TOKEN&access_token=OTHER", []),
        ("/query/?access_token=TOKEN&a=b&access_token=", []),
        ("/protocol/", [("Sec-WebSocket-Protocol", "bearer.TOKEN, bearer.OTHER")]),
    ],
)
def test_two_tokens_at_once_are_refused(
    policies: Gateway, issuer: Issuer, path: str, headers: list[tuple[str, str]]
) -> None:
    token, other = issuer.token(), issuer.token(sub="bob")

    def filled(text: str) -> str:
        return text.replace("TOKEN", token).replace("OTHER", other)

    for _ in range(2):
        answer = policies.request(filled(path), headers=[(name, filled(value)) for name, value in headers])
        assert (answer.status, reason(policies, answer)) == (400, "credentials_ambiguous")


def test_a_token_in_one_place_is_not_the_cached_one_of_another(policies: Gateway, issuer: Issuer) -> None:
    good, bad = issuer.token(), issuer.token(exp=1)
    for _ in range(3):  # a decision is kept when it is asked for the second time
        assert policies.request("/cookie/", headers={"Cookie": f"session={good}"}).status == 200
        assert policies.request("/cookie/", token=good).status == 200
    assert policies.request("/cookie/", token=bad).status == 401
    both = policies.request("/cookie/", token=good, headers={"Cookie": f"session={bad}"})
    assert both.status == 400
    assert policies.request("/cookie/", headers={"Cookie": f"session={bad}; other={good}"}).status == 401


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("session=TOKEN", []),
        ("session=TOKEN; a=b", ["a=b"]),
        ("a=b; session=TOKEN", ["a=b"]),
        ("a=b; session=TOKEN; c=d", ["a=b; c=d"]),
        ("a=b;session=TOKEN;c=d", ["a=b;c=d"]),
        ("xsession=1; session=TOKEN; sessionx=2", ["xsession=1; sessionx=2"]),
    ],
)
def test_a_cookie_with_the_token_is_taken_out(
    policies: Gateway, issuer: Issuer, cookie: str, left: list[str]
) -> None:
    token = issuer.token()
    answer = policies.request("/cookie-stripped/x", headers={"Cookie": cookie.replace("TOKEN", token)})
    assert values(answer, "cookie") == left
    kept = policies.request("/cookie/", headers={"Cookie": cookie.replace("TOKEN", token)})
    assert values(kept, "cookie") == [cookie.replace("TOKEN", token)]


def test_headers_with_the_token_are_taken_out(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token()
    assert values(policies.request("/header/", token=token), "authorization") == [f"Bearer {token}"]
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-Access-Token": token}):
        answer = policies.request("/header-stripped/", headers=headers)
        assert token not in json.dumps(got(answer))


def test_a_token_that_the_policy_reads_as_a_header_too_is_forwarded_once_or_not_at_all(
    policies: Gateway, issuer: Issuer
) -> None:
    token = issuer.token()
    headers = {"X-Access-Token": token}
    assert values(policies.request("/read/", headers=headers), "x-access-token") == [token]
    assert values(policies.request("/read-stripped/", headers=headers), "x-access-token") == []


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("access_token=TOKEN", ""),
        ("access_token=TOKEN&a=b", "a=b"),
        ("a=%20b&access_token=TOKEN", "a=%20b"),
        ("a=b&access_token=TOKEN&c=d", "a=b&c=d"),
        ("xaccess_token=1&access_token=TOKEN", "xaccess_token=1"),
    ],
)
@pytest.mark.parametrize("path", ["/query-stripped/x", "/query-short/x"])
def test_the_query_is_passed_on_without_the_token(
    policies: Gateway, issuer: Issuer, path: str, query: str, left: str
) -> None:
    answer = policies.request(f"{path}?{query.replace('TOKEN', issuer.token())}")
    assert answer.status == 200
    assert answer.json()["query"] == left
    assert answer.json()["path"] == path.replace("/query-short", "")


def test_sub_protocols_are_passed_on_without_the_token(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token()
    for offered, left in (
        ("chat, bearer.TOKEN", "chat"),
        ("bearer.TOKEN, a, b", "a, b"),
        ("a, bearer.TOKEN, b", "a, b"),
    ):
        headers = {"Sec-WebSocket-Protocol": offered.replace("TOKEN", token)}
        answer = policies.request("/protocol-stripped/", headers=headers)
        assert values(answer, "sec-websocket-protocol") == [left]


def test_no_token_is_in_the_access_log(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(jti="logged")
    for kind in KINDS:
        policies.logged(policies.request(**bearing(kind, token)).headers["x-request-id"])
    assert token.encode() not in (policies.work / "access.log").read_bytes()


# Absent, valid, invalid


@pytest.mark.parametrize(
    ("path", "credential", "status", "why", "user"),
    [
        ("/optional/", None, 200, "", []),
        ("/optional/", "good", 200, "", ["alice"]),
        ("/optional/", "expired", 401, "token_expired", None),
        ("/optional/", "stranger", 401, "issuer_unknown", None),
        ("/optional/", "Bearer", 401, "header_invalid", None),
        ("/optional/", "Basic YTpi", 200, "", []),
        ("/tolerant/", None, 200, "", []),
        ("/tolerant/", "good", 200, "", ["alice"]),
        ("/tolerant/", "expired", 200, "token_expired", []),
        ("/tolerant/", "stranger", 200, "issuer_unknown", []),
        ("/tolerant/", "Bearer x, Bearer y", 200, "credentials_ambiguous", []),
    ],
)
def test_absent_valid_and_invalid_are_three_states(
    policies: Gateway,
    issuer: Issuer,
    path: str,
    credential: str | None,
    status: int,
    why: str,
    user: list[str] | None,
) -> None:
    tokens = {
        "good": issuer.token(),
        "expired": issuer.token(exp=1),
        "stranger": issuer.token(iss="https://stranger.example"),
    }
    headers = [("X-User", "mallory")]
    if credential is not None:
        headers.append(("Authorization", f"Bearer {tokens[credential]}" if credential in tokens else credential))
    for _ in range(2):
        answer = policies.request(path, headers=headers)
        assert (answer.status, reason(policies, answer)) == (status, why)
        if user is not None:
            assert values(answer, "x-user") == user


def test_an_anonymous_request_has_to_meet_the_policy_too(policies: Gateway, issuer: Issuer) -> None:
    path = "/optional-by-method/"
    assert policies.request(path).status == 200
    assert policies.request(path, token=issuer.token()).status == 200
    answer = policies.request(path, method="POST")
    assert (answer.status, reason(policies, answer)) == (401, "token_missing")
    assert policies.request(path, method="POST", token=issuer.token()).status == 403
    assert policies.request(path, method="POST", token=issuer.token(scope="write")).status == 200


# Identity


def test_identity_by_path_as_a_list_and_whole(policies: Gateway, issuer: Issuer) -> None:
    token = issuer.token(realm_access={"roles": ["a", "b,c", "ü"]}, groups=["x", "y"])
    answer = policies.request("/identity/", token=token, headers={"X-Roles": "admin", "X-Whole": "x"})
    assert values(answer, "x-roles") == ["a,b%2Cc,%C3%BC"]
    assert values(answer, "x-groups") == ['["x","y"]']
    (whole,) = values(answer, "x-whole")
    assert whole == token.split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(whole + "=" * (-len(whole) % 4)))["groups"] == ["x", "y"]


def test_identity_is_cleared_where_there_is_none(policies: Gateway, issuer: Issuer) -> None:
    forged = {"X-Roles": "admin", "X-Groups": "root", "X-Whole": "x", "X-User": "root"}
    answer = policies.request("/identity/", token=issuer.token(sub=None), headers=forged)
    assert [values(answer, name) for name in ("x-roles", "x-groups", "x-user")] == [[], [], []]
    elsewhere = policies.request("/plain/", token=issuer.token(), headers=forged)
    assert [values(elsewhere, name.lower()) for name in forged] == [[], [], [], []]


def test_what_does_not_fit_is_left_out_or_denied(policies: Gateway, issuer: Issuer) -> None:
    answer = policies.request("/identity/", token=issuer.token(filler="x" * 4000))
    assert values(answer, "x-user") == ["alice"]
    assert values(answer, "x-whole") == []
    refused = policies.request("/identity/", token=issuer.token(groups=["x" * 4500]))
    assert (refused.status, reason(policies, refused)) == (401, "claims_unreadable")


# CORS

ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-tenant"}


@pytest.mark.parametrize("origin", ["https://app.example", "https://a.app.example", "https://a.b.app.example"])
def test_the_gateway_answers_a_preflight_of_an_allowed_origin(policies: Gateway, origin: str) -> None:
    answer = policies.request("/cors/x", method="OPTIONS", headers={"Origin": origin, **ASK})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-headers"] == "Authorization, X-Tenant"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-max-age"] == "600"
    assert ("vary", "Origin") in answer.pairs


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", "https://app.example.evil.example", "https://xapp.example",
               "https://app.example:444", "null", "HTTPS://APP.EXAMPLE"]
)  # fmt: skip
def test_a_preflight_of_another_origin_is_denied(policies: Gateway, origin: str) -> None:
    answer = policies.request("/cors/x", method="OPTIONS", headers={"Origin": origin, **ASK})
    assert answer.status == 401
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", {"Origin": "https://app.example"}),
        ("OPTIONS", ASK),
        ("GET", {"Origin": "https://app.example", **ASK}),
        ("POST", {"Origin": "https://app.example", **ASK, "X-HTTP-Method-Override": "OPTIONS"}),
    ],
)
@pytest.mark.parametrize("path", ["/cors/", "/cors-any/", "/cors-passed/"])
def test_what_is_no_preflight_needs_a_token(
    policies: Gateway, path: str, method: str, headers: dict[str, str]
) -> None:
    answer = policies.request(path, method=method, headers=headers)
    assert answer.status == 401


def test_pages_of_an_allowed_origin_can_read_answers_and_denials(policies: Gateway, issuer: Issuer) -> None:
    origin = {"Origin": "https://app.example"}
    for answer in (
        policies.request("/cors/", token=issuer.token(), headers=origin),
        policies.request("/cors/", headers=origin),
    ):
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert answer.headers["access-control-expose-headers"] == "X-Total"
        assert [value for name, value in answer.pairs if name == "x-request-id"] == [
            answer.headers["x-request-id"]
        ]
    other = policies.request("/cors/", token=issuer.token(), headers={"Origin": "https://evil.example"})
    assert other.status == 200
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in policies.request("/plain/", headers=origin).headers


def test_any_origin_can_be_allowed(policies: Gateway) -> None:
    headers = {"Origin": "null", **ASK}
    for path in ("/cors-any/", "/cors-public/"):
        answer = policies.request(path, method="OPTIONS", headers=headers)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "*")


def test_a_preflight_is_passed_on_without_a_token_and_nothing_else_is(policies: Gateway, issuer: Issuer) -> None:
    headers = {"Origin": "https://app.example", **ASK, "X-User": "mallory"}
    answer = policies.request("/cors-passed/x?y=z", method="OPTIONS", headers=headers)
    assert answer.status == 200
    assert (answer.json()["method"], answer.json()["path"], answer.json()["query"]) == (
        "OPTIONS",
        "/cors-passed/x",
        "y=z",
    )
    assert values(answer, "x-user") == []
    assert policies.request("/cors-passed/x", headers=headers).status == 401
    assert policies.request("/cors-passed/x", token=issuer.token()).status == 200
    # The same policy on a route that passes nothing on.
    assert policies.request("/plain/", method="OPTIONS", headers=headers).status == 401
