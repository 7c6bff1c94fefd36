from __future__ import annotations

from typing import Any

import pytest

from jwtgate.config import addresses, headers, paths, values
from jwtgate.config.addresses import KeyUrl, ServerAddress
from jwtgate.config.problems import Fault


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(0, 0), (90, 90), ("90", 90), ("10s", 10), ("5m", 300), ("24h", 86400), ("1d", 86400), ("0s", 0)],
)
def test_a_duration_is_seconds(written: Any, seconds: int) -> None:
    assert values.duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "s", "1.5s", "10 s", "10S", "500ms", "1h30m", "-1s", -1, 1.5, True, None, [], "9" * 12]
)
def test_what_is_no_duration_is_refused(written: Any) -> None:
    assert isinstance(values.duration(written), Fault)


@pytest.mark.parametrize(
    ("written", "count"),
    [(0, 0), (512, 512), ("512", 512), ("8k", 8192), ("8K", 8192), ("1m", 1 << 20), ("1g", 1 << 30)],
)
def test_a_size_is_bytes(written: Any, count: int) -> None:
    assert values.size(written) == count


@pytest.mark.parametrize("written", ["", "k", "8kb", "1.5m", "-1k", -1, True, None, 10**30])
def test_what_is_no_size_is_refused(written: Any) -> None:
    assert isinstance(values.size(written), Fault)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (8000, "0.0.0.0:8000"),
        ("8000", "0.0.0.0:8000"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000"),
        ("[0:0::0]:08000", "[::]:8000"),
    ],
)
def test_a_listener_has_an_address_and_a_port(written: Any, address: str) -> None:
    assert addresses.listener_address(written) == address


@pytest.mark.parametrize(
    "written", [0, 65536, "", ":8000x", "::1:80", "[127.0.0.1]:80", "*:80", "[fe80::1%eth0]:80", None, 1.5]
)
def test_what_is_no_listener_is_refused(written: Any) -> None:
    assert isinstance(addresses.listener_address(written), Fault)


@pytest.mark.parametrize(
    ("written", "block"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.1", "10.0.0.1/32"), ("fd00::/8", "fd00::/8"), ("::1", "::1/128")],
)
def test_a_network_is_a_cidr_block(written: str, block: str) -> None:
    assert addresses.network(written) == block


@pytest.mark.parametrize(
    ("written", "server"),
    [
        ("http://app", ServerAddress("app:80", tls=False, is_name=True)),
        ("https://app", ServerAddress("app:443", tls=True, is_name=True)),
        ("http://app_1.internal:3000", ServerAddress("app_1.internal:3000", tls=False, is_name=True)),
        ("http://[::1]:3000", ServerAddress("[::1]:3000", tls=False)),
        ("https://[::1]", ServerAddress("[::1]:443", tls=True)),
        ("http://10.0.0.1:1", ServerAddress("10.0.0.1:1", tls=False)),
        ("unix:/run/app.sock", ServerAddress("unix:/run/app.sock", tls=False)),
    ],
)
def test_a_server_has_its_port_written_out(written: str, server: ServerAddress) -> None:
    assert addresses.server_address(written) == server


@pytest.mark.parametrize(
    "written",
    [
        "app",
        "http://",
        "http://:80",
        "http://a b",
        "http://a;b",
        "http://a/",
        "http://a?b",
        "http://a:b",
        "http://a:99999",
        "http://u@a",
        "http://[::g]",
        "HTTP//a",
        "unix:",
        "unix:/a b",
        "unix:/a;b",
        "unix:/a:/b",
        "http://a$b",
        "http://é",
    ],
)
def test_what_is_no_server_is_refused(written: str) -> None:
    assert isinstance(addresses.server_address(written), Fault)


@pytest.mark.parametrize(
    ("written", "plain_remote"),
    [
        ("https://a.example/k", False),
        ("http://a.example/k", True),
        ("http://localhost:3000/k", False),
        ("http://127.1.2.3/k", False),
        ("http://[::1]/k", False),
        ("http://127.0.0.1.example.com/k", True),
        ("http://10.0.0.1/k", True),
        ("http://localhost.example.com/k", True),
    ],
)
def test_only_loopback_may_be_plain_http(written: str, plain_remote: bool) -> None:
    assert addresses.jwks_url(written) == KeyUrl(written, plain_remote)


@pytest.mark.parametrize(
    "written",
    ["", "a", "ftp://a/k", "https://", "https://u:p@a/k", "https://a/k#f", "https://a/ k", "https://a\\@b/"],
)
def test_what_is_no_key_url_is_refused(written: str) -> None:
    assert isinstance(addresses.jwks_url(written), Fault)


def test_a_password_in_a_url_is_not_repeated() -> None:
    for fault in (addresses.jwks_url("https://u:hunter2@a/k"), addresses.server_address("http://u:hunter2@a")):
        assert isinstance(fault, Fault)
        assert "hunter2" not in fault.message + fault.hint
        assert "{value}" not in fault.message


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/", "/a.b/..c/c../", "/a-b_c~d", "/a@b:c!d&e", "/straße/", "/.well-known/x", "/_jwtgatex"],
)
def test_a_path_that_nginx_can_compare_is_taken(path: str) -> None:
    assert paths.route_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "a", "/..", "/a/../b", "/.", "//", "/a//", "/\x7f", "/a\u2028", "/a\u00a0b", "/" + "a" * 3000]
)
def test_a_path_that_nginx_could_not_compare_is_refused(path: str) -> None:
    assert isinstance(paths.route_path(path), Fault)


@pytest.mark.parametrize("name", ["X-User", "Subject", "x-1"])
def test_a_header_can_carry_a_claim(name: str) -> None:
    assert headers.identity_header(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "HOST",
        "te",
        "Proxy",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "X-ORIGINAL-URI",
        "X-Accel-Redirect",
        "Forwarded",
        "Keep-Alive",
        "Content-Type",
        "X-Real-IP",
        "X-Jwtgate-Reason",
        "X_User",
        "X User",
        "X\nUser",
        "",
        "Ünïcode",
    ],
)
def test_a_header_with_a_meaning_of_its_own_cannot_carry_a_claim(name: str) -> None:
    assert isinstance(headers.identity_header(name), Fault)


@pytest.mark.parametrize("value", ["a\nb", "a\0", "\x7f", "", " a", "a ", "é", "a\tb"])
def test_a_header_value_is_printable(value: str) -> None:
    assert isinstance(headers.answer_header_value(value), Fault)
    assert headers.answer_header_value('max-age=0, "x" $y') == 'max-age=0, "x" $y'


@pytest.mark.parametrize(
    ("body", "fits"), [("x" * 3500, True), ("x" * 3501, False), ('"' * 1800, False), ("$" * 180, False)]
)
def test_a_body_fits_into_what_nginx_reads(body: str, fits: bool) -> None:
    assert (values.body(body) == body) is fits


@pytest.mark.parametrize("path", ["", "a\0b", "a$b", "a\nb", "a" * 3000])
def test_a_file_path_must_fit_into_nginx_too(path: str) -> None:
    assert isinstance(values.file_path(path), Fault)
