"""The rendered configuration as a tree: what must hold for every location, whatever gateway.yaml says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crossplane  # type: ignore[import-untyped]  # it ships no types
import pytest

from jwtgate.config import load_text
from jwtgate.lint import lint, read_file
from jwtgate.nginx import Site, render

if TYPE_CHECKING:
    from collections.abc import Iterator

Directive = dict[str, Any]

SITE = Site(
    run_dir=Path("/run/jwtgate"),
    cache_dir=Path("/dev/shm/jwtgate"),  # noqa: S108 - nothing is written there
    nginx_version=(1, 22, 1),
    workers=2,
    generation="0123456789abcdef",
    epoch="0123456789abcdef",
)

EVERYTHING = """
version: 1
listen:
  - {address: 127.0.0.1:8080, redirect_to_https: true}
  - {address: 127.0.0.1:8443, tls: {certificate: /etc/hosts, key: /etc/hosts}}
hosts: {third.example: {tls: {certificate: /etc/hosts, key: /etc/hosts}}}
traceparent: generate
trusted_proxies: [10.0.0.0/8]
rate_limits: {per_client: {by: address, rate: 10/s}, per_user: {by: subject, rate: 300/m, burst: 20}}
issuers:
  main: {issuer: "https://issuer.example", jwks: "https://issuer.example/jwks", audience: a, algorithms: [ES256]}
policies:
  caller: {issuer: main}
  other: {issuer: main, bare_token: true}
  inputs: {issuer: main, require: {cel: "request.path + request.headers['x-tenant'] + request.host != ''"}}
  methods: {issuer: main, require: {methods: {GET: true}}, token_from: [authorization, {cookie: session}]}
  sources: {issuer: main, optional: true, token_from: [{header: X-Token}, {unsafe_query_token: access_token}]}
upstreams:
  service: http://127.0.0.1:3000
  secure: https://secure.example
  several: [http://one.example, http://two.example]
routes:
  - {path: /, upstream: service, policy: caller}
  - {path: /exact, upstream: service, policy: caller, identity: {X-User: sub}}
  - {path: /strip/, upstream: secure, policy: other, strip_prefix: true, staleness: 0}
  - {path: /socket/, upstream: service, policy: caller, websocket: true}
  - {path: /events/, upstream: service, policy: caller, sse: true, redirect_slash: true}
  - {path: /encoded/, upstream: service, policy: caller, allow_encoded_slashes: true}
  - {path: /own/, upstream: service, policy: caller, denials: {token_missing: {status: 418, body: no}}}
  - {path: /public/, upstream: service, public: true}
  - {path: /keys/, upstream: service, public: true, cache_jwks: true}
  - {path: /limited/, upstream: service, public: true, rate_limit: per_client}
  - {path: /user/, upstream: several, policy: caller, rate_limit: per_user, strip_prefix: true}
  - {path: /s.S/, upstream: service, policy: caller, grpc: true, rate_limit: per_user, identity: {X-User: sub}}
  - {path: /t.T/, upstream: secure, policy: caller, grpc: true}
  - {path: /inputs/, upstream: service, policy: inputs, cors: {origins: "https://app.example"}}
  - {path: /methods/, upstream: several, policy: methods, strip_token: true, rate_limit: per_user, cors: pass}
  - {path: /sources/, upstream: secure, policy: sources, strip_token: true, strip_prefix: true}
  - {path: /u.U/, upstream: secure, policy: inputs, grpc: true}
  - {host: other.example, path: /, upstream: service, policy: other}
"""
PUBLIC = ("/public/", "/keys/", "/limited/")

SMALLEST = """
version: 1
listen: 127.0.0.1:8000
upstreams: {service: "http://127.0.0.1:3000"}
routes: [{path: /, upstream: service, public: true}]
"""


def parsed(text: str, directory: Path, site: Site = SITE) -> list[Directive]:
    """The rendered configuration of a gateway.yaml."""
    file = directory / "nginx.conf"
    file.write_text(render(load_text(text, str(directory / "gateway.yaml"), {}, cpu_count=2).plan, site))
    result = crossplane.parse(str(file), check_ctx=True, check_args=True)
    assert result["status"] == "ok", result["errors"]
    tree: list[Directive] = result["config"][0]["parsed"]
    return tree


@pytest.fixture(params=[(1, 22, 1), (1, 31, 3)], ids=["1.22", "1.31"])
def site(request: pytest.FixtureRequest) -> Site:
    """A site with the oldest NGINX that we know, and one with a new one."""
    return replace(SITE, nginx_version=request.param)


@pytest.fixture(params=[EVERYTHING, SMALLEST], ids=["everything", "smallest"])
def tree(request: pytest.FixtureRequest, tmp_path: Path, site: Site) -> list[Directive]:
    """Rendered configurations, parsed."""
    return parsed(request.param, tmp_path, site)


def walk(block: list[Directive]) -> Iterator[Directive]:
    """Every directive of a tree."""
    for directive in block:
        yield directive
        yield from walk(directive.get("block", []))


def servers(tree: list[Directive]) -> list[Directive]:
    """The server blocks that clients reach."""
    return [
        each
        for each in walk(tree)
        if each["directive"] == "server"
        and "block" in each
        and not one(each, "listen")[0].startswith("unix:")
        and not every(each, "return")
    ]


def locations(tree: list[Directive]) -> list[Directive]:
    """Their locations."""
    return [each for server in servers(tree) for each in server["block"] if each["directive"] == "location"]


def every(block: Directive, name: str) -> list[list[str]]:
    """The arguments of each directive of that name directly in a block."""
    return [each["args"] for each in block["block"] if each["directive"] == name]


def one(block: Directive, name: str) -> list[str]:
    """The arguments of the first directive of that name directly in a block; none when it is not there."""
    return next(iter(every(block, name)), [])


def path_of(location: Directive) -> str:
    """The path of a location."""
    path: str = location["args"][-1]
    return path


def is_auth(location: Directive) -> bool:
    """Whether it asks a validator."""
    return path_of(location).startswith("/_jwtgate/auth/")


def passes(location: Directive) -> list[list[str]]:
    """Where a location passes requests on."""
    return [*every(location, "proxy_pass"), *every(location, "grpc_pass")]


def is_named(location: Directive) -> bool:
    """Whether clients cannot ask for it."""
    return path_of(location).startswith("@")


def is_own(location: Directive) -> bool:
    """Whether it is the gateway's own."""
    return path_of(location).startswith("/_jwtgate/")


def test_a_route_asks_for_a_token_unless_it_is_public(tree: list[Directive]) -> None:
    routes = [each for each in locations(tree) if every(each, "set") and not is_own(each) and not is_named(each)]
    assert routes
    for location in routes:
        public = path_of(location) in PUBLIC or not auths(tree)
        assert (every(location, "auth_request") == [["off"]]) is public, path_of(location)


def test_a_named_location_is_reached_from_a_route_that_asks_for_a_token_and_from_nowhere_else(
    tree: list[Directive],
) -> None:
    for server in servers(tree):
        own = [each for each in server["block"] if each["directive"] == "location"]
        named = {path_of(each): each for each in own if is_named(each)}
        asking = {
            one(each, "try_files")[-1]
            for each in own
            if every(each, "try_files") and one(each, "auth_request") not in ([], ["off"])
        }
        leading = [each for each in walk(server["block"]) if any(str(arg).startswith("@") for arg in each["args"])]
        assert {each["directive"] for each in leading} <= {"location", "try_files"}
        assert named.keys() == asking
        for location in named.values():
            assert one(location, "auth_request") == ["off"]
            assert one(location, "limit_req")
            assert len(passes(location)) == 1


def auths(tree: list[Directive]) -> list[Directive]:
    """The locations that ask a validator."""
    return [each for each in locations(tree) if is_auth(each)]


def test_what_a_route_asks_exists_in_its_own_server(tree: list[Directive]) -> None:
    for server in servers(tree):
        own = [each for each in server["block"] if each["directive"] == "location"]
        asked = {one(each, "auth_request")[0] for each in own if every(each, "auth_request") and not is_auth(each)}
        assert asked - {"off"} <= {path_of(each) for each in own if is_auth(each)}


def test_a_location_that_asks_for_a_token_never_answers_by_itself(tree: list[Directive]) -> None:
    """What answers in the rewrite phase is never asked for a token: 200 without one."""
    for location in locations(tree):
        if not every(location, "auth_request") or is_auth(location):
            continue
        if is_named(location):
            continue
        if every(location, "try_files"):
            assert not passes(location)
            assert one(location, "root") == ["/dev/null"]
            assert one(location, "try_files")[0] == "/none"
        else:
            assert len(passes(location)) == 1
        assert not every(location, "return")
        assert all(rewrite[-2:] == ["$1", "break"] for rewrite in every(location, "rewrite"))
        for condition in (each for each in location["block"] if each["directive"] == "if"):
            (then,) = ((each["directive"], each["args"]) for each in condition["block"])
            if condition["args"][0].startswith("$jwtgate_preflight_"):
                number = condition["args"][0].rpartition("_")[2]
                assert then == ("rewrite", ["^", f"/_jwtgate/preflight/{number}", "last"])
            else:
                assert condition["args"] in REFUSED
                assert then == ("return", ["400"])


REFUSED = (["$jwtgate_path_ambiguous"], ["$jwtgate_path_unsafe"], ["$jwtgate_log_path", "!=", "$uri"])


def test_an_auth_location_answers_by_itself_for_preflights_alone(tree: list[Directive]) -> None:
    for location in auths(tree):
        assert not every(location, "return")
        for condition in (each for each in location["block"] if each["directive"] == "if"):
            assert condition["args"] == ["$jwtgate_passes_preflight"]
            assert [(each["directive"], each["args"]) for each in condition["block"]] == [("return", ["204"])]
    for location in locations(tree):
        if path_of(location) != "/methods/":
            assert not any(name == "$jwtgate_passes_preflight" for name, *_ in every(location, "set"))
    maps = {each["args"][1]: each for each in walk(tree) if each["directive"] == "map"}
    if "$jwtgate_preflight" in maps:
        preflight = maps["$jwtgate_preflight"]
        assert preflight["args"][0].split()[0] == "$request_method"
        assert [(each["directive"], each["args"]) for each in preflight["block"]] == [
            ("default", [""]),
            ("~^OPTIONS [!-~]+ [!-~]+$", ["1"]),
        ]


# What an auth location must say itself, since a surrounding configuration could say otherwise.
RESET = {
    "internal": [],
    "auth_request": ["off"],
    "recursive_error_pages": ["off"],
    "proxy_intercept_errors": ["off"],
    "client_max_body_size": ["0"],
    "open_file_cache_errors": ["off"],
    "proxy_pass_request_body": ["off"],
    "proxy_pass_request_headers": ["off"],
    "proxy_http_version": ["1.1"],
    "proxy_next_upstream": ["error", "timeout"],
}
RESET_WHEN_CACHED = {
    "proxy_cache_lock": ["off"],
    "proxy_cache_use_stale": ["off"],
    "proxy_cache_background_update": ["off"],
    "proxy_cache_bypass": ["0"],
    "proxy_no_cache": ["0"],
    "proxy_cache_methods": ["GET", "HEAD"],
    "proxy_cache_valid": ["599", "0"],
    "proxy_ignore_headers": ["X-Accel-Redirect", "Cache-Control", "Expires", "Vary", "Set-Cookie"],
}


def test_an_auth_location_inherits_nothing_that_could_open_it(tree: list[Directive]) -> None:
    for location in auths(tree):
        said = {each["directive"]: each["args"] for each in location["block"]}
        assert RESET.items() <= said.items()
        assert [name for name, _ in (each.split("=") for each in said["open_file_cache"])] == ["max", "inactive"]
        assert every(location, "error_page") == [["599", "/_jwtgate/none"]]
        headers = every(location, "proxy_set_header")
        assert headers[:3] == [["Content-Length", ""], ["Connection", ""], ["Host", "validator"]]
        names = [name for name, _ in headers[3:]]
        assert all(name == "Authorization" or name.startswith("X-Jwtgate-") for name in names)
        # Whatever the validator gets of the request stands in the key, on a line of its own.
        values = [value for _, value in headers[3:]]
        assert values
        assert all(re.fullmatch(r"\$[a-z0-9_]+", value) for value in values)
        assert "X-Accel-Redirect" in one(location, "proxy_ignore_headers")
        if one(location, "proxy_cache") != ["off"]:
            assert RESET_WHEN_CACHED.items() <= said.items()
            key = one(location, "proxy_cache_key")[0]
            policy = path_of(location).removeprefix("/_jwtgate/auth/")
            assert re.split(r"\\n|\n", key) == [SITE.epoch, policy, *values]


def test_the_gateways_own_locations_are_internal_and_answer_fixed_statuses(tree: list[Directive]) -> None:
    for location in locations(tree):
        if not is_own(location):
            continue
        assert every(location, "internal") == [[]], path_of(location)
        if not is_auth(location):
            (answer,) = every(location, "return")
            trailers = {name: value for name, value, _always in every(location, "add_trailer")}
            if path_of(location).startswith("/_jwtgate/preflight/"):
                assert answer == ["204"]
            elif trailers:  # a denial to gRPC clients, whose status is in the trailers
                assert answer == ["200", ""]
                assert int(trailers["grpc-status"]) in (7, 13, 14, 16)
            else:
                assert 400 <= int(answer[0]) <= 599
            assert not passes(location)


def test_every_denial_leads_to_a_location_of_its_server(tree: list[Directive]) -> None:
    (targets,) = [
        each for each in walk(tree) if each["directive"] == "map" and each["args"][1] == "$jwtgate_answer"
    ]
    named = {each["args"][-1] for each in targets["block"]}
    for server in servers(tree):
        own = {path_of(each) for each in server["block"] if each["directive"] == "location"}
        assert named <= own
        for page in every(server, "error_page"):
            assert page[-2] == "="
            assert page[-1] == "$jwtgate_answer" or page[-1] in own


def test_every_server_sets_or_clears_what_services_believe(tree: list[Directive]) -> None:
    for server in servers(tree):
        names = {name.lower() for name, _ in every(server, "proxy_set_header")}
        assert {"host", "connection", "x-forwarded-for", "x-real-ip", "forwarded", "x-original-uri"} <= names
        assert one(server, "proxy_intercept_errors") == ["off"]
        assert "X-Accel-Redirect" in one(server, "proxy_ignore_headers")
        for location in server["block"]:
            if location["directive"] == "location" and not is_auth(location):
                # One of its own replaces all of the server's, so then it has them all.
                for kind in ("proxy_set_header", "grpc_set_header"):
                    own = every(location, kind)
                    assert not own or own[: len(every(server, kind))] == every(server, kind)
    if len(servers(tree)) > 1:
        assert all("x-user" in str(every(server, "proxy_set_header")).lower() for server in servers(tree))


def test_a_grpc_service_is_told_what_others_are(tree: list[Directive]) -> None:
    """But for what belongs to a connection of HTTP/1.1."""
    for server in servers(tree):
        if any(every(each, "grpc_pass") for each in server["block"] if each["directive"] == "location"):
            told = dict(every(server, "proxy_set_header"))
            assert dict(every(server, "grpc_set_header")) == {
                name: value for name, value in told.items() if name not in ("Connection", "Upgrade")
            }
            assert one(server, "grpc_intercept_errors") == ["off"]
            assert one(server, "grpc_ignore_headers") == ["X-Accel-Redirect"]


def test_what_redirects_does_nothing_else(tree: list[Directive]) -> None:
    blocks = [each for each in walk(tree) if each["directive"] == "server" and "block" in each]
    redirecting = [each for each in blocks if every(each, "return")]
    for server in redirecting:
        assert {each["directive"] for each in server["block"]} == {"listen", "server_name", "return"}
        assert one(server, "return") == ["308", "https://$host:8443$request_uri"]


def test_a_name_never_keeps_nginx_from_starting(tree: list[Directive], site: Site) -> None:
    """NGINX resolves what stands in an upstream block when it starts, unless it says `resolve`."""
    for upstream in (each for each in walk(tree) if each["directive"] == "upstream"):
        for server in every(upstream, "server"):
            assert "example" not in server[0] or "resolve" in server
            assert site.features.upstream_resolve or "resolve" not in server


def test_workers_that_die_are_not_remembered(tree: list[Directive]) -> None:
    (validators,) = [
        each for each in walk(tree) if each["directive"] == "upstream" and each["args"] == ["jwtgate_validators"]
    ]
    assert all(args[0].startswith("unix:") and args[1:] == ["max_fails=0"] for args in every(validators, "server"))


def test_what_is_forced_is_forced(tree: list[Directive]) -> None:
    (http,) = [each for each in tree if each["directive"] == "http"]
    assert one(http, "underscores_in_headers") == ["off"]
    assert one(http, "ignore_invalid_headers") == ["on"]
    assert all(one(server, "merge_slashes") == ["on"] for server in servers(tree))
    assert [each["args"] for each in tree if each["directive"] == "error_log"] == [["stderr", "warn"]]


def test_lint_finds_nothing_to_say(tmp_path: Path, site: Site) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(render(load_text(EVERYTHING, "gateway.yaml", {}, cpu_count=2).plan, site))
    assert [str(finding) for finding in lint(read_file(file))] == []
