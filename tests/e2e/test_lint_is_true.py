"""What `jwtgate lint` calls open is open, and what it advises closes it: tried with a real NGINX."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from jwtgate.lint import lint, read_file
from support.http import request
from support.nginx import serving
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

# The service says 200 to everyone; the auth service to the credential `good` only, or, at /deny, to nobody.
CONFIGURATION = """
daemon off;
pid WORK/pid;
error_log stderr crit;
events {}
http {
    access_log off;
    client_body_temp_path WORK/body;
    proxy_temp_path WORK/proxy;
    fastcgi_temp_path WORK/fastcgi;
    uwsgi_temp_path WORK/uwsgi;
    scgi_temp_path WORK/scgi;
    proxy_cache_path WORK/cache keys_zone=decisions:1m;
    map $http_authorization $verdict { default 401; good 200; }
    server {
        listen unix:WORK/service.sock;
        location / { return 200 service; }
    }
    server {
        listen unix:WORK/auth.sock;
        location /deny { return 401; }
        location /verdict { if ($verdict = 200) { return 200; } return 401; }
    }
    server {
        listen ADDRESS;
        SERVER
    }
}
"""
GATE = """
    location = /auth { internal; proxy_pass_request_body off; proxy_set_header Content-Length ""; %s }
    location /fine { auth_request off; return 204; }
"""
REFUSES = GATE % "proxy_pass http://unix:WORK/auth.sock:/deny;"
IS_DOWN = GATE % "proxy_pass http://127.0.0.1:1;"
CACHES = (
    GATE % "proxy_pass http://unix:WORK/auth.sock:/verdict; proxy_cache decisions; proxy_cache_valid 200 1m; KEY"
)
SERVICE = "proxy_pass http://unix:WORK/service.sock;"
PROTECTED = "location /a/ { auth_request /auth; " + SERVICE + " %s }"


class Case(NamedTuple):
    """A server that lets a refused request through, and what in it becomes what to mend it."""

    rule: str
    server: str
    mend: tuple[str, str]
    path: str = "/a/x"


CASES = {
    "the auth service is down": Case(
        "open-auth-location",
        "error_page 502 =200 /fine;" + IS_DOWN + PROTECTED % "",
        ("internal;", "internal; error_page 599 /none;"),
    ),
    "a target that says 204": Case(
        "open-auth-location",
        "error_page 502 = /fine;" + IS_DOWN + PROTECTED % "",
        ("internal;", "internal; error_page 599 /none;"),
    ),
    "a refusal is intercepted": Case(
        "open-auth-location",
        "proxy_intercept_errors on; error_page 401 =200 /fine;" + REFUSES + PROTECTED % "error_page 599 /none;",
        ("internal;", "internal; proxy_intercept_errors off;"),
    ),
    "a refusal of NGINX itself": Case(
        "open-auth-location",
        "error_page 401 =200 /fine;"
        "location = /auth { internal; if ($http_authorization != good) { return 401; } return 204; }"
        "location /fine { auth_request off; return 204; }" + PROTECTED % "error_page 599 /none;",
        ("internal;", "internal; error_page 599 /none;"),
    ),
    "a refusal leads to the service itself": Case(
        "unprotected",
        REFUSES + PROTECTED % "error_page 401 = @again;" + "location @again { " + SERVICE + " }",
        ("error_page 401 = @again;", "error_page 599 /none;"),
    ),
    "a fallback of an open location": Case(
        "unprotected",
        REFUSES + PROTECTED % "" + "location /b/ { try_files /none @again; } location @again { " + SERVICE + " }",
        ("location /b/ {", "location /b/ { auth_request /auth;"),
        "/b/x",
    ),
    "everyone is allowed before everyone is denied": Case(
        "unprotected",
        REFUSES + PROTECTED % "" + "location /b/ { allow all; deny all; " + SERVICE + " }",
        ("allow all; ", ""),
        "/b/x",
    ),
    "every address is allowed before everyone is denied": Case(
        "unprotected",
        REFUSES + PROTECTED % "" + "location /b/ { allow 0.0.0.0/0; deny all; " + SERVICE + " }",
        ("allow 0.0.0.0/0; ", ""),
        "/b/x",
    ),
    "other methods are allowed": Case(
        "unprotected",
        REFUSES + PROTECTED % "" + "location /b/ { deny all; limit_except POST { allow all; } " + SERVICE + " }",
        ("allow all;", ""),
        "/b/x",
    ),
    "other methods reach a service": Case(
        "unprotected",
        REFUSES + PROTECTED % "" + "location /b/ { root /none; limit_except POST { " + SERVICE + " } }",
        ("root /none;", "root /none; auth_request /auth;"),
        "/b/x",
    ),
    "a cached decision of another": Case(
        "auth-cache-key",
        CACHES.replace("KEY", "proxy_cache_key same;") + PROTECTED % "",
        ("proxy_cache_key same", "proxy_cache_key $http_authorization"),
    ),
    "a good address is enough": Case(
        "satisfy-any",
        REFUSES + PROTECTED % "satisfy any; allow 127.0.0.1; deny all;",
        ("satisfy any", "satisfy all"),
    ),
    "return is not asked": Case(
        "unasked-return",
        REFUSES + "auth_request /auth; location /a/ { return 200 open; }",
        ("return 200 open;", SERVICE),
    ),
    "nobody is asked": Case(
        "unprotected",
        REFUSES + "location /b/ { auth_request /auth; " + SERVICE + " } location /a/ { " + SERVICE + " }",
        ("location /a/ {", "location /a/ { auth_request /auth;"),
    ),
    "a cached answer of another": Case(
        "shared-cache",
        CACHES.replace("proxy_cache decisions;", "proxy_cache off;").replace("KEY", "")
        + "location = /c { auth_request /auth; auth_request_set $s $upstream_status; proxy_cache decisions; "
        "proxy_cache_valid 200 1m; proxy_pass http://unix:WORK/auth.sock:/verdict; satisfy any; allow all; }",
        ("proxy_cache decisions;", "proxy_cache off;"),
        "/c",
    ),
    "files beside the directory": Case(
        "off-by-slash",
        "location /files { alias WORK/public/; }",
        ("location /files {", "location /files/ {"),
        "/files../secret",
    ),
}


@contextmanager
def running(nginx: Path, server: str) -> Iterator[tuple[str, set[str]]]:
    """An NGINX with this server block: its address, and the rules by which lint finds fault with it."""
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="jwtgate-test-") as name:
        work = Path(name)
        work.chmod(0o755)
        (work / "public").mkdir()
        (work / "secret").write_text("secret")
        file = work / "nginx.conf"
        file.write_text(CONFIGURATION.replace("SERVER", server).replace("WORK", name).replace("ADDRESS", address))
        with serving(nginx, file, address):
            yield address, {finding.rule for finding in lint(read_file(file)) if finding.level != "note"}


def lets_through(address: str, path: str) -> bool:
    """Whether a bad credential gets a 2xx, after a good one was there."""
    request(address, path, headers={"Authorization": "good"})
    return 200 <= request(address, path, headers={"Authorization": "bad"}).status < 300


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_lint_calls_open_is_open_and_what_it_advises_closes_it(nginx: Path, case: Case) -> None:
    with running(nginx, case.server) as (address, rules):
        assert case.rule in rules
        assert lets_through(address, case.path)
    assert case.mend[0] in case.server
    with running(nginx, case.server.replace(*case.mend)) as (address, rules):
        assert case.rule not in rules
        assert not lets_through(address, case.path)
