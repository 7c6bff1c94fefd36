"""`jwtgate test`: the examples pass, and what is wrong is told: in a verdict, in a gap, in the table itself."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from jwtgate.config import load
from jwtgate.errors import ConfigError
from jwtgate.plan import SIGNER_ALGORITHMS
from jwtgate.trial import Result, Table, junit, read_table, run
from support.gateway import jwtgate

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.test.yaml"))

GATEWAY = """
version: 1
listen: 8000
issuers:
  one: {issuer: https://one.example, jwks: https://one.example/jwks, audience: a, algorithms: [ES256]}
  two:
    {issuer: https://two.example, jwks: https://two.example/k, audience: b, algorithms: [RS384], types: [at+jwt]}
policies:
  editor: {issuers: [one, two], require: {roles: {any: [editor, admin]}}, identity: {X-User: sub}}
  choice: {issuer: one, require: {any: [{scopes: a}, {not: {claim: kind, equals: guest}}]}}
  methods: {issuer: one, require: {methods: {GET: true, POST: {scopes: write}}}}
  anonymous: {issuer: one, optional: true}
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /editor/, upstream: app, policy: editor}
  - {path: /choice/, upstream: app, policy: choice}
  - {path: /methods/, upstream: app, policy: methods}
  - {path: /anonymous/, upstream: app, policy: anonymous}
  - {path: /public/, upstream: app, public: true}
"""


def table(directory: Path, requests: str, *, gateway: str = GATEWAY) -> Table:
    """A table about that gateway."""
    (directory / "gateway.yaml").write_text(gateway)
    file = directory / "a.test.yaml"
    file.write_text(f"gateway: gateway.yaml\nrequests:\n{requests}")
    return read_table(file, {})


def results(directory: Path, requests: str, *, gateway: str = GATEWAY) -> tuple[list[Result], list[str]]:
    """What became of the requests, and the gaps."""
    read = table(directory, requests, gateway=gateway)
    plan = load(read.gateway, {}).plan
    found, coverage = run(plan, read.requests)
    return found, coverage.gaps(plan)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_as_it_says_and_leaves_nothing_untried(file: Path) -> None:
    done = jwtgate("test", str(file), "--complete")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "never" not in done.stdout


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize(
    ("request_line", "wrong"),
    [
        ("{route: /editor/, claims: {roles: [editor]}, expect: allow}", ""),
        ("{route: /editor/, claims: {roles: [editor]}, issuer: two, expect: allow}", ""),
        ("{route: /editor/, claims: {roles: [admin], iss: 'https://two.example', aud: b}, expect: allow}", ""),
        ("{route: /editor/, claims: {roles: [x]}, expect: allow}", "got role_missing at step requirements at"),
        ("{route: /editor/, claims: {roles: [editor]}, expect: role_missing}", "expected role_missing, got allow"),
        ("{route: /editor/, claims: {exp: null}, expect: claim_missing}", ""),
        ("{route: /editor/, claims: {}, issuer: two, header: {typ: JWT}, expect: type_mismatch}", ""),
        ("{route: /editor/, claims: {}, header: {alg: none}, expect: algorithm_not_allowed}", ""),
        ("{route: /editor/, claims: {}, header: {kid: other}, expect: key_unknown}", ""),
        ("{route: /editor/, claims: {}, issuer: three, expect: allow}", "unknown issuer three: expected one of"),
        ("{route: /editor/, claims: {x: .nan}, expect: allow}", "cannot be made: Out of range float"),
        ("{route: /editor/, token: a.b.c, expect: token_malformed}", ""),
        ("{route: /editor/, claims: {}, at: +6m, expect: role_missing}", ""),
        ("{route: /editor/, claims: {exp: 1767225600}, at: +31s, expect: token_expired}", ""),
        ("{route: /editor/, claims: {sub: ann, roles: editor}, expect: allow, identity: {X-User: ann}}", ""),
        ("{route: /editor/, claims: {sub: a, roles: editor}, expect: allow, identity: {X-User: b}}", "got 'a'"),
        ("{route: /methods/, method: POST, claims: {scope: write}, expect: allow}", ""),
        ("{route: /methods/, method: PUT, claims: {scope: write}, expect: requirement_failed}", ""),
        ("{route: /anonymous/, expect: allow}", ""),
        ("{route: /anonymous/, token: not.a.token, expect: token_malformed}", ""),
        ("{route: /public/, expect: allow}", ""),
        ("{route: /none, expect: no_route}", ""),
        ("{route: /none, expect: allow}", "expected allow, got no_route"),
    ],
)  # fmt: skip
def test_a_request_is_decided_as_the_gateway_would(tmp_path: Path, request_line: str, wrong: str) -> None:
    ((result,), _) = results(tmp_path, f"  - {request_line}\n")
    assert wrong in result.wrong if wrong else result.wrong == ""


@pytest.mark.parametrize("algorithm", [*SIGNER_ALGORITHMS, "HS256", "HS384", "HS512", "PS512", "ES256K"])
def test_every_algorithm_has_a_throw_away_key(tmp_path: Path, algorithm: str) -> None:
    secret = "correct horse battery staple, and then some more to be long enough for all"
    keys = "secret_env: S" if algorithm.startswith("HS") else "jwks: https://one.example/jwks"
    gateway = f"""
version: 1
issuers: {{one: {{issuer: https://one.example, {keys}, audience: a, algorithms: [{algorithm}]}}}}
policies: {{caller: {{issuer: one}}}}
upstreams: {{app: http://127.0.0.1:1}}
routes: [{{path: /, upstream: app, policy: caller}}]
"""
    read = table(tmp_path, "  - {route: /, claims: {sub: ann}, expect: allow}\n", gateway=gateway)
    (result,), _ = run(load(read.gateway, {"S": secret}).plan, read.requests)
    assert result.wrong == ""


def test_what_was_not_tried_is_told(tmp_path: Path) -> None:
    _, gaps = results(
        tmp_path,
        "  - {route: /editor/, claims: {roles: [editor]}, expect: allow}\n"
        "  - {route: /choice/, claims: {scope: a, kind: guest}, expect: allow}\n"
        "  - {route: /methods/, claims: {scope: write}, expect: allow}\n",
    )
    assert gaps == [
        "never seen failing: editor.roles",
        "never seen failing: choice.any[0].scopes",
        "never seen failing: choice.any[1].not.claim.equals",
        "never seen failing: methods.methods.POST.scopes",
        "never seen passing: methods.methods.POST.scopes",
        "never asked: /anonymous/",
    ]


def test_a_requirement_that_was_not_reached_was_not_seen(tmp_path: Path) -> None:
    _, gaps = results(tmp_path, "  - {route: /editor/, claims: {exp: 1}, expect: token_expired}\n")
    assert {"never seen failing: editor.roles", "never seen passing: editor.roles"} <= set(gaps)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ("  - {route: /, expect: alow}", '"alow" is no verdict'),
        ("  - {route: /, expect: allow, claim: {}}", "claim"),
        ("  - {route: x, expect: allow}", "named by a path"),
        ("  - {route: /, expect: allow, token: ann}", 'unknown token "ann"'),
        ("  - {route: /, expect: allow, at: soon}", "no moment"),
        ("  - {route: /, expect: allow, at: +soon}", "no moment"),
        ("  - {expect: allow}", "route"),
        ("  - {route: 5, expect: allow}", 'expected "str", got "int"'),
    ],
)
def test_a_mistake_in_a_table_is_told_at_its_line(tmp_path: Path, requests: str, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        table(tmp_path, "  - {route: /, expect: allow}\n" + requests)
    text = str(raised.value)
    assert expected in text
    assert re.search(r"a\.test\.yaml:4:\d+: ", text)
    assert "help: " in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'the file is empty\nhelp: the smallest file is "gateway: gateway.yaml"'),
        ("- a\n", "the file must be a mapping"),
        ("gateway: g.yaml\nrequests: []\n", "there are no requests"),
    ],
)
def test_a_file_that_tries_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.test.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_table(file, {})
    assert said in str(raised.value)
    assert "upstreams" not in str(raised.value)


def test_a_request_without_a_name_is_called_by_what_it_sends(tmp_path: Path) -> None:
    made = table(
        tmp_path,
        "".join(f"  - {{route: /, expect: allow{more}}}\n" for more in ("", ", claims: {}", ", token: a.b")),
    )
    assert [each.name for each in made.requests] == ["GET /, no token", "GET /, claims of its own", "GET /, a.b"]


def test_junit_has_a_case_for_each_request_and_a_failure_for_each_that_differs(tmp_path: Path) -> None:
    found, _ = results(
        tmp_path, '  - {name: "a\\x01<b>", route: /editor/, expect: allow}\n  - {route: /public/, expect: allow}\n'
    )
    (suite,) = ET.fromstring(junit({"a.test.yaml": found}))  # noqa: S314 - it is our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    wrong, good = suite
    assert wrong.get("name") == "a?<b>"
    (failure,) = wrong
    assert failure.get("message") == "expected allow, got token_missing at step credential"
    assert list(good) == []


def test_the_exit_code_tells_ci(tmp_path: Path) -> None:
    table(tmp_path, "  - {route: /editor/, expect: allow}\n")
    report = tmp_path / "junit.xml"
    done = jwtgate("test", str(tmp_path / "a.test.yaml"), "--junit", str(report))
    assert done.returncode == 1
    assert "expected allow, got token_missing" in done.stdout
    assert "0 of 1 requests as expected" in done.stdout
    assert report.read_bytes().startswith(b"<?xml")
    table(tmp_path, "  - {route: /editor/, expect: token_missing}\n")
    assert jwtgate("test", str(tmp_path / "a.test.yaml")).returncode == 0
    assert jwtgate("test", str(tmp_path / "a.test.yaml"), "--complete").returncode == 1
    assert jwtgate("test", str(tmp_path / "none.yaml")).returncode == 2
