"""What may stand in `Authorization`, and what may not: each gets a clear answer, and none leaves a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.http import Response, send

if TYPE_CHECKING:
    from support.gateway import Gateway
    from support.issuer import Issuer

_PAD = "p"


def authorization(gateway: Gateway, *values: bytes, path: str = "/raw/x") -> Response:
    """A request with these `Authorization` headers."""
    lines = b"".join(b"Authorization: " + value + b"\r\n" for value in values)
    head = f"GET {path} HTTP/1.1\r\nHost: {gateway.address}\r\nConnection: close\r\n".encode()
    return send(gateway.address, head + lines + b"\r\n")


def token_of(size: int, issuer: Issuer) -> str:
    """A good token of exactly so many bytes."""
    for typ in ("JWT", "JWTs", "JWTss"):  # base64 grows in steps: the header makes up for what claims cannot
        shortest = len(issuer.token(typ=typ, pad=""))
        for pad in range((size - shortest) * 3 // 4 - 3, (size - shortest) * 3 // 4 + 3):
            token = issuer.token(typ=typ, pad=_PAD * pad)
            if len(token) == size:
                return token
    raise AssertionError(f"no token has {size} bytes")


ACCEPTED = {
    "Bearer": b"Bearer %s",
    "lower case": b"bearer %s",
    "upper case": b"BEARER %s",
    "mixed case": b"bEaReR %s",
    "several spaces": b"Bearer   %s",
    "white space around": b" Bearer %s  ",
}


@pytest.mark.parametrize("value", ACCEPTED.values(), ids=ACCEPTED)
def test_a_good_token_gets_through(gateway: Gateway, issuer: Issuer, value: bytes) -> None:
    answer = authorization(gateway, value % issuer.token().encode())
    assert answer.status == 200
    assert answer.json()["path"] == "/raw/x"


# What is sent, the status and the public code; %s is a good token.
REFUSED: dict[str, tuple[tuple[bytes, ...], int, str]] = {
    "no header": ((), 401, "token_missing"),
    "empty": ((b"",), 401, "token_missing"),
    "Bearer alone": ((b"Bearer",), 401, "invalid_token"),
    "Bearer and spaces": ((b"Bearer   ",), 401, "invalid_token"),
    "two headers": ((b"Bearer %s", b"Bearer %s"), 400, "invalid_request"),
    "a good header and an empty one": ((b"Bearer %s", b""), 400, "invalid_request"),
    "Basic and Bearer": ((b"Basic YWxpY2U6c2VjcmV0", b"Bearer %s"), 400, "invalid_request"),
    "a list": ((b"Bearer %s, Bearer %s",), 400, "invalid_request"),
    "a list without spaces": ((b"Bearer %s,%s",), 400, "invalid_request"),
    "two words": ((b"Bearer %s %s",), 401, "invalid_token"),
    "Bearer twice": ((b"Bearer Bearer %s",), 401, "invalid_token"),
    "another word before it": ((b"x Bearer %s",), 401, "token_missing"),
    "a tab for a space": ((b"Bearer\t%s",), 401, "invalid_token"),
    "Basic": ((b"Basic YWxpY2U6c2VjcmV0",), 401, "token_missing"),
    "a scheme that begins alike": ((b"Bearerx %s",), 401, "token_missing"),
    "no scheme": ((b"%s",), 401, "invalid_token"),
    "quotes": ((b'Bearer "%s"',), 401, "invalid_token"),
    "obs-text": ((b"Bearer \x80%s",), 401, "invalid_token"),
    "UTF-8": (("Bearer é%s".encode(),), 401, "invalid_token"),
    "UTF-8 for a scheme": (("Béarer %s".encode(),), 401, "invalid_token"),
    "a control character": ((b"Bearer \x01%s",), 401, "invalid_token"),
    "an escape character": ((b"Bearer \x1b[31m%s",), 401, "invalid_token"),
    "DEL": ((b"Bearer %s\x7f",), 401, "invalid_token"),
    "NUL": ((b"Bearer \x00%s",), 400, "invalid_request"),
    "a bare carriage return": ((b"Bearer \r%s",), 400, "invalid_request"),
    "an extra character": ((b"Bearer %sA",), 401, "invalid_token"),
    "padding": ((b"Bearer %s=",), 401, "invalid_token"),
    "a fourth part": ((b"Bearer %s.e30",), 401, "invalid_token"),
    "dots": ((b"Bearer ..",), 401, "invalid_token"),
}


@pytest.mark.parametrize(("values", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused_clearly_and_leaves_no_trace(
    gateway: Gateway, issuer: Issuer, values: tuple[bytes, ...], status: int, code: str
) -> None:
    said = len(gateway.said)
    token = issuer.token(sub="wire-tester").encode()
    answer = authorization(gateway, *(value.replace(b"%s", token) for value in values))
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    entry = gateway.logged(answer.headers["x-request-id"])
    assert entry["status"] == status
    assert entry["reason"] not in ("", "internal_error", "validator_unavailable")
    assert "Traceback" not in gateway.said[said:]
    _, payload, signature = token.decode().split(".")
    for written in (gateway.said, (gateway.work / "access.log").read_text(), answer.text):
        assert payload not in written
        assert signature not in written


def test_a_bare_token_is_taken_only_where_the_route_says_so(gateway: Gateway, issuer: Issuer) -> None:
    token = issuer.token().encode()
    assert authorization(gateway, token, path="/bare/x").status == 200
    assert authorization(gateway, b"Bearer " + token, path="/bare/x").status == 200
    assert authorization(gateway, token, path="/raw/x").status == 401
    assert authorization(gateway, token + b"," + token, path="/bare/x").status == 400


@pytest.mark.parametrize("size", [6 * 1024, 8192])
def test_large_tokens_work_and_are_cached(gateway: Gateway, issuer: Issuer, size: int) -> None:
    said = len(gateway.said)
    token = token_of(size, issuer)
    answers = [gateway.request("/raw/x", token=token) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    cached = [gateway.logged(answer.headers["x-request-id"])["decision_cache"] for answer in answers]
    assert cached == ["MISS", "MISS", "HIT"]
    assert gateway.said[said:] == ""


def test_one_byte_more_than_the_largest_token_is_a_denial(gateway: Gateway, issuer: Issuer) -> None:
    answer = gateway.request("/raw/x", token=token_of(8193, issuer))
    assert (answer.status, answer.json()["code"]) == (401, "invalid_token")
    assert gateway.logged(answer.headers["x-request-id"])["reason"] == "token_too_large"


@pytest.mark.parametrize("path", ["/raw/x", "/public/x", "/nowhere"])
@pytest.mark.parametrize("size", [20_000, 100_000])
def test_a_header_larger_than_any_token_is_a_denial(gateway: Gateway, size: int, path: str) -> None:
    answer = gateway.request(path, token=_PAD * size)
    assert (answer.status, answer.json()["code"]) == (401, "invalid_token")
    assert _PAD * 1000 not in gateway.said
    entry = gateway.logged(answer.headers["x-request-id"])
    assert entry["reason"] == "header_too_large"


def test_many_large_headers_are_a_denial_too(gateway: Gateway) -> None:
    answer = gateway.request("/raw/x", headers={f"X-Large-{number}": _PAD * 8000 for number in range(8)})
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_line_that_is_too_long_is_answered_by_us(gateway: Gateway) -> None:
    answer = gateway.request("/raw/" + _PAD * 20_000)
    assert (answer.status, answer.json()["code"]) == (414, "uri_too_long")
