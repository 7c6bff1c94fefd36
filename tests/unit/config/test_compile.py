from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from jwtgate.config import load, load_text
from jwtgate.errors import ConfigError
from jwtgate.keys import generate_signing_key
from jwtgate.keys.metadata import metadata_urls
from jwtgate.plan import (
    Discovery,
    InlineJwks,
    JwksFile,
    JwksUrl,
    Listener,
    RateLimit,
    SharedSecret,
    Template,
    Tls,
    UpstreamTls,
)
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from jwtgate.config import Loaded
    from jwtgate.plan import Issuer, KeySource, Plan, Policy, Route

HOSTS = Path("/etc/hosts")
SECRET = "a secret of thirty-two bytes, yes"
ENVIRON = {"SECRET": SECRET, "PORT": "9000", "BASE64_SECRET": "base64:" + "AAEC" * 11}

BASE = {
    "version": "1",
    "listen": "8000",
    "issuers": "{one: {issuer: one, jwks: https://one/k, audience: x, algorithms: [ES256]}}",
    "policies": "{p: {issuer: one}}",
    "upstreams": "{app: http://127.0.0.1:3000}",
    "routes": "[{path: /, upstream: app, policy: p}]",
}


def loaded(**sections: str) -> Loaded:
    text = "".join(f"{key}: {value}\n" for key, value in (BASE | sections).items())
    return load_text(text, "/etc/jwtgate/gateway.yaml", ENVIRON, cpu_count=3)


def plan(**sections: str) -> Plan:
    return loaded(**sections).plan


def route(settings: str, **sections: str) -> Route:
    return plan(routes=f"[{{path: /, upstream: app, {settings}}}]", **sections).routes[0]


def policy(settings: str, **sections: str) -> Policy:
    (only,) = plan(routes=f"[{{path: /, upstream: app, policy: p, {settings}}}]", **sections).policies.values()
    return only


def issuer(settings: str) -> Issuer:
    return plan(issuers=f"{{one: {{issuer: one, {settings}}}}}").issuers["one"]


KEYS = "jwks: https://one/k, audience: x, algorithms: [ES256]"


def test_the_defaults_are_written_out_in_the_plan() -> None:
    given = plan()
    assert given.listeners == (Listener("0.0.0.0:8000", None),)
    assert given.run_dir is None
    assert given.trusted_proxies == ()
    assert (given.realm, given.access_log, given.workers) == ("jwtgate", "/dev/stdout", 3)
    assert given.cache.max_size == 64 << 20
    assert given.signer is None
    assert [reason for reason, _ in given.answers] == list(Reason)
    one = given.issuers["one"]
    assert (one.leeway, one.max_token_bytes, one.types, one.required_claims, one.max_lifetime) == (
        30,
        8192,
        None,
        (),
        None,
    )
    only = given.routes[0]
    assert (only.host, only.path, only.match, only.upstream) == (None, "/", "prefix", "app")
    assert (only.max_body, only.connect_timeout, only.read_timeout, only.send_timeout) == (10 << 20, 5, 60, 60)
    assert [only.strip_prefix, only.redirect_slash, only.allow_encoded_slashes] == [False] * 3
    assert [only.websocket, only.sse, only.cache_jwks, only.answers] == [False, False, False, ()]
    decides = given.policies[only.policy or ""]
    assert (decides.name, decides.issuers, decides.bare_token, decides.staleness, decides.identity) == (
        "p",
        ("one",),
        False,
        10,
        (),
    )


def test_listen_is_8000_when_it_is_not_written() -> None:
    text = "".join(f"{key}: {value}\n" for key, value in BASE.items() if key != "listen")
    assert load_text(text, "g.yaml", {}).plan.listeners == (Listener("0.0.0.0:8000", None),)


@pytest.mark.parametrize(
    ("written", "addresses"),
    [
        ("${PORT}", ["0.0.0.0:9000"]),
        ("${NONE:-7000}", ["0.0.0.0:7000"]),
        ("127.0.0.1:${PORT}", ["127.0.0.1:9000"]),
        ("[8000, '[::1]:8000']", ["0.0.0.0:8000", "[::1]:8000"]),
        ("{address: 8000}", ["0.0.0.0:8000"]),
        ("[{address: '127.0.0.1:8000'}, 9000]", ["127.0.0.1:8000", "0.0.0.0:9000"]),
    ],
)
def test_listeners_have_a_short_and_a_long_form(written: str, addresses: list[str]) -> None:
    assert [listener.address for listener in plan(listen=written).listeners] == addresses


def test_tls_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    for name in ("gateway.crt", "gateway.key"):
        (tmp_path / name).write_text("pem")
    sections = BASE | {"listen": "[{address: 8443, tls: {certificate: gateway.crt, key: ./gateway.key}}]"}
    file = tmp_path / "gateway.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in sections.items()))
    tls = load(file, {}).plan.listeners[0].tls
    assert tls == Tls(tmp_path / "gateway.crt", tmp_path / "gateway.key")


def test_a_directory_is_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        plan(listen=f"{{address: 8443, tls: {{certificate: {tmp_path}, key: {tmp_path}}}}}")


@pytest.mark.parametrize(
    ("written", "log"),
    [
        ("stdout", "/dev/stdout"),
        ("off", None),
        ("false", None),
        ("log/access", "/etc/jwtgate/log/access"),
        ("/a", "/a"),
    ],
)
def test_the_access_log_is_a_path_or_none(written: str, log: str | None) -> None:
    assert plan(access_log=written).access_log == log


@pytest.mark.parametrize(
    ("written", "cpus", "workers"), [("auto", 8, 8), ("auto", 1, 2), ("1", 8, 1), ("5", 1, 5)]
)
def test_workers_follow_the_machine_unless_written(written: str, cpus: int, workers: int) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in (BASE | {"workers": written}).items())
    assert load_text(text, "g.yaml", {}, cpu_count=cpus).plan.workers == workers


def test_sections_of_single_values() -> None:
    given = plan(
        run_dir="run",
        trusted_proxies="[10.0.0.0/8, 192.0.2.1]",
        realm="my gate",
        cache="{max_size: 128m}",
        signer="{issuer: 'https://s.example', audience: [a, b], algorithm: ES512, listen: 3001, "
        "key_dir: keys, token_lifetime: 1h}",
    )
    assert given.run_dir == Path("/etc/jwtgate/run")
    assert given.trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32")
    assert given.realm == "my gate"
    assert given.cache.max_size == 128 << 20
    assert given.signer is not None
    assert (given.signer.issuer, given.signer.audience, given.signer.algorithms) == (
        "https://s.example",
        ("a", "b"),
        ("ES512",),
    )
    assert (given.signer.listen, given.signer.place.key_dir) == ("0.0.0.0:3001", Path("/etc/jwtgate/keys"))
    assert (given.signer.token_lifetime, given.signer.jwks_max_age) == (3600, 300)


def test_an_issuer_has_its_rules() -> None:
    given = issuer(
        "jwks: https://one/k, audience: [x, y], algorithms: [ES256, RS256], leeway: 1m, max_token_bytes: 16k, "
        "types: [AT+JWT, application/JWT, application/a/b], required_claims: [sub], max_lifetime: 2h"
    )
    assert given.keys == JwksUrl("https://one/k")
    assert given.audience == ("x", "y")
    assert given.algorithms == ("ES256", "RS256")
    assert (given.leeway, given.max_token_bytes, given.max_lifetime) == (60, 16384, 7200)
    # RFC 7515, section 4.1.9
    assert given.types == ("at+jwt", "jwt", "application/a/b")
    assert given.required_claims == ("sub",)


@pytest.mark.parametrize(
    ("variable", "secret"), [("SECRET", SECRET.encode()), ("BASE64_SECRET", bytes([0, 1, 2]) * 11)]
)
def test_a_secret_comes_from_the_environment(variable: str, secret: bytes) -> None:
    given = issuer(f"secret_env: {variable}, audience: x, algorithms: HS256")
    assert given.keys == SharedSecret(secret)
    assert str(secret) not in repr(given)


def test_keys_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": []}')
    given = issuer(f"jwks_file: {tmp_path}/keys.json, audience: x, algorithms: [ES256]")
    assert given.keys == JwksFile(tmp_path / "keys.json")


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (SECRET + "\n", SECRET.encode()),
        (SECRET, SECRET.encode()),
        ("base64:" + "AAEC" * 11 + "\r\n", bytes([0, 1, 2]) * 11),
    ],
)
def test_a_secret_comes_from_a_file(content: str, secret: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    file.chmod(0o440)
    assert issuer(f"secret_file: {file}, audience: x, algorithms: HS256").keys == SharedSecret(secret)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (SECRET, 0o604, "others can read or change it"),
        (SECRET, 0o602, "others can read or change it"),
        (SECRET, 0o660, "others can read or change it"),
        ("\n", 0o600, "is empty"),
        ("x" * 70_000, 0o600, "too large for a secret"),
        ("base64:hunter2hunter2hunter2hunter2hunter2!", 0o600, "does not hold base64"),
        ("hunter2", 0o600, "has 7 bytes"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused_without_a_word_of_it(
    content: str, mode: int, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        issuer(f"secret_file: {file}, audience: x, algorithms: HS256")
    assert "hunter2" not in str(caught.value)


def test_keys_can_stand_in_the_file_itself() -> None:
    jwk = generate_signing_key("ES256").public_jwk()
    given = issuer(f"keys: [{json.dumps(jwk)}], audience: x, algorithms: [ES256]")
    assert isinstance(given.keys, InlineJwks)
    assert json.loads(given.keys.jwks) == {"keys": [jwk]}


# The issuer of a template, what stands in gateway.yaml, and where the keys of tenant `b` are.
ENTRA = "https://login.example/{tenant}/v2.0"
FOR_B = "https://login.example/b/v2.0"


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("jwks: 'https://login.example/common/keys'", JwksUrl("https://login.example/common/keys")),
        ("jwks: 'https://login.example/{tenant}/keys'", JwksUrl("https://login.example/b/keys")),
        ("discovery: true", Discovery(FOR_B, metadata_urls(FOR_B))),
        (
            "discovery: 'https://login.example/{tenant}/metadata'",
            Discovery(FOR_B, ("https://login.example/b/metadata",)),
        ),
        (
            "discovery: 'https://login.example/common/metadata'",
            Discovery("https://login.example/{tenantid}/v2.0", ("https://login.example/common/metadata",)),
        ),
    ],
)
def test_a_template_is_an_issuer_for_each_tenant(written: str, keys: KeySource) -> None:
    given = plan(
        issuers=f"{{one: {{issuer: '{ENTRA}', tenants: [a, b], audience: x, algorithms: [RS256], {written}}}}}"
    )
    assert {name: issuer.issuer for name, issuer in given.issuers.items()} == {
        "one/a": "https://login.example/a/v2.0",
        "one/b": FOR_B,
    }
    assert given.issuers["one/b"].keys == keys
    assert {issuer.tenant_of for issuer in given.issuers.values()} == {Template("one", ENTRA)}
    (only,) = given.policies.values()
    assert only.issuers == ("one/a", "one/b")


@pytest.mark.parametrize(
    ("written", "servers", "tls", "keepalive"),
    [
        ("http://a", ["a:80"], False, 32),
        ("[http://a, http://b:3000]", ["a:80", "b:3000"], False, 32),
        ("[https://a]", ["a:443"], True, 32),
        ("{servers: [http://a], keepalive: 0}", ["a:80"], False, 0),
        ("[unix:/run/a.sock, http://a]", ["unix:/run/a.sock", "a:80"], False, 32),
    ],
)
def test_an_upstream_has_a_short_and_a_long_form(
    written: str, servers: list[str], tls: bool, keepalive: int
) -> None:
    given = plan(upstreams=f"{{app: {written}}}").upstreams["app"]
    assert [server.address for server in given.servers] == servers
    assert (given.tls is not None, given.keepalive) == (tls, keepalive)


def test_a_server_knows_whether_its_host_has_to_be_resolved() -> None:
    given = plan(upstreams="{app: [http://app, http://10.0.0.1, 'http://[::1]', unix:/run/app.sock]}").upstreams[
        "app"
    ]
    assert [server.is_name for server in given.servers] == [True, False, False, False]


@pytest.mark.parametrize(
    ("written", "tls"),
    [
        ("https://a", UpstreamTls("a")),
        ("{servers: [https://a, https://b], tls: {server_name: c}}", UpstreamTls("c")),
        ("{servers: [https://10.0.0.1], tls: {server_name: c}}", UpstreamTls("c")),
        ("{servers: [https://a], tls: {ca_file: /etc/hosts}}", UpstreamTls("a", ca_file=HOSTS)),
        (
            "{servers: [https://a], tls: {client_certificate: /etc/hosts}}",
            UpstreamTls("a", client_certificate=HOSTS, client_key=HOSTS),
        ),
        ("{servers: [https://a], tls: {insecure_skip_verify: true}}", UpstreamTls("a", verify=False)),
    ],
)
def test_what_a_service_must_prove_by_tls(written: str, tls: UpstreamTls) -> None:
    assert plan(upstreams=f"{{app: {written}}}").upstreams["app"].tls == tls


@pytest.mark.parametrize(
    ("written", "about"),
    [
        ("{servers: [https://a, https://b]}", "the certificates of all servers"),
        ("{servers: [https://a], tls: {insecure_skip_verify: true}}", "reads and changes everything"),
    ],
)
def test_an_operator_is_warned_of_what_tls_does_not_say(written: str, about: str) -> None:
    (warning,) = loaded(upstreams=f"{{app: {written}}}").warnings
    assert about in warning.message


@pytest.mark.parametrize(
    ("listener", "http2", "redirect_port"),
    [
        ("{address: 8000}", False, None),
        ("{address: 8000, http2: true}", True, None),
        ("{address: 8000, tls: {certificate: /etc/hosts, key: /etc/hosts}}", True, None),
        ("{address: 8000, tls: {certificate: /etc/hosts, key: /etc/hosts}, http2: false}", False, None),
        ("{address: 8000, redirect_to_https: 8443}", False, 8443),
        ("{address: 8000, redirect_to_https: true}", False, 9443),
    ],
)
def test_a_listener_speaks_http2_or_sends_to_https(listener: str, http2: bool, redirect_port: int | None) -> None:
    other = "{address: 9443, tls: {certificate: /etc/hosts, key: /etc/hosts}}"
    given = plan(listen=f"[{listener}, {other}]").listeners[0]
    assert (given.http2, given.redirect_port) == (http2, redirect_port)


@pytest.mark.parametrize(
    ("written", "servers"),
    [
        ("127.0.0.11", ("127.0.0.11",)),
        ("['127.0.0.1:5353', '::1', '[::1]:53']", ("127.0.0.1:5353", "[::1]", "[::1]:53")),
        ("{servers: 127.0.0.11, valid: 10s}", ("127.0.0.11",)),
    ],
)
def test_name_servers_are_written_as_nginx_reads_them(written: str, servers: tuple[str, ...]) -> None:
    given = plan(resolver=written).resolver
    assert given is not None
    assert given.servers == servers
    assert given.valid == (10 if "valid" in written else None)


def test_a_rate_limit_has_its_rate_as_its_burst_unless_it_says_otherwise() -> None:
    limits = "{a: {by: address, rate: 10/s}, b: {by: subject, rate: 300/m, burst: 20}}"
    assert plan(rate_limits=limits).rate_limits == {
        "a": RateLimit("a", "address", 10, "s", 10),
        "b": RateLimit("b", "subject", 300, "m", 20),
    }


def test_a_grpc_route_is_long_lived_and_its_stream_has_no_end() -> None:
    routes = "[{path: /s.S/, upstream: app, policy: p, grpc: true}, {path: /, upstream: app, policy: p}]"
    grpc, http = plan(listen="{address: 8000, http2: true}", routes=routes).routes
    assert (grpc.grpc, grpc.max_body, grpc.read_timeout) == (True, 0, 3600)
    assert (http.grpc, http.max_body, http.read_timeout) == (False, 10 * 1024**2, 60)


def test_a_route_without_a_slash_at_its_end_is_exact() -> None:
    given = plan(routes="[{path: /a, upstream: app, policy: p}, {path: /a/, upstream: app, policy: p}]")
    assert [(route.path, route.match) for route in given.routes] == [("/a", "exact"), ("/a/", "prefix")]


def test_routes_keep_the_order_of_the_file_and_hosts_are_lower_case() -> None:
    given = plan(
        routes="[{host: '*.B.example', path: /, upstream: app, public: true}, {path: /, upstream: app, policy: p}]"
    )
    assert [route.host for route in given.routes] == ["*.b.example", None]
    assert given.routes[0].policy is None


DEFAULTS = (
    "{staleness: 1m, bare_token: true, max_body: 1m, connect_timeout: 1s, read_timeout: 2s, send_timeout: 3s}"
)


def test_defaults_are_for_routes_that_do_not_say_otherwise() -> None:
    given = route("policy: p", defaults=DEFAULTS)
    assert (given.max_body, given.connect_timeout, given.read_timeout, given.send_timeout) == (1 << 20, 1, 2, 3)
    own = "policy: p, max_body: 0, connect_timeout: 4s, read_timeout: 5s, send_timeout: 6s"
    given = route(own, defaults=DEFAULTS)
    assert (given.max_body, given.connect_timeout, given.read_timeout, given.send_timeout) == (0, 4, 5, 6)
    assert (policy("", defaults=DEFAULTS).staleness, policy("", defaults=DEFAULTS).bare_token) == (60, True)
    assert policy("staleness: 0", defaults=DEFAULTS).staleness == 0
    assert policy("bare_token: false", defaults=DEFAULTS).bare_token is False


def test_a_policy_may_say_bare_token_for_its_routes() -> None:
    named = "{p: {issuer: one, bare_token: true}}"
    assert policy("", policies=named).bare_token is True
    assert policy("bare_token: false", policies=named).bare_token is False


@pytest.mark.parametrize("kind", ["websocket", "sse"])
def test_a_long_lived_connection_may_be_silent_for_an_hour(kind: str) -> None:
    assert route(f"policy: p, {kind}: true").read_timeout == 3600
    assert route(f"policy: p, {kind}: true", defaults=DEFAULTS).read_timeout == 3600
    assert route(f"policy: p, {kind}: true, read_timeout: 5s").read_timeout == 5


def test_routes_with_equal_needs_share_a_policy() -> None:
    given = plan(
        routes="""[
          {path: /a, upstream: app, policy: p, identity: {X-A: a, X-B: b}},
          {path: /b, upstream: app, policy: p, staleness: 10s, identity: {X-B: b, X-A: a}},
          {path: /c, upstream: app, policy: p, identity: {X-A: a}},
          {path: /d, upstream: app, policy: p, identity: {X-A: a, X-B: b}, staleness: 11}]"""
    )
    ids = [route.policy for route in given.routes]
    assert ids[0] == ids[1]
    assert len(set(ids)) == len(given.policies) == 3
    assert {policy.id for policy in given.policies.values()} == set(given.policies)


CHANGES = {
    "the staleness": {"defaults": "{staleness: 11s}"},
    "the form of the token": {"defaults": "{bare_token: true}"},
    "the issuer's iss": {"issuers": f"{{one: {{issuer: two, {KEYS}}}}}"},
    "the issuer's keys": {"issuers": f"{{one: {{issuer: one, {KEYS.replace('/k', '/l')}}}}}"},
    "the audience": {"issuers": f"{{one: {{issuer: one, {KEYS.replace('x', 'y')}}}}}"},
    "the algorithms": {"issuers": f"{{one: {{issuer: one, {KEYS.replace('ES256', 'ES384')}}}}}"},
    "the leeway": {"issuers": f"{{one: {{issuer: one, {KEYS}, leeway: 1s}}}}"},
    "the token's size": {"issuers": f"{{one: {{issuer: one, {KEYS}, max_token_bytes: 600}}}}"},
    "the types": {"issuers": f"{{one: {{issuer: one, {KEYS}, types: [jwt]}}}}"},
    "the claims": {"issuers": f"{{one: {{issuer: one, {KEYS}, required_claims: [sub]}}}}"},
    "the lifetime": {"issuers": f"{{one: {{issuer: one, {KEYS}, max_lifetime: 1h}}}}"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_id_of_a_policy_changes_with(change: str) -> None:
    (before,), (after,) = plan().policies, plan(**CHANGES[change]).policies
    assert before != after


def test_the_id_of_a_policy_does_not_change_with_what_it_does_not_require() -> None:
    same = plan(
        listen="9000", realm="other", upstreams="{app: http://b}", denials="{token_expired: {status: 403}}"
    )
    assert list(same.policies) == list(plan().policies)


def test_the_id_of_a_policy_is_its_name_and_a_digest_that_holds_no_secret() -> None:
    secret = "{one: {issuer: one, secret_env: SECRET, audience: x, algorithms: [HS256]}}"
    (first,) = plan(issuers=secret).policies
    name, _, digest = first.rpartition("-")
    assert name == "p"
    assert len(digest) == 8
    assert int(digest, 16) >= 0
    other = load_text(
        "".join(f"{key}: {value}\n" for key, value in (BASE | {"issuers": secret}).items()),
        "g.yaml",
        {"SECRET": SECRET[::-1]},
    )
    assert list(other.plan.policies) != [first]


def test_the_same_text_gives_an_equal_plan() -> None:
    assert plan() == plan()
    assert replace(plan(), realm="other") != plan()


def test_a_route_may_have_denials_of_its_own() -> None:
    given = plan(
        denials="{token_expired: {status: 403, json: {a: 1, b: false}}, default: {status: 500, body: no}}",
        routes="""[
          {path: /a, upstream: app, policy: p, denials: {token_missing: {status: 404}}},
          {path: /b, upstream: app, policy: p}]""",
    )
    own, shared = dict(given.routes[0].answers), dict(given.answers)
    assert list(own) == list(Reason)
    assert given.routes[1].answers == ()
    assert (own[Reason.TOKEN_MISSING].status, shared[Reason.TOKEN_MISSING].status) == (404, 500)
    assert own[Reason.TOKEN_EXPIRED] == shared[Reason.TOKEN_EXPIRED]
    assert shared[Reason.TOKEN_EXPIRED].body == '{"a": 1, "b": false}'
    assert shared[Reason.KEY_UNKNOWN].content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("written", "body"), [("null", "null"), ("[1, 2]", "[1, 2]"), ("'text'", '"text"')])
def test_any_json_can_be_an_answer(written: str, body: str) -> None:
    given = plan(denials=f"{{token_expired: {{json: {written}}}}}")
    assert dict(given.answers)[Reason.TOKEN_EXPIRED].body == body


WARNINGS = {
    "an unused policy": (
        {"policies": "{p: {issuer: one}, q: {issuer: one}}"},
        'policy "q" is used by no route',
    ),
    "an unused upstream": ({"upstreams": "{app: http://a, b: http://b}"}, 'upstream "b" is used by no route'),
    "an unused issuer": (
        {"issuers": f"{{one: {{issuer: one, {KEYS}}}, two: {{issuer: two, {KEYS}}}}}"},
        'issuer "two" is used by no policy',
    ),
    "keys over plain http": (
        {"issuers": f"{{one: {{issuer: one, insecure_http: true, {KEYS.replace('https', 'http')}}}}}"},
        "keys come over plain HTTP",
    ),
    "insecure_http without need": (
        {"issuers": f"{{one: {{issuer: one, insecure_http: true, {KEYS}}}}}"},
        'does not need "insecure_http"',
    ),
    "any audience": (
        {"issuers": "{one: {issuer: one, jwks: https://a/k, unsafe_any_audience: true, algorithms: [ES256]}}"},
        "issued for any other service",
    ),
    "every proxy trusted": ({"trusted_proxies": "['::/0']"}, "believes every client"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_plan_comes_with_a_warning_of(name: str) -> None:
    sections, words = WARNINGS[name]
    (warning,) = loaded(**sections).warnings
    assert words in warning.message
    assert warning.severity == "warning"
    assert warning.line > 1


def test_a_sound_configuration_has_no_warnings() -> None:
    assert loaded().warnings == ()


def test_what_is_not_used_is_not_in_the_plan() -> None:
    given = plan(
        issuers=f"{{one: {{issuer: one, {KEYS}}}, two: {{issuer: two, {KEYS}}}}}",
        policies="{p: {issuer: one}, q: {issuer: two}}",
        upstreams="{app: http://a, b: http://b}",
    )
    assert list(given.issuers) == ["one"]
    assert list(given.upstreams) == ["app"]
    assert [policy.name for policy in given.policies.values()] == ["p"]


def test_a_broken_entry_hides_no_other_mistake_and_its_name_stays_known() -> None:
    text = dedent("""\
        version: 1
        issuers:
          one: {issuer: one, algorithms: 5}
        policies:
          p: {issuer: one, nonsense: 1}
        upstreams:
          app: {servers: 5}
        routes:
          - {path: /, upstream: app, policy: p, public: 5}
          - {path: /a, upstream: app, policy: p}
          - {path: /a, upstream: app, policy: p}
          - {path: /b, upstream: nowhere, policy: p}
    """)
    with pytest.raises(ConfigError) as caught:
        load_text(text, "g.yaml", {})
    lines = [line.split(": ")[0] for line in str(caught.value).splitlines() if line.startswith("g.yaml:")]
    assert lines == ["g.yaml:3:34", "g.yaml:5:20", "g.yaml:7:18", "g.yaml:9:49", "g.yaml:11:12", "g.yaml:12:26"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"version: 1\na: \xff", "g.yaml:2:1: the file is not UTF-8")],
)
def test_a_file_that_cannot_be_read_is_a_problem(content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load(file, {})
