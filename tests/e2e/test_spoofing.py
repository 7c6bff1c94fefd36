"""A client says things about itself and about its request. Nothing of that gets it in or makes it someone else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from support.http import Response, connect, exchange, send

if TYPE_CHECKING:
    from support.backend import Backend
    from support.gateway import Gateway
    from support.issuer import Issuer


def got(answer: Response, name: str) -> list[str]:
    """What the service got for a header, under any spelling that a service could take for it."""
    headers = answer.json()["headers"]
    return [value for header, value in headers if header.lower().replace("_", "-") == name.lower()]


# Identity headers

SPELLINGS = ["X-User", "x-user", "X-USER", "x-uSeR", "X_User", "X_USER", "x_user", "X.User"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_identity_header_is_the_tokens_whatever_the_client_sends(
    gateway: Gateway, issuer: Issuer, spelling: str
) -> None:
    answer = gateway.request("/raw/x", token=issuer.token(), headers=[(spelling, "mallory"), (spelling, "root")])
    assert got(answer, "X-User") == ["alice"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("path", ["/raw/x", "/strip/x", "/public/x"])
def test_an_identity_header_without_a_claim_is_cleared_on_every_route(
    gateway: Gateway, issuer: Issuer, path: str, spelling: str
) -> None:
    spelling = (
        spelling.replace("User", "Team").replace("user", "team").replace("uSeR", "tEaM").replace("USER", "TEAM")
    )
    answer = gateway.request(path, token=issuer.token(), headers={spelling: "admins"})
    assert answer.status == 200
    assert got(answer, "X-Team") == []


def test_a_public_route_has_no_identity_even_with_a_good_token(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request("/public/x", token=issuer.token(), headers={"X-User": "mallory"})
    assert answer.status == 200
    assert got(answer, "X-User") == []


def test_naming_an_identity_header_in_connection_does_not_remove_it(gateway: Gateway, issuer: Issuer) -> None:
    """RFC 9110, section 7.6.1: hop-by-hop headers are the client's to name, but not these."""
    lines = f"Authorization: Bearer {issuer.token()}\r\nConnection: close, X-User, X-Forwarded-For\r\n"
    answer = send(gateway.address, f"GET /raw/x HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    assert got(answer, "X-User") == ["alice"]
    assert got(answer, "X-Forwarded-For") == ["127.0.0.1"]
    assert got(answer, "Connection") in ([], ["close"])


CLAIMS: dict[str, tuple[Any, str | None]] = {
    "text": ("editor", "editor"),
    "a sentence": ("chief  editor", "chief  editor"),
    "not ASCII": ("rédacteur 編集者", "rédacteur 編集者"),
    "a percent sign": ("100%41", "100%41"),
    "a new line": ("x\r\nX-Team: admins", "x\r\nX-Team: admins"),
    "NUL": ("a\0b", "a\0b"),
    "spaces around": (" x ", " x "),
    "a list": (["a", "b"], '["a","b"]'),
    "a number": (7, "7"),
    "a boolean": (False, "false"),
    "an object": ({"a": 1}, '{"a":1}'),
}


@pytest.mark.parametrize(("claim", "expected"), CLAIMS.values(), ids=CLAIMS)
def test_a_claim_arrives_in_printable_ascii_that_unquotes_to_it(
    gateway: Gateway, issuer: Issuer, claim: Any, expected: str
) -> None:
    token = issuer.token(roles=claim)
    for _ in ("asked", "cached"):
        answer = gateway.request("/raw/x", token=token, headers={"X-Roles": "root", "X-Team": "root"})
        assert answer.status == 200
        (value,) = got(answer, "X-Roles")
        assert value.isascii()
        assert value.isprintable()
        assert unquote(value) == expected
        assert got(answer, "X-Team") == []


@pytest.mark.parametrize("claim", [{}, {"roles": ""}, {"team": None}], ids=str)
def test_an_absent_or_empty_claim_sets_no_header(gateway: Gateway, issuer: Issuer, claim: dict[str, Any]) -> None:
    answer = gateway.request("/raw/x", token=issuer.token(**claim), headers={"X-Roles": "root"})
    assert got(answer, "X-Roles") == []


def test_an_identity_that_is_too_large_is_a_denial(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request("/raw/x", token=issuer.token(roles="x" * 5000))
    assert (answer.status, answer.json()["code"]) == (401, "invalid_token")
    assert gateway.logged(answer.headers["x-request-id"])["reason"] == "claims_unreadable"


def test_the_largest_identity_arrives_with_the_largest_tokens(gateway: Gateway, issuer: Issuer) -> None:
    roles = "x" * 4000
    token = issuer.token(roles=roles, pad="p" * 1800)
    assert len(token) > 8000
    for _ in ("asked", "cached"):
        assert got(gateway.request("/raw/x", token=token), "X-Roles") == [roles]


# What the client says about where it comes from

# A header that the client sends, and what the service gets for it.
CLAIMED: dict[str, list[str] | None] = {
    "X-Forwarded-For": ["127.0.0.1"],
    "X_Forwarded_For": None,
    "X-Real-IP": ["127.0.0.1"],
    "X-Forwarded-Proto": ["http"],
    "X-Forwarded-Host": None,  # the gateway's own: see below
    "X-Forwarded-Port": None,
    "X-Forwarded-Prefix": [],
    "X-Forwarded-Uri": [],
    "X-Forwarded-Method": [],
    "X-Forwarded-User": [],
    "X-Original-URI": [],
    "X-Original-URL": [],
    "X-Original-Method": [],
    "X-Original-Forwarded-For": [],
    "X-Original-Host": [],
    "X-Rewrite-URL": [],
    "X-HTTP-Method-Override": [],
    "X-Client-IP": [],
    "X-Cluster-Client-IP": [],
    "True-Client-IP": [],
    "CF-Connecting-IP": [],
    "Forwarded": [],
    "Proxy": [],
}


@pytest.mark.parametrize("path", ["/raw/x", "/public/x"])
@pytest.mark.parametrize(("name", "expected"), CLAIMED.items(), ids=CLAIMED)
def test_what_a_client_says_about_its_origin_does_not_arrive(
    gateway: Gateway, issuer: Issuer, path: str, name: str, expected: list[str] | None
) -> None:
    headers = [(name, "6.6.6.6"), (name.lower(), "6.6.6.7"), (name.replace("-", "_"), "6.6.6.8")]
    answer = gateway.request(path, token=issuer.token(), headers=headers)
    assert answer.status == 200
    assert "6.6.6" not in str(answer.json()["headers"])
    if expected is not None:
        assert got(answer, name) == expected


def test_a_client_cannot_choose_its_address_or_request_id(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request(
        "/raw/x",
        token=issuer.token(),
        headers={"X-Forwarded-For": "6.6.6.6", "X-Request-Id": "chosen-by-client", "X-Forwarded-Proto": "https"},
    )
    (request_id,) = got(answer, "X-Request-Id")
    assert request_id != "chosen-by-client"
    assert answer.headers["x-request-id"] == request_id
    assert gateway.logged(request_id)["client"] == "127.0.0.1"


def test_services_get_the_host_that_the_route_was_chosen_by(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request("/raw/x", token=issuer.token(), headers={"X-Forwarded-Host": "evil.example"})
    assert got(answer, "Host") == [gateway.address]
    assert got(answer, "X-Forwarded-Host") == [gateway.address]
    assert got(answer, "X-Forwarded-Port") == [gateway.address.rpartition(":")[2]]


# Paths. What a request without a token may reach at the service begins with /public/ and has no other meaning.

PATHS = [
    "/raw/x",
    "//raw/x",
    "///raw//x",
    "/./raw/x",
    "/public/../raw/x",
    "/public/./../raw/x",
    "/public//../raw/x",
    "/public/..//raw/x",
    "/public/x/../../raw/x",
    "/%72aw/x",
    "/public/%2e%2e/raw/x",
    "/public/%2E%2E/raw/x",
    "/public/.%2e/raw/x",
    "/public/%2e%2e%2fraw%2fx",
    "/public/..%2fraw/x",
    "/public/..%5craw/x",
    "/public/..%5Craw/x",
    "/public/..\\raw/x",
    "/public/..;/raw/x",
    "/public/..;a=b/raw/x",
    "/public/.;/..;/raw/x",
    "/public/;/../raw/x",
    "/public/%252e%252e/%2e%2e/raw/x",
    "/public/%00/../raw/x",
    "/public/..%00/raw/x",
    "/public/#/../../raw/x",
    "/public/../raw/x#",
    "/public/x#/../../raw/x",
    "/public/x#?/../../raw/x",
    "/raw/x#/../../public/",
    "/raw/../public/x",
    "/raw/%2e%2e/public/x",
    "/raw/..%2fpublic/x",
    "/raw/x?/../../public/",
    "/raw/x?public",
    "/exact",
    "/exact?x",
    "/%65xact",
    "/strip/../raw/x",
    "/ws/echo",
    "/encoded/%2e%2e/raw/x",
    "/encoded/..%2fraw/x",
    "/encoded/..%2fpublic/x",
]

_SECRET = ("raw", "strip", "exact", "encoded", "uncached", "bare", "ws")


def _means_public(path: str) -> bool:
    """Whether no service could take this path for one outside of /public/."""
    return (
        path.startswith("/public/")
        and not any(part in ("..", ".") for part in unquote(path).partition(";")[0].split("/"))
        and not any(word in path for word in ("..", "#", "\\", "%2e", "%2E", "%2f", "%5c", "%5C", "%00"))
    )


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_a_path_leads_past_the_gate(gateway: Gateway, backend: Backend, path: str) -> None:
    before = len(backend.seen)
    answer = gateway.request(path)
    reached = [seen["path"] for seen in backend.seen[before:]]
    assert all(map(_means_public, reached)), reached
    if not reached:
        assert answer.status in (400, 401, 404)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", PATHS)
def test_no_absolute_form_of_a_path_leads_past_the_gate(gateway: Gateway, backend: Backend, path: str) -> None:
    before = len(backend.seen)
    gateway.request(f"http://{gateway.address}{path}")
    assert all(_means_public(seen["path"]) for seen in backend.seen[before:])


# The request line decides, not `Host` (RFC 9112, section 3.2.2): /raw/ is public on other.example only.
HOSTS: dict[str, tuple[str, list[str], int]] = {
    "the public host": ("/raw/x", ["other.example"], 200),
    "the public host, upper case": ("/raw/x", ["OTHER.example"], 200),
    "the public host, final dot": ("/raw/x", ["other.example."], 200),
    "the public host, some port": ("/raw/x", ["other.example:1"], 200),
    "a host below it": ("/raw/x", ["x.other.example"], 401),
    "a host that begins alike": ("/raw/x", ["other.example.evil.example"], 401),
    "no such host": ("/raw/x", ["nobody.example"], 401),
    "empty": ("/raw/x", [""], 400),
    "the other in the request line": ("http://nobody.example/raw/x", ["other.example"], 401),
    "the public one in the request line": ("http://other.example/raw/x", ["nobody.example"], 200),
    "two": ("/raw/x", ["nobody.example", "other.example"], 400),
    "none": ("/raw/x", [], 400),
    "a path in it": ("/raw/x", ["other.example/x"], 400),
    "a list": ("/raw/x", ["nobody.example,other.example"], 401),
}


@pytest.mark.parametrize(("target", "hosts", "status"), HOSTS.values(), ids=HOSTS)
def test_the_host_that_the_route_was_chosen_by_is_the_one_that_the_service_gets(
    gateway: Gateway, target: str, hosts: list[str], status: int
) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    answer = send(gateway.address, f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    assert answer.status == status
    if status == 200:
        (host,) = got(answer, "Host")
        assert host.partition(":")[0] == "other.example"
        assert got(answer, "X-Forwarded-Host") == [host]


def test_a_host_with_routes_of_its_own_protects_what_it_shares(gateway: Gateway, issuer: Issuer) -> None:
    assert gateway.request("/strip/x", headers={"Host": "other.example"}).status == 401
    assert gateway.request("/strip/x", headers={"Host": "other.example"}, token=issuer.token()).status == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "get", "PROPFIND", "OPTIONS", "HEAD", "PATCH"])
def test_no_method_leads_past_the_gate(gateway: Gateway, backend: Backend, method: str) -> None:
    before = len(backend.seen)
    answer = gateway.request("/raw/x", method=method)
    assert answer.status in (400, 401, 405)
    assert len(backend.seen) == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_trace_and_connect_are_refused_even_with_a_token(
    gateway: Gateway, backend: Backend, issuer: Issuer, method: str
) -> None:
    before = len(backend.seen)
    answer = gateway.request("/raw/x", method=method, token=issuer.token())
    assert answer.status in (400, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(backend.seen) == before


def test_http_1_0_and_0_9_are_no_way_around(gateway: Gateway, backend: Backend) -> None:
    before = len(backend.seen)
    assert send(gateway.address, b"GET /raw/x HTTP/1.0\r\n\r\n").status == 401
    with connect(gateway.address) as connection:
        connection.sendall(b"GET /raw/x\r\n")
        assert b"access token" in connection.makefile("rb").read()
    assert len(backend.seen) == before


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Content-Length: +4",
    ],
)
def test_two_ways_to_read_a_body_are_none(
    gateway: Gateway, backend: Backend, issuer: Issuer, framing: str
) -> None:
    """RFC 9112, section 6.3: request smuggling."""
    before = len(backend.seen)
    smuggled = "0\r\n\r\nGET /raw/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /raw/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {issuer.token()}\r\n{framing}\r\n\r\n"
    answer = send(gateway.address, (head + smuggled).encode())
    assert answer.status in (400, 501)
    assert len(backend.seen) == before


# The gateway's own locations

OWN = ["/_jwtgate/", "/_jwtgate/deny/default/token_missing", "/_jwtgate/deny/bad_request", "/_jwtgate/none"]


@pytest.mark.parametrize("path", [*OWN, "/_jwtgate/answer/not_found", "//_jwtgate/deny/default/token_missing"])
def test_the_gateways_own_locations_are_not_for_clients(gateway: Gateway, issuer: Issuer, path: str) -> None:
    for token in (None, issuer.token()):
        answer = gateway.request(path, token=token)
        assert (answer.status, answer.json()["code"]) == (404, "not_found")


def test_the_auth_locations_are_not_for_clients(gateway: Gateway, issuer: Issuer) -> None:
    policy = gateway.logged(gateway.request("/raw/x").headers["x-request-id"])["policy"]
    assert gateway.request(f"/_jwtgate/auth/{policy}", token=issuer.token()).status == 404


def test_a_service_cannot_send_a_client_into_the_gateways_locations(gateway: Gateway, issuer: Issuer) -> None:
    for path, token in (("/raw/accel", issuer.token()), ("/public/accel", None)):
        answer = gateway.request(path, token=token)
        assert (answer.status, answer.text) == (200, "plain")
        assert "x-accel-redirect" not in answer.headers


# Upgrades


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "h2c, websocket", "TLS/1.3"])
@pytest.mark.parametrize("path", ["/raw/echo", "/public/x", "/raw/x"])
def test_an_upgrade_is_passed_on_only_where_a_route_says_websocket(
    gateway: Gateway, issuer: Issuer, path: str, protocol: str
) -> None:
    answer = gateway.request(path, token=issuer.token(), headers=_upgrade(protocol))
    assert answer.status == 200
    assert got(answer, "Upgrade") == []
    assert got(answer, "Connection") in ([], ["close"])


@pytest.mark.parametrize("protocol", ["h2c", "h2c, websocket", "TLS/1.3"])
def test_a_websocket_route_passes_on_nothing_but_websocket(
    gateway: Gateway, issuer: Issuer, protocol: str
) -> None:
    answer = gateway.request("/ws/x", token=issuer.token(), headers=_upgrade(protocol))
    assert answer.status == 200
    assert got(answer, "Upgrade") == []


def _upgrade(protocol: str) -> dict[str, str]:
    return {
        "Upgrade": protocol,
        "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }


def test_a_pipelined_request_is_asked_for_its_own_token(
    gateway: Gateway, issuer: Issuer, backend: Backend
) -> None:
    before = len(backend.seen)
    good = f"GET /raw/first HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {issuer.token()}\r\n\r\n"
    with connect(gateway.address) as connection:
        first = exchange(connection, good.encode())
        second = exchange(connection, b"GET /raw/second HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (first.status, second.status) == (200, 401)
    assert [seen["path"] for seen in backend.seen[before:]] == ["/raw/first"]


@pytest.mark.parametrize("path", ["/raw;x=1/", "/;/raw/", "/public/;x/", "/public/x%3Bx=1", "/raw%3b/x"])
def test_a_path_parameter_is_refused(gateway: Gateway, issuer: Issuer, path: str) -> None:
    for token in (None, issuer.token()):
        assert gateway.request(path, token=token).status in {400, 404}
