"""Each rule: a configuration that it speaks about, and the same one mended, of which nothing is said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from jwtgate.errors import LintError
from jwtgate.lint import RULES, is_dump, lint, read_dump, read_file

if TYPE_CHECKING:
    from pathlib import Path

GATE = """
    location = /auth {
        internal;
        proxy_pass http://127.0.0.1:9001;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        %s
    }
"""
PROTECTED = "location /a/ { auth_request /auth; proxy_pass http://127.0.0.1:3000; %s }"

# rule: (what has it, the same without it); both in a server block, or in the http block where a line starts with !
CASES: dict[str, list[tuple[str, str]]] = {
    "unprotected": [
        (
            GATE % "" + PROTECTED % "" + "location /b/ { proxy_pass http://127.0.0.1:3000; }",
            GATE % "" + PROTECTED % "" + "location /b/ { auth_request off; proxy_pass http://127.0.0.1:3000; }",
        ),
        (
            "location / { if ($arg_a) { proxy_pass http://127.0.0.1:3000; } }",
            "location / { auth_basic hello; if ($arg_a) { proxy_pass http://127.0.0.1:3000; } }",
        ),
        (
            GATE % "" + "auth_request /auth; location /b { auth_request off; location /b/c { grpc_pass b:1; } }",
            GATE % "" + "auth_request /auth; location /b { location /b/c { grpc_pass b:1; } }",
        ),
        ("location / { allow all; proxy_pass http://b; }", "location / { deny all; proxy_pass http://b; }"),
        (
            "location / { allow all; deny all; proxy_pass http://b; }",
            "location / { allow 10.0.0.0/8; deny all; proxy_pass http://b; }",
        ),
        ("location / { deny 0.0.0.0/0; proxy_pass http://b; }", "location / { deny all; proxy_pass http://b; }"),
        (
            "location / { allow 0.0.0.0/0; deny all; proxy_pass http://b; }",
            "location / { deny 0.0.0.0/0; deny ::/0; proxy_pass http://b; }",
        ),
        (
            "location / { allow ::/0; deny all; proxy_pass http://b; }",
            "location / { allow fe80::/10; deny all; proxy_pass http://b; }",
        ),
        (
            "location / { limit_except GET { proxy_pass http://b; } }",
            "location / { limit_except GET { deny all; proxy_pass http://b; } }",
        ),
        (
            "location / { deny all; limit_except GET { allow all; } proxy_pass http://b; }",
            "location / { deny all; limit_except GET { auth_basic hello; } proxy_pass http://b; }",
        ),
        (
            "location / { limit_except GET { deny all; } proxy_pass http://b; }",
            GATE % "" + "auth_request /auth; location / { limit_except GET { deny all; } proxy_pass http://b; }",
        ),
        (
            "deny all; location / { allow 10.0.0.1; proxy_pass http://b; }",
            "deny all; location / { proxy_pass http://b; }",
        ),
        (
            "location / { try_files $uri @a; } location @a { proxy_pass http://b; }",
            GATE % ""
            + "location / { auth_request /auth; try_files $uri @a; } location @a { proxy_pass http://b; }",
        ),
        (
            "location / { root /srv; error_page 404 = /b; } location /b { internal; proxy_pass http://b; }",
            "location / { root /srv; error_page 401 = /b; } location /b { internal; proxy_pass http://b; }",
        ),
        (
            GATE % "" + PROTECTED % "error_page 401 = @b;" + "location @b { proxy_pass http://127.0.0.1:3000; }",
            GATE % "" + PROTECTED % "error_page 401 = @b;" + "location @b { proxy_pass http://login; }",
        ),
    ],
    "unasked-return": [
        (
            GATE % "" + "auth_request /auth; location /a { return 200 hello; }",
            GATE % "" + "auth_request /auth; location /a { return 404; }",
        ),
        (
            GATE % "" + PROTECTED % "if ($arg_x) { return 204; }",
            GATE % "" + PROTECTED % "if ($arg_x) { return 403; }",
        ),
        (
            GATE % "" + "auth_request /auth; location /a { return https://b; }",
            GATE % "" + "auth_request /auth; location @a { return https://b; }",
        ),
    ],
    "satisfy-any": [
        (
            GATE % "" + PROTECTED % "satisfy any; allow 10.0.0.0/8; deny all;",
            GATE % "" + PROTECTED % "satisfy all; allow 10.0.0.0/8; deny all;",
        ),
        (
            GATE % "" + "satisfy any; auth_basic hello;" + PROTECTED % "",
            GATE % "" + "satisfy any; auth_basic hello;" + PROTECTED % "auth_basic off;",
        ),
    ],
    "shared-cache": [
        (
            "!proxy_cache_path /tmp/z keys_zone=z:1m;\n"
            + GATE % "proxy_cache off;"
            + "proxy_cache z;"
            + PROTECTED % "",
            "!proxy_cache_path /tmp/z keys_zone=z:1m;\n"
            + GATE % "proxy_cache off;"
            + "proxy_cache z; proxy_cache_key $uri$http_authorization;"
            + PROTECTED % "",
        ),
        (
            "!proxy_cache_path /tmp/z keys_zone=z:1m;\n"
            + GATE % ""
            + PROTECTED % "proxy_cache z; proxy_cache_key $uri;",
            "!proxy_cache_path /tmp/z keys_zone=z:1m;\n"
            + GATE % ""
            + PROTECTED % "proxy_cache z; auth_request_set $who $upstream_http_x_who; proxy_cache_key $uri$who;",
        ),
        (
            "!proxy_cache_path /tmp/z keys_zone=z:1m;\n"
            + GATE % ""
            + PROTECTED % "proxy_cache z; proxy_no_cache $http_authorization;",
            "!proxy_cache_path /tmp/z keys_zone=z:1m;\n"
            + GATE % ""
            + PROTECTED
            % "proxy_cache z; proxy_no_cache $http_authorization; proxy_cache_bypass $http_authorization;",
        ),
    ],
    "off-by-slash": [
        ("location /i { alias /srv/i/; }", "location /i/ { alias /srv/i/; }"),
        ("location /i { alias /srv/i/; }", "location = /i { alias /srv/i/; }"),
        (
            "location /i { auth_request off; proxy_pass http://b/; }",
            "location /i { auth_request off; proxy_pass http://b; }",
        ),
    ],
    "lost-headers": [
        (
            "proxy_set_header X-User $who;" + GATE % "" + PROTECTED % "proxy_set_header Host $host;",
            "proxy_set_header X-User $who;"
            + GATE % ""
            + PROTECTED % "proxy_set_header Host $host; proxy_set_header x-user $who;",
        ),
    ],
    "spoofable-identity": [
        (
            GATE % ""
            + PROTECTED % "auth_request_set $u $upstream_http_u; proxy_set_header X-User $u;"
            + "location /b/ { auth_request off; proxy_pass http://127.0.0.1:3000; }",
            GATE % ""
            + PROTECTED % "auth_request_set $u $upstream_http_u; proxy_set_header X-User $u;"
            + 'location /b/ { auth_request off; proxy_set_header x-user ""; proxy_pass http://127.0.0.1:3000; }',
        ),
    ],
    "open-upgrade": [
        (
            GATE % "" + PROTECTED % "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;",
            GATE % "" + PROTECTED % "proxy_set_header Upgrade websocket; proxy_set_header Connection upgrade;",
        ),
    ],
    "lenient-headers": [
        ("!underscores_in_headers on;\n" + GATE % "" + PROTECTED % "", GATE % "" + PROTECTED % ""),
        ("!ignore_invalid_headers off;\n" + GATE % "" + PROTECTED % "", "!ignore_invalid_headers off;\n"),
    ],
    "unmerged-slashes": [("merge_slashes off;" + GATE % "" + PROTECTED % "", GATE % "" + PROTECTED % "")],
    "open-auth-location": [
        (
            "error_page 401 =200 /fine; location = /auth { internal; if ($http_a) { return 401; } return 204; }"
            + PROTECTED % "",
            "error_page 403 =200 /fine; location = /auth { internal; if ($http_a) { return 401; } return 204; }"
            + PROTECTED % "",
        ),
        (
            "!error_page 502 =200 /fine;\n" + GATE % "" + PROTECTED % "",
            "!error_page 502 =200 /fine;\n" + GATE % "error_page 599 /none;" + PROTECTED % "",
        ),
        (
            "error_page 401 = /login; proxy_intercept_errors on;" + GATE % "" + PROTECTED % "",
            "error_page 401 = /login; proxy_intercept_errors on;"
            + GATE % "proxy_intercept_errors off;"
            + PROTECTED % "",
        ),
        (
            "error_page 503 = @a; location @a { return 204; }" + GATE % "" + PROTECTED % "",
            "error_page 503 @a; location @a { return 204; }" + GATE % "" + PROTECTED % "",
        ),
        (
            GATE % "error_page 500 =204 /a;" + PROTECTED % "",
            GATE % "error_page 500 =403 /a;" + PROTECTED % "",
        ),
    ],
    "auth-location-public": [
        ((GATE % "" + PROTECTED % "").replace("internal;", ""), GATE % "" + PROTECTED % ""),
    ],
    "auth-location-body": [
        ((GATE % "" + PROTECTED % "").replace("proxy_pass_request_body off;", ""), GATE % "" + PROTECTED % ""),
        (
            (GATE % "" + PROTECTED % "").replace('proxy_set_header Content-Length "";', ""),
            GATE % "" + PROTECTED % "",
        ),
    ],
    "auth-cache-key": [
        (
            GATE % "proxy_cache z;" + PROTECTED % "",
            GATE % 'proxy_cache z; proxy_cache_key "$http_authorization";' + PROTECTED % "",
        ),
        (
            "proxy_cache_key $uri;" + GATE % "proxy_cache z;" + PROTECTED % "",
            "proxy_cache_key $cookie_session;" + GATE % "proxy_cache z;" + PROTECTED % "",
        ),
    ],
    "auth-cache-refusals": [
        (
            "!proxy_cache_valid any 1m;\n"
            + GATE % "proxy_cache z; proxy_cache_key $http_cookie;"
            + PROTECTED % "",
            "!proxy_cache_valid any 1m;\n"
            + GATE % "proxy_cache z; proxy_cache_key $http_cookie; proxy_cache_valid 200 1m;"
            + PROTECTED % "",
        ),
    ],
    "auth-cache-stale": [
        (
            "proxy_cache_use_stale error;"
            + GATE % "proxy_cache z; proxy_cache_key $http_cookie;"
            + PROTECTED % "",
            "proxy_cache_use_stale error;"
            + GATE % "proxy_cache z; proxy_cache_key $http_cookie; proxy_cache_use_stale off;"
            + PROTECTED % "",
        ),
        (
            "!open_file_cache max=9;\n" + GATE % "proxy_cache z; proxy_cache_key $http_cookie;" + PROTECTED % "",
            "!open_file_cache max=9;\n" + GATE % "" + PROTECTED % "",
        ),
        (
            "!open_file_cache max=9;\n" + GATE % "proxy_cache z; proxy_cache_key $http_cookie;" + PROTECTED % "",
            "!open_file_cache max=9;\n"
            + GATE % "proxy_cache z; proxy_cache_key $http_cookie; open_file_cache max=99;"
            + PROTECTED % "",
        ),
    ],
}


def rules_that_speak(directory: Path, text: str) -> set[str]:
    http = "\n".join(line[1:] for line in text.splitlines() if line.startswith("!"))
    server = "\n".join(line for line in text.splitlines() if not line.startswith("!"))
    file = directory / "nginx.conf"
    file.write_text(f"events {{}}\nhttp {{\n{http}\nserver {{\n{server}\n}}\n}}\n")
    return {finding.rule for finding in lint(read_file(file))}


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [(rule, *pair) for rule, pairs in CASES.items() for pair in pairs],
    ids=[f"{rule}-{number}" for rule, pairs in CASES.items() for number, _ in enumerate(pairs)],
)
def test_it_speaks_of_the_one_and_not_of_the_other(tmp_path: Path, rule: str, bad: str, good: str) -> None:
    assert rule in rules_that_speak(tmp_path, bad)
    assert rule not in rules_that_speak(tmp_path, good)


def test_every_rule_has_its_cases() -> None:
    assert {rule.__name__.replace("_", "-") for rule in RULES} == CASES.keys()


def test_thousands_of_locations_are_looked_at_in_seconds(tmp_path: Path) -> None:
    def seconds(locations: int) -> float:
        places = "".join(f"location /{n}/ {{ proxy_pass http://b; }}\n" for n in range(locations))
        (tmp_path / "nginx.conf").write_text(f"http {{ server {{ auth_request /auth;\n{GATE % ''}{places} }} }}")
        tree = read_file(tmp_path / "nginx.conf")
        start = time.process_time()
        assert lint(tree) == []
        return time.process_time() - start

    assert seconds(2000) < 40 * max(seconds(200), 0.005)  # ten times the work; a hundred if each asks all


def test_a_finding_names_the_file_that_holds_the_line(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { include sites/*.conf; }\n")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "one.conf").write_text("server {\n  location / {\n    proxy_pass http://b;\n  }\n}\n")
    (found,) = lint(read_file(tmp_path / "nginx.conf"))
    assert (found.file, found.line, found.level) == (f"{tmp_path}/sites/one.conf", 3, "note")


def test_a_way_in_for_some_methods_is_named_by_its_line(tmp_path: Path) -> None:
    location = "location / {\n deny all; proxy_pass http://b;\n limit_except GET PUT { allow all; } }"
    (tmp_path / "nginx.conf").write_text(f"http {{ server {{ {location} }} }}")
    (found,) = lint(read_file(tmp_path / "nginx.conf"))
    assert found.line == 3
    assert (
        found.message == "nothing protects `location /` for methods other than GET, PUT: everyone reaches http://b"
    )


def test_a_dump_is_read_with_its_own_lines_and_includes() -> None:
    dump = (
        "# configuration file /etc/nginx/nginx.conf:\nevents {}\nhttp {\n  include conf.d/*.conf;\n}\n\n"
        "# configuration file /etc/nginx/conf.d/site.conf:\n"
        "server {\n  location /i {\n    alias /srv/i/;\n  }\n}\n\n"
    )
    (found,) = lint(read_dump(dump))
    assert (found.file, found.line, found.rule) == ("/etc/nginx/conf.d/site.conf", 3, "off-by-slash")


def test_a_pattern_in_a_dump_ends_at_a_slash() -> None:
    """A snippet in a directory below is for the location that includes it, not for the whole http block."""
    dump = (
        "# configuration file /etc/nginx/nginx.conf:\nevents {}\nhttp {\n  include conf.d/*.conf;\n}\n\n"
        "# configuration file /etc/nginx/conf.d/site.conf:\n"
        "server {\n location /a/ { include conf.d/snippets/auth.conf; proxy_pass http://b; }\n"
        " location /b/ { proxy_pass http://b; }\n}\n\n"
        "# configuration file /etc/nginx/conf.d/snippets/auth.conf:\nauth_request /auth;\n\n"
    )
    (found,) = lint(read_dump(dump))
    assert (found.file, found.line, found.rule) == ("/etc/nginx/conf.d/site.conf", 3, "unprotected")


def test_a_dump_is_known_with_other_line_ends_and_behind_nginxs_messages() -> None:
    dump = "# configuration file /n.conf:\r\nhttp { server {\r\n location / { proxy_pass http://b; } } }\r\n"
    assert [found.line for found in lint(read_dump(dump))] == [2]
    assert is_dump(dump)
    assert is_dump("nginx: configuration file /n.conf test is successful\n" + dump)
    assert not is_dump("# my nginx.conf\n" + dump)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http {", "nginx.conf:1: unexpected end of file"),
        ("http { } }", "nginx.conf:1: unexpected"),
        ("http { include gone.conf; }", "gone.conf cannot be read: No such file"),
        ("include nginx.conf;", "does it include itself?"),
        ("# About this\n\nSome `text` for [people]", "nginx.conf:1: this is not the grammar of an nginx.conf"),
        ("\x7fELF\x02\x01\0\0", "nginx.conf is a binary file: expected an nginx.conf, or what `nginx -T` prints"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    with pytest.raises(LintError, match=said):
        read_file(file)


def test_what_is_no_dump_is_said() -> None:
    with pytest.raises(LintError, match="this is not what `nginx -T` prints"):
        read_dump("http {}")
