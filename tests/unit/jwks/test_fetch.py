"""One GET, its limits, and what it says when it fails."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from jwtgate.errors import KeyFetchError
from jwtgate.jwks.fetch import Fetcher, Got, Same, Seen
from jwtgate.plan import Fetching

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def get(url: str, seen: Seen | None = None, fetching: Fetching | None = None) -> Got | Same:
    async def once() -> Got | Same:
        fetcher = Fetcher()
        try:
            return await fetcher.get(url, seen or Seen(), fetching or Fetching(total_timeout=5))
        finally:
            await fetcher.aclose()

    return asyncio.run(once())


def test_a_body_comes_with_its_validators_and_its_lifetime(fake_issuer: Any) -> None:
    fake_issuer.answer.body = b"{}"
    fake_issuer.answer.headers = {
        "ETag": '"v1"',
        "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "Cache-Control": "max-age=77",
    }
    assert get(fake_issuer.url) == Got(b"{}", Seen('"v1"', "Sun, 06 Nov 1994 08:49:37 GMT"), 77)


def test_the_version_that_is_held_is_asked_for_conditionally(fake_issuer: Any) -> None:
    fake_issuer.answer.status = 304
    fake_issuer.answer.headers = {"Cache-Control": "max-age=77"}
    assert get(fake_issuer.url, Seen('"v1"', "Sun, 06 Nov 1994 08:49:37 GMT")) == Same(77)
    (request,) = fake_issuer.requests
    assert request["if-none-match"] == '"v1"'
    assert request["if-modified-since"] == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_unchanged_without_a_version_held_is_a_fault(fake_issuer: Any) -> None:
    fake_issuer.answer.status = 304
    with pytest.raises(KeyFetchError, match="status 304, expected 200"):
        get(fake_issuer.url)


def test_configured_headers_are_sent_and_the_environment_is_not_asked(
    fake_issuer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    get(fake_issuer.url, fetching=Fetching(headers=(("X-Api-Key", "k"),)))
    assert fake_issuer.requests[0]["x-api-key"] == "k"


def test_a_configured_proxy_is_used(fake_issuer: Any) -> None:
    proxy = fake_issuer.url.removesuffix("/jwk")
    get("http://idp.invalid/keys", fetching=Fetching(proxy=proxy))
    assert fake_issuer.requests[0][":path"] == "http://idp.invalid/keys"
    assert fake_issuer.requests[0]["host"] == "idp.invalid"


def test_no_cookie_is_kept(fake_issuer: Any) -> None:
    fake_issuer.answer.headers = {"Set-Cookie": "a=b"}

    async def twice() -> None:
        fetcher = Fetcher()
        await fetcher.get(fake_issuer.url, Seen(), Fetching())
        await fetcher.get(fake_issuer.url, Seen(), Fetching())
        await fetcher.aclose()

    asyncio.run(twice())
    assert [request.get("cookie") for request in fake_issuer.requests] == [None, None]


def test_gzip_that_nobody_asked_for_is_read_within_the_limit(fake_issuer: Any) -> None:
    fake_issuer.answer.headers = {"Content-Encoding": "gzip"}
    fake_issuer.answer.body = gzip.compress(b"{" * 1000)
    got = get(fake_issuer.url)
    assert isinstance(got, Got)
    assert got.body == b"{" * 1000
    assert fake_issuer.requests[0]["accept-encoding"] == "identity"


def gzip_bomb(fake: Any) -> None:
    fake.answer.headers = {"Content-Encoding": "gzip"}
    fake.answer.body = gzip.compress(b"0" * 50_000_000, compresslevel=1)


def gzip_cut(fake: Any) -> None:
    fake.answer.headers = {"Content-Encoding": "gzip"}
    fake.answer.body = gzip.compress(b"x" * 1000)[:-9]


def gzip_false(fake: Any) -> None:
    fake.answer.headers = {"Content-Encoding": "gzip"}
    fake.answer.body = b"no gzip at all"


def brotli(fake: Any) -> None:
    fake.answer.headers = {"Content-Encoding": "br"}


def large(fake: Any) -> None:
    fake.answer.body = b"0" * (2 << 20)


def slow(fake: Any) -> None:
    fake.answer.before = lambda: time.sleep(1)


def refused(fake: Any) -> None:
    fake.answer.status = 503


def elsewhere(fake: Any) -> None:
    fake.answer.status = 302
    fake.answer.headers = {"Location": "http://user:word@localhost:9/jwk"}


def unprintable(fake: Any) -> None:
    fake.answer.status = 302
    fake.answer.headers = {"Location": "http://localhost:9/\x7f"}


def another_port(fake: Any) -> None:
    fake.answer.status = 302
    fake.answer.headers = {"Location": "http://127.0.0.1:9/jwk"}


def credentials(fake: Any) -> None:
    fake.answer.status = 307
    fake.answer.headers = {"Location": fake.url.replace("http://", "http://user:word@")}


def in_a_circle(fake: Any) -> None:
    fake.answer.status = 308
    fake.answer.headers = {"Location": "/jwk"}


def a_page(fake: Any) -> None:
    fake.answer.headers = {"Content-Type": "text/html; charset=utf-8"}
    fake.answer.body = b"\n<!DOCTYPE html><p>word"


def nothing(fake: Any) -> None:
    fake.answer.body = b""


def text(fake: Any) -> None:
    fake.answer.headers = {"Content-Type": "text/plain"}
    fake.answer.body = b"word"


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (gzip_bomb, "larger than 1048576 bytes"),
        (gzip_cut, "ends in the middle"),
        (gzip_false, "incorrect header check"),
        (brotli, "content coding br was not asked for"),
        (large, "larger than 1048576 bytes"),
        (slow, r"within 0\.3 s \(fetch timeout\)"),
        (refused, "status 503, expected 200"),
        (elsewhere, "redirects to another host"),
        (unprintable, "non-printable ASCII"),
        (another_port, r"redirects to another port \(http://127\.0\.0\.1:9\)"),
        (credentials, "user name or password"),
        (in_a_circle, "redirected more than 3 times"),
        (a_page, "the answer is an HTML page, said to be text/html; expected a JSON object"),
        (nothing, "the answer is empty; expected a JSON object"),
        (text, "the answer is plain text, said to be text/plain; expected"),
    ],
)
def test_a_faulty_answer_is_a_fault_that_says_so(
    fake_issuer: Any, fault: Callable[[Any], None], text: str
) -> None:
    fault(fake_issuer)
    with pytest.raises(KeyFetchError, match=text) as raised:
        get(fake_issuer.url, fetching=Fetching(total_timeout=0.3 if fault is slow else 5))
    assert str(raised.value).isprintable()
    assert "word" not in str(raised.value).replace("password", "")


def test_a_redirect_on_the_same_host_is_followed(fake_issuer: Any) -> None:
    fake_issuer.answer.status = 301
    fake_issuer.answer.headers = {"Location": "/moved"}
    fake_issuer.paths["/moved"] = type(fake_issuer.answer)(body=b"{ }")
    assert get(fake_issuer.url) == Got(b"{ }", Seen(), None)


def test_what_is_not_json_by_its_kind_is_nobody_elses_business(fake_issuer: Any) -> None:
    """A status list comes the same way, and is no JSON."""
    fake_issuer.answer.body = b"eyJ"

    async def once() -> Got | Same:
        fetcher = Fetcher()
        try:
            return await fetcher.get(fake_issuer.url, Seen(), Fetching(), accept="application/statuslist+jwt")
        finally:
            await fetcher.aclose()

    assert asyncio.run(once()) == Got(b"eyJ", Seen(), None)


def test_nobody_listening_is_a_fault_that_names_the_place() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"http://127.0.0.1:{port}/jwk"
        told = re.escape(f"{url}: connection refused: nobody listens there (127.0.0.1, port {port})")
        with pytest.raises(KeyFetchError, match=told):
            get(url)
        proxied = Fetching(proxy=f"http://127.0.0.1:{port}")
        with pytest.raises(KeyFetchError, match=re.escape(f"(127.0.0.1 (the proxy), port {port})")):
            get("http://issuer.invalid/jwk", fetching=proxied)


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(KeyFetchError, match=r"the name issuer\.invalid (does not resolve|cannot be resolved now)"):
        get("https://issuer.invalid/jwk")


def test_https_to_a_server_that_speaks_none_is_said(fake_issuer: Any) -> None:
    with pytest.raises(KeyFetchError, match="does not speak TLS on this port: write http:// in its place"):
        get(fake_issuer.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url", ["ftp://idp/jwk", "file:///etc/passwd", "http://", "jwk", "http://a:b@127.0.0.1/jwk"]
)
def test_what_is_no_plain_http_url_is_not_fetched(url: str) -> None:
    with pytest.raises(KeyFetchError):
        get(url)


def test_a_ca_file_that_is_missing_is_a_fault_and_not_a_crash(tmp_path: Any) -> None:
    with pytest.raises(KeyFetchError, match="the file of ca_file cannot be used: No such file"):
        get("https://127.0.0.1:9/jwk", fetching=Fetching(ca_file=tmp_path / "none.pem"))
