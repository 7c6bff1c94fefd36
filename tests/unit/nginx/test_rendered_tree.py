"""The rendered configuration as a tree: what must hold for every location, whatever gateway.yaml says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crossplane  # type: ignore[import-untyped]  # it ships no types
import pytest

from jwtgate.config import load_text
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
)

EVERYTHING = """
version: 1
listen: 127.0.0.1:8000
trusted_proxies: [10.0.0.0/8]
issuers:
  main: {issuer: "https://issuer.example", jwks: "https://issuer.example/jwks", audience: a, algorithms: [ES256]}
policies: {caller: {issuer: main}, other: {issuer: main, bare_token: true}}
upstreams: {service: "http://127.0.0.1:3000", secure: "https://secure.example"}
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
  - {host: other.example, path: /, upstream: service, policy: other}
"""

SMALLEST = """
version: 1
listen: 127.0.0.1:8000
upstreams: {service: "http://127.0.0.1:3000"}
routes: [{path: /, upstream: service, public: true}]
"""


def parsed(text: str, directory: Path) -> list[Directive]:
    """The rendered configuration of a gateway.yaml."""
    file = directory / "nginx.conf"
    file.write_text(render(load_text(text, str(directory / "gateway.yaml"), {}, cpu_count=2).plan, SITE))
    result = crossplane.parse(str(file), check_ctx=True, check_args=True)
    assert result["status"] == "ok", result["errors"]
    tree: list[Directive] = result["config"][0]["parsed"]
    return tree


@pytest.fixture(params=[EVERYTHING, SMALLEST], ids=["everything", "smallest"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> list[Directive]:
    """Rendered configurations, parsed."""
    return parsed(request.param, tmp_path)


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
        if each["directive"] == "server" and "block" in each and not one(each, "listen")[0].startswith("unix:")
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


def is_own(location: Directive) -> bool:
    """Whether it is the gateway's own."""
    return path_of(location).startswith("/_jwtgate/")


def test_a_route_asks_for_a_token_unless_it_is_public(tree: list[Directive]) -> None:
    proxied = [each for each in locations(tree) if every(each, "proxy_pass") and not is_auth(each)]
    assert proxied
    for location in proxied:
        public = path_of(location) in ("/public/", "/keys/") or not auths(tree)
        assert bool(every(location, "auth_request")) is not public, path_of(location)


def auths(tree: list[Directive]) -> list[Directive]:
    """The locations that ask a validator."""
    return [each for each in locations(tree) if is_auth(each)]


def test_what_a_route_asks_exists_in_its_own_server(tree: list[Directive]) -> None:
    for server in servers(tree):
        own = [each for each in server["block"] if each["directive"] == "location"]
        asked = {one(each, "auth_request")[0] for each in own if every(each, "auth_request") and not is_auth(each)}
        assert asked <= {path_of(each) for each in own if is_auth(each)}


def test_a_location_that_asks_for_a_token_never_answers_by_itself(tree: list[Directive]) -> None:
    """What answers in the rewrite phase is never asked for a token: 200 without one."""
    for location in locations(tree):
        if not every(location, "auth_request") or is_auth(location):
            continue
        assert len(every(location, "proxy_pass")) == 1
        assert not every(location, "return")
        assert not every(location, "rewrite")
        assert not every(location, "try_files")
        for condition in (each for each in location["block"] if each["directive"] == "if"):
            assert condition["args"] == ["$jwtgate_path_ambiguous"]
            assert [(each["directive"], each["args"]) for each in condition["block"]] == [("return", ["400"])]


# What an auth location must say itself, since a surrounding configuration could say otherwise.
RESET = {
    "internal": [],
    "auth_request": ["off"],
    "recursive_error_pages": ["off"],
    "proxy_intercept_errors": ["off"],
    "client_max_body_size": ["0"],
    "open_file_cache": ["off"],
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
        assert every(location, "error_page") == [["599", "/_jwtgate/none"]]
        headers = dict(every(location, "proxy_set_header"))
        assert headers["Content-Length"] == ""
        assert headers["Authorization"] == "$http_authorization"
        assert set(headers) == {"Content-Length", "Connection", "Host", "Authorization"}
        assert "X-Accel-Redirect" in one(location, "proxy_ignore_headers")
        if one(location, "proxy_cache") != ["off"]:
            assert RESET_WHEN_CACHED.items() <= said.items()
            key = one(location, "proxy_cache_key")[0]
            policy = path_of(location).removeprefix("/_jwtgate/auth/")
            assert re.split(r"\\n|\n", key) == [SITE.generation, policy, "$http_authorization"]


def test_the_gateways_own_locations_are_internal_and_answer_fixed_statuses(tree: list[Directive]) -> None:
    for location in locations(tree):
        if not is_own(location):
            continue
        assert every(location, "internal") == [[]], path_of(location)
        if not is_auth(location):
            (answer,) = every(location, "return")
            assert 400 <= int(answer[0]) <= 599
            assert not every(location, "proxy_pass")


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
                assert not every(location, "proxy_set_header")  # one of its own would replace all of them
    if len(servers(tree)) > 1:
        assert all("x-user" in str(every(server, "proxy_set_header")).lower() for server in servers(tree))


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
