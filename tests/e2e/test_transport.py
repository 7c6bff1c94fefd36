"""What goes through the gate arrives as it was sent, in both directions."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_websocket

from support.http import Response, connect, exchange, read_response

if TYPE_CHECKING:
    from support.backend import Backend
    from support.gateway import Gateway
    from support.issuer import Issuer

MIB = 1024 * 1024


def head(gateway: Gateway, method: str, path: str, *lines: str, token: str | None = None) -> bytes:
    """The head of a request."""
    every = [f"{method} {path} HTTP/1.1", f"Host: {gateway.address}", *lines]
    if token is not None:
        every.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*every, "", ""]).encode()


def is_problem(answer: Response, status: int, code: str) -> bool:
    """Whether it is an answer of the gateway itself."""
    return (
        answer.status == status
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["code"] == code
        and answer.json()["request_id"] == answer.headers["x-request-id"]
    )


# Bodies


def test_a_post_of_20_mb_arrives_whole(gateway: Gateway, issuer: Issuer) -> None:
    body = hashlib.shake_128(b"body").digest(20 * MIB)
    answer = gateway.request("/big/x", method="POST", token=issuer.token(), body=body, timeout=60)
    assert answer.status == 200
    assert answer.json()["size"] == len(body)
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("cached", [False, True])
def test_a_chunked_upload_arrives_whole(gateway: Gateway, issuer: Issuer, cached: bool) -> None:
    token = issuer.token(jti=f"chunked {cached}")
    if cached:
        gateway.request("/big/x", token=token)
    parts = [bytes([number]) * 70_000 for number in range(30)]
    with connect(gateway.address) as connection:
        connection.sendall(head(gateway, "POST", "/big/x", "Transfer-Encoding: chunked", token=token))
        for part in parts:
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        answer = exchange(connection, b"0\r\n\r\n", "POST")
    assert answer.status == 200
    assert answer.json()["sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()


def test_expect_100_continue_gets_its_100_and_then_the_answer(gateway: Gateway, issuer: Issuer) -> None:
    lines = ("Expect: 100-continue", "Content-Length: 5")
    with connect(gateway.address) as connection:
        connection.sendall(head(gateway, "POST", "/raw/x", *lines, token=issuer.token()))
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        answer = exchange(connection, b"hello", "POST")
    assert answer.status == 200
    assert answer.json()["sha256"] == hashlib.sha256(b"hello").hexdigest()


def test_expect_100_continue_without_a_token_is_denied(gateway: Gateway, backend: Backend) -> None:
    before = len(backend.seen)
    lines = ("Expect: 100-continue", "Content-Length: 5")
    with connect(gateway.address) as connection:
        connection.sendall(head(gateway, "POST", "/raw/x", *lines))
        data = connection.recv(25)
        if data == b"HTTP/1.1 100 Continue\r\n\r\n":
            connection.sendall(b"hello")
            assert is_problem(read_response(connection, "POST"), 401, "token_missing")
        else:
            assert data.startswith(b"HTTP/1.1 401 ")
    assert len(backend.seen) == before


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("path", ["/raw/x", "/public/x"])
def test_a_body_that_is_too_large_is_413(
    gateway: Gateway, issuer: Issuer, backend: Backend, path: str, framing: str
) -> None:
    before = len(backend.seen)
    size = 11 * MIB
    with connect(gateway.address) as connection:
        if framing == "length":
            request = head(gateway, "POST", path, f"Content-Length: {size}", token=issuer.token())
        else:
            request = head(gateway, "POST", path, "Transfer-Encoding: chunked", token=issuer.token())
            request += f"{size:x}\r\n".encode() + b"x" * 1000
        assert is_problem(exchange(connection, request, "POST"), 413, "content_too_large")
    assert len(backend.seen) == before


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/raw/x", 401, "token_missing"), ("/nowhere", 404, "not_found")]
)
def test_an_upload_is_denied_for_its_own_reason_and_not_for_its_size(
    gateway: Gateway, path: str, status: int, code: str
) -> None:
    with connect(gateway.address) as connection:
        request = head(gateway, "POST", path, f"Content-Length: {9 * MIB}")
        assert is_problem(exchange(connection, request, "POST"), status, code)


# Methods


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_method_arrives_as_it_is(gateway: Gateway, issuer: Issuer, method: str) -> None:
    answer = gateway.request("/raw/x", method=method, token=issuer.token(), body=b"body")
    assert answer.status == 200
    assert (answer.json()["method"], answer.json()["size"]) == (method, 4)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_needs_a_token(gateway: Gateway, method: str) -> None:
    assert is_problem(gateway.request("/raw/x", method=method), 401, "token_missing")


def test_head_gets_headers_without_a_body(gateway: Gateway, issuer: Issuer, backend: Backend) -> None:
    answer = gateway.request("/raw/x", method="HEAD", token=issuer.token())
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    assert backend.seen[-1]["method"] == "HEAD"


def test_a_denied_head_has_headers_without_a_body(gateway: Gateway) -> None:
    with connect(gateway.address) as connection:
        connection.sendall(head(gateway, "HEAD", "/raw/x", "Connection: close"))
        text = connection.makefile("rb").read()
    assert text.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate" in text.lower()
    assert text.endswith(b"\r\n\r\n")


# Connections


@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_a_denial_keeps_the_connection(gateway: Gateway, issuer: Issuer, size: int) -> None:
    method, lines = ("POST", (f"Content-Length: {size}",)) if size else ("GET", ())
    with connect(gateway.address) as connection:
        for _ in range(2):
            denied = exchange(connection, head(gateway, method, "/raw/x", *lines) + b"x" * size, method)
            assert is_problem(denied, 401, "token_missing")
            assert denied.headers["connection"] == "keep-alive"
        answer = exchange(connection, head(gateway, "GET", "/raw/x", token=issuer.token()))
    assert answer.status == 200


def test_websocket_messages_go_both_ways(gateway: Gateway, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    for _ in ("asked", "cached"):
        with connect_websocket(
            f"ws://{gateway.address}/ws/echo", additional_headers=headers, proxy=None
        ) as socket:
            for message in ("hello", "x" * 100_000):
                socket.send(message)
                assert socket.recv(timeout=10) == message


@pytest.mark.parametrize("credential", [None, "Bearer nonsense"])
def test_a_websocket_without_a_good_token_is_denied(gateway: Gateway, credential: str | None) -> None:
    headers = {"Authorization": credential} if credential else {}
    with pytest.raises(InvalidStatus) as denied:
        connect_websocket(f"ws://{gateway.address}/ws/echo", additional_headers=headers, proxy=None)
    assert denied.value.response.status_code == 401


def test_an_ordinary_request_on_a_websocket_route_works(gateway: Gateway, issuer: Issuer) -> None:
    assert gateway.request("/ws/x", token=issuer.token()).status == 200


def test_server_sent_events_arrive_as_they_happen(gateway: Gateway, issuer: Issuer) -> None:
    with connect(gateway.address) as connection:
        connection.sendall(head(gateway, "GET", "/sse/events", "Connection: close", token=issuer.token()))
        received = b""
        while b'"number": 0' not in received:
            received += connection.recv(65536)
        assert b'"number": 2' not in received
        rest = connection.makefile("rb").read()
    assert b'"number": 2' in rest


# Answers of the service


@pytest.mark.parametrize(
    "status", [201, 204, 301, 304, 400, 401, 403, 404, 405, 413, 418, 429, 500, 502, 503, 504]
)
def test_the_services_own_answer_is_passed_on(gateway: Gateway, issuer: Issuer, status: int) -> None:
    for path, token in ((f"/raw/status/{status}", issuer.token()), (f"/public/status/{status}", None)):
        answer = gateway.request(path, token=token)
        assert answer.status == status
        assert answer.text == ("" if status in (204, 304) else "the service's own words")
        assert "www-authenticate" not in answer.headers
        assert [name for name, _ in answer.pairs].count("x-request-id") == 1


def test_nothing_of_the_decision_leaves_the_gateway(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request("/raw/x", token=issuer.token(roles=["a"]))
    assert not [name for name in answer.headers if name.startswith(("x-jwtgate", "x-accel"))]
    assert not [name for name, _ in answer.json()["headers"] if name.lower().startswith("x-jwtgate")]


def test_a_service_that_is_down_is_502(gateway: Gateway, issuer: Issuer) -> None:
    assert is_problem(gateway.request("/gone/x"), 401, "token_missing")
    answer = gateway.request("/gone/x", token=issuer.token())
    assert is_problem(answer, 502, "upstream_unavailable")


# Paths and routes


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/raw/x", "/raw/x"),
        ("/raw/", "/raw/"),
        ("/raw//x", "/raw//x"),
        ("/raw/%20%C3%A9", "/raw/%20%C3%A9"),
        ("/raw/a+b=c,d,e", "/raw/a+b=c,d,e"),
        ("/raw/x%25", "/raw/x%25"),
        ("/strip/x", "/x"),
        ("/strip/", "/"),
        ("/strip/x/y/", "/x/y/"),
        ("/strip/a%20b", "/a%20b"),
        ("/strip/%C3%A9", "/%C3%A9"),
        ("/strip/x%25y", "/x%25y"),
        ("/exact", "/exact"),
        ("/encoded/a%2Fb", "/encoded/a%2Fb"),
        ("/encoded/a%2F%2fb%2F", "/encoded/a%2F%2fb%2F"),
        ("/encoded/a%2Eb", "/encoded/a%2Eb"),
        ("/encoded/%2Ehidden", "/encoded/%2Ehidden"),
        ("/encoded/a...", "/encoded/a..."),
        ("/slash/x", "/slash/x"),
    ],
)
def test_a_path_arrives(gateway: Gateway, issuer: Issuer, path: str, arrives: str) -> None:
    answer = gateway.request(f"{path}?a=1&b=%2F%2e%2e&c=/../x&d=%C3%A9", token=issuer.token())
    assert answer.status == 200
    assert answer.json()["path"] == arrives
    assert answer.json()["query"] == "a=1&b=%2F%2e%2e&c=/../x&d=%C3%A9"


@pytest.mark.parametrize(
    "path", ["/raw", "/strip", "/exact/", "/exact/x", "/exactly", "/nowhere", "/", "/Raw/x", "/public", "/slashx"]
)
def test_what_no_route_matches_is_404(gateway: Gateway, issuer: Issuer, path: str) -> None:
    for token in (None, issuer.token()):
        for method in ("GET", "POST"):
            assert is_problem(gateway.request(path, method=method, token=token), 404, "not_found")


def test_a_missing_slash_is_redirected_where_the_route_says_so(gateway: Gateway) -> None:
    answer = gateway.request("/slash?x=1")
    assert answer.status in (301, 308)
    assert answer.headers["location"] == "/slash/?x=1"


@pytest.mark.parametrize(
    "path", ["/raw/a%2Fb", "/strip/a%2fb", "/raw/a%5cb", "/raw/%2e", "/raw/a\\b", "/raw/x/../y"]
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(gateway: Gateway, issuer: Issuer, path: str) -> None:
    assert is_problem(gateway.request(path, token=issuer.token()), 400, "invalid_request")


@pytest.mark.parametrize(
    "rest",
    [
        *("../encoded/x", "x/..", "x/.", "./x", "%2e%2e/encoded/x", "x/%2E%2e/y", "x/.%2e/y", "x/%2e"),
        *("a%2f..%2fb", "a%2F%2e%2E%2fb", "a%2f.", "a%2f./b", "..%2Fencoded/x"),
        *("a%5cb", "a\\b", "a%00b", "a;b", "a%3Bb", "a%3b/../b"),
    ],
)
def test_a_route_that_wants_encoded_slashes_gets_nothing_else_that_is_ambiguous(
    gateway: Gateway, issuer: Issuer, backend: Backend, rest: str
) -> None:
    before = len(backend.seen)
    assert gateway.request(f"/encoded/{rest}", token=issuer.token()).status in (400, 404)
    assert len(backend.seen) == before


def test_a_route_can_answer_in_its_own_words(gateway: Gateway) -> None:
    answer = gateway.request("/own/x")
    assert (answer.status, answer.text) == (418, "own $words")
    assert is_problem(gateway.request("/own/x", token="nonsense"), 401, "invalid_token")


def test_the_log_has_the_path_without_its_query(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request("/raw/x?secret=1", token=issuer.token(), headers={"User-Agent": 'a "quoted" \\ one'})
    entry = gateway.logged(answer.headers["x-request-id"])
    assert (entry["path"], entry["status"], entry["route"], entry["reason"]) == ("/raw/x", 200, "/raw/", "")
    assert (entry["issuer"], entry["user_agent"]) == ("main", 'a "quoted" \\ one')
    assert entry["key"] == issuer.key.kid
    assert "alice" not in json.dumps(entry)
    assert entry["subject"] != ""
