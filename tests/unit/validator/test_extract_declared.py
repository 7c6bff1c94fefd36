"""What a policy declares, read from the headers that NGINX sent: tokens from anywhere, and inputs."""

from __future__ import annotations

import pytest

from jwtgate.authenticate import Credential
from jwtgate.policy import Request
from jwtgate.reasons import Reason
from jwtgate.validator.extract import extract_declared

AUTHORIZATION, TOKEN = b"authorization", b"x-jwtgate-token"

READ: dict[str, tuple[list[tuple[bytes, bytes]], Credential | Reason]] = {
    "nothing": ([], Reason.TOKEN_MISSING),
    "in Authorization": ([(AUTHORIZATION, b"Bearer a.b.c")], Credential("a.b.c")),
    "elsewhere": ([(TOKEN, b"a.b.c")], Credential("a.b.c")),
    "elsewhere, after Bearer": ([(TOKEN, b"bearer  a.b.c ")], Credential("a.b.c")),
    "Bearer alone": ([(TOKEN, b"Bearer ")], Credential("Bearer")),
    "beside another scheme": ([(AUTHORIZATION, b"Basic YTpi"), (TOKEN, b"a.b.c")], Credential("a.b.c")),
    "twice": ([(AUTHORIZATION, b"Bearer a.b.c"), (TOKEN, b"a.b.c")], Reason.CREDENTIALS_AMBIGUOUS),
    "twice elsewhere": ([(TOKEN, b"a.b.c"), (TOKEN, b"d.e.f")], Reason.CREDENTIALS_AMBIGUOUS),
    "one good, one not": ([(AUTHORIZATION, b"Bearer"), (TOKEN, b"a.b.c")], Reason.CREDENTIALS_AMBIGUOUS),
    "a list": ([(TOKEN, b"a.b.c, d.e.f")], Reason.CREDENTIALS_AMBIGUOUS),
    "NGINX's sign for several": ([(TOKEN, b",")], Reason.CREDENTIALS_AMBIGUOUS),
    "two words": ([(TOKEN, b"a.b.c d")], Reason.HEADER_INVALID),
    "not ASCII": ([(TOKEN, b"a.b.\xc3\xa9")], Reason.HEADER_INVALID),
    "a control character": ([(TOKEN, b"a.b\x01.c")], Reason.HEADER_INVALID),
    "white space": ([(TOKEN, b"  ")], Reason.TOKEN_MISSING),
}


@pytest.mark.parametrize(("headers", "credential"), READ.values(), ids=READ.keys())
def test_the_token_is_read_from_every_place_that_was_sent(
    headers: list[tuple[bytes, bytes]], credential: Credential | Reason
) -> None:
    assert extract_declared(headers) == (credential, Request())


def test_inputs_are_read_by_their_names() -> None:
    headers = [
        (b"host", b"validator"),
        (b"x-jwtgate-input-method", b"POST"),
        (b"x-jwtgate-input-path", "/ü".encode()),
        (b"x-jwtgate-input-host", b"shop.example"),
        (b"x-jwtgate-input-header-x-tenant", b"acme"),
        (b"x-jwtgate-input-header-method", b"a header of that name"),
    ]
    expected = Request(
        "POST", "/ü", "shop.example", {"x-tenant": "acme", "header-method": "a header of that name"}
    )
    credential, request = extract_declared(headers)
    assert credential is Reason.TOKEN_MISSING
    assert (request.method, request.path, request.host) == (expected.method, expected.path, expected.host)
    assert request.headers == {"x-tenant": "acme", "method": "a header of that name"}


def test_an_input_that_is_no_text_is_not_lost() -> None:
    _, request = extract_declared([(b"x-jwtgate-input-header-x-tenant", b"a\xff"), (TOKEN, b"a.b.c")])
    assert request.headers == {"x-tenant": "a\udcff"}
