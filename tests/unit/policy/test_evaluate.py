"""A tree of requirements over claims: what passes, what fails, why and where."""

from __future__ import annotations

from typing import Any

import pytest

from jwtgate.config import load_text
from jwtgate.policy import ClaimNames, Failure, Request, Requirement, compile_requirement, trace
from jwtgate.reasons import Reason

NOW = 1_000_000

FILE = """
version: 1
issuers:
  one: {issuer: https://one.example, jwks: https://one.example/jwks, audience: us, algorithms: [ES256]}
policies:
  one:
    issuer: one
    require: REQUIRE
upstreams: {app: http://127.0.0.1:1}
routes:
  - {path: /, upstream: app, policy: one}
"""


def tree(text: str) -> Requirement:
    """The tree that a line of YAML stands for."""
    (policy,) = load_text(FILE.replace("REQUIRE", text), "gateway.yaml", {}).plan.policies.values()
    assert policy.requirement is not None
    return policy.requirement


def failure(
    text: str, claims: dict[str, Any], method: str = "GET", names: ClaimNames | None = None
) -> Failure | None:
    return compile_requirement(tree(text), names or ClaimNames()).check(claims, Request(method), NOW)


# requirement, claims that meet it, claims that do not
LEAVES: dict[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = {
    "one scope": (
        "{scopes: read}",
        [{"scope": "read"}, {"scope": "a read b"}, {"scp": ["read"]}, {"scp": "a read"}, {"scope": ["read"]}],
        [
            {},
            {"scope": "readx"},
            {"scope": ""},
            {"scope": "READ"},
            {"scope": 1},
            {"scope": {"read": 1}},
            {"scope": None},
        ],
    ),
    "scope counts before scp": (
        "{scopes: read}",
        [{"scope": "read", "scp": []}],
        [{"scope": "a", "scp": ["read"]}],
    ),
    "all scopes": ("{scopes: {all: [a, b]}}", [{"scope": "b c a"}], [{"scope": "a"}, {"scope": "b c"}]),
    "any scope": (
        "{scopes: {any: [a, b]}}",
        [{"scope": "a"}, {"scope": "c b"}],
        [{"scope": "c"}, {"scope": "ab"}],
    ),
    "any role": (
        "{roles: {any: [a, b]}}",
        [{"roles": ["a"]}, {"roles": ["c", "b"]}, {"roles": "a"}, {"roles": [{}, "a"]}, {"roles": [1, None, "b"]}],
        [
            {},
            {"roles": []},
            {"roles": ["ab"]},
            {"roles": "a b"},
            {"roles": {"a": 1}},
            {"roles": [["a"]]},
            {"groups": ["a"]},
        ],
    ),
    "all roles": (
        "{roles: {all: [a, b]}}",
        [{"roles": ["b", "a"]}, {"roles": ["b", {}, "a"]}],
        [{"roles": ["a"]}, {"roles": [{}]}],
    ),
    "a group": ("{groups: a}", [{"groups": ["a"]}], [{"roles": ["a"]}]),
    "roles of a client": (
        "{roles: {any: [a], claim: resource_access.orders.roles}}",
        [{"resource_access": {"orders": {"roles": ["a"]}}}],
        [
            {"roles": ["a"]},
            {"resource_access": {"orders": ["a"]}},
            {"resource_access": []},
            {"resource_access": {"orders.roles": ["a"]}},
            {"resource_access": None},
            {"resource_access": "orders"},
        ],
    ),
    "a claim named by a URI": (
        "{roles: {any: [a], claim: 'https://shop.example/roles'}}",
        [{"https://shop.example/roles": ["a"]}],
        [{"roles": ["a"]}],
    ),
    "a name with dots": ("{claim: [a.b, c], equals: x}", [{"a.b": {"c": "x"}}], [{"a": {"b": {"c": "x"}}}]),
    "equals a text": ("{claim: a, equals: x}", [{"a": "x"}], [{}, {"a": "X"}, {"a": ["x"]}, {"a": None}]),
    "equals a number": (
        "{claim: a, equals: 1}",
        [{"a": 1}, {"a": 1.0}],
        [{"a": True}, {"a": "1"}, {"a": [1]}, {}],
    ),
    "equals zero": ("{claim: a, equals: 0}", [{"a": 0}], [{"a": False}, {"a": None}, {}, {"a": ""}]),
    "equals true": ("{claim: a, equals: true}", [{"a": True}], [{"a": 1}, {"a": "true"}, {}]),
    "equals false": ("{claim: a, equals: false}", [{"a": False}], [{"a": 0}, {"a": None}, {}]),
    "one of": ("{claim: a, one_of: [x, y]}", [{"a": "y"}], [{"a": "z"}, {"a": ["x"]}, {"a": {}}, {}]),
    "one of, of several kinds": ("{claim: a, one_of: [x, 1]}", [{"a": 1}, {"a": "x"}], [{"a": True}, {"a": []}]),
    "contains": (
        "{claim: a, contains: x}",
        [{"a": ["y", "x"]}, {"a": [{}, "x"]}],
        [{"a": "x"}, {"a": ["xy"]}, {"a": {"x": 1}}],
    ),
    "contains a number": ("{claim: a, contains: 1}", [{"a": [1]}], [{"a": [True]}, {"a": ["1"]}, {"a": 1}]),
    "prefix": (
        "{claim: a, prefix: x/}",
        [{"a": "x/y"}, {"a": "x/"}],
        [{"a": "ax/"}, {"a": "x"}, {"a": ["x/"]}, {}],
    ),
    "matches": (
        "{claim: a, matches: 'x+'}",
        [{"a": "xx"}],
        [{"a": "xxy"}, {"a": "yx"}, {"a": ""}, {"a": "x\n"}, {"a": 1}, {}],
    ),
    "matches with an alternative": (
        "{claim: a, matches: 'x|y'}",
        [{"a": "x"}, {"a": "y"}],
        [{"a": "xz"}, {"a": "zy"}],
    ),
    "greater than": (
        "{claim: a, greater_than: 3}",
        [{"a": 4}, {"a": 3.1}],
        [{"a": 3}, {"a": "4"}, {"a": True}, {}],
    ),
    "at least": ("{claim: a, at_least: 1}", [{"a": 1}, {"a": 10**400}], [{"a": 0.9}, {"a": True}, {"a": None}]),
    "less than": ("{claim: a, less_than: 3}", [{"a": 2}], [{"a": 3}, {"a": False}, {}]),
    "at most": ("{claim: a, at_most: 3}", [{"a": 3}], [{"a": 4}, {"a": False}, {}]),
    "between": ("{claim: a, at_least: 1, at_most: 3}", [{"a": 1}, {"a": 3}], [{"a": 0}, {"a": 4}]),
    "present": ("{claim: a, present: true}", [{"a": 0}, {"a": []}, {"a": ""}], [{"a": None}, {}]),
    "absent": ("{claim: a, present: false}", [{}, {"a": None}], [{"a": False}]),
    "acr": ("{acr_values: [gold, silver]}", [{"acr": "silver"}], [{"acr": "bronze"}, {"acr": ["gold"]}, {}]),
    "max_age": (
        "{max_age: 100s}",
        [{"auth_time": NOW - 99}, {"auth_time": NOW - 99.5}, {"auth_time": NOW + 5}],
        [
            {"auth_time": NOW - 100},
            {},
            {"auth_time": True},
            {"auth_time": str(NOW)},
            {"auth_time": 10**400},
            {"auth_time": -1},
        ],
    ),
    "all": (
        "{all: [{scopes: a}, {roles: b}]}",
        [{"scope": "a", "roles": ["b"]}],
        [{"scope": "a"}, {"roles": ["b"]}],
    ),
    "a mapping is all of its keys": (
        "{scopes: a, roles: b}",
        [{"scope": "a", "roles": ["b"]}],
        [{"scope": "a"}, {"roles": ["b"]}],
    ),
    "a list is all of its items": (
        "[{scopes: a}, {roles: b}]",
        [{"scope": "a", "roles": ["b"]}],
        [{"scope": "a"}, {"roles": ["b"]}],
    ),
    "any": (
        "{any: [{scopes: a}, {roles: b}]}",
        [{"scope": "a"}, {"roles": ["b"]}],
        [{}, {"scope": "b", "roles": ["a"]}],
    ),
    "not": ("{not: {roles: b}}", [{}, {"roles": ["a"]}], [{"roles": ["b"]}]),
    "not all of two": (
        "{not: {scopes: a, roles: b}}",
        [{"scope": "a"}, {"roles": ["b"]}],
        [{"scope": "a", "roles": ["b"]}],
    ),
    "deep": (
        "{all: [{any: [{not: {claim: a, equals: 1}}, {roles: r}]}, {scopes: s}]}",
        [{"scope": "s"}, {"a": 1, "roles": ["r"], "scope": "s"}],
        [{"a": 1, "scope": "s"}, {"roles": ["r"]}],
    ),
}


@pytest.mark.parametrize(("text", "met", "unmet"), LEAVES.values(), ids=LEAVES.keys())
def test_a_requirement_is_met_by_these_claims_and_not_by_those(
    text: str, met: list[dict[str, Any]], unmet: list[dict[str, Any]]
) -> None:
    check = compile_requirement(tree(text)).check
    for claims in met:
        assert check(claims, Request(), NOW) is None, claims
    for claims in unmet:
        assert check(claims, Request(), NOW) is not None, claims


# requirement, claims, why, where
FAILURES: dict[str, tuple[str, dict[str, Any], Reason, str]] = {
    "a scope": ("{scopes: a}", {}, Reason.SCOPE_MISSING, "scopes"),
    "a role": ("{roles: a}", {}, Reason.ROLE_MISSING, "roles"),
    "a group": ("{groups: a}", {}, Reason.ROLE_MISSING, "groups"),
    "a claim": ("{claim: a, equals: b}", {}, Reason.REQUIREMENT_FAILED, "claim.equals"),
    "acr": ("{acr_values: gold}", {}, Reason.STEP_UP_REQUIRED, "acr_values"),
    "max_age": ("{max_age: 1h}", {}, Reason.STEP_UP_REQUIRED, "max_age"),
    "not": ("{not: {roles: a}}", {"roles": ["a"]}, Reason.REQUIREMENT_FAILED, "not"),
    "the first of all": ("{roles: a, scopes: b}", {}, Reason.ROLE_MISSING, "roles"),
    "the second of all": ("{roles: a, scopes: b}", {"roles": ["a"]}, Reason.SCOPE_MISSING, "scopes"),
    "inside": (
        "{all: [{roles: a}, {any: [{not: {scopes: b}}]}]}",
        {"roles": ["a"], "scope": "b"},
        Reason.REQUIREMENT_FAILED,
        "all[1].any",
    ),
    "any whose parts agree": ("{any: [{roles: a}, {groups: b}]}", {}, Reason.ROLE_MISSING, "any"),
    "any whose parts differ": ("{any: [{roles: a}, {scopes: b}]}", {}, Reason.REQUIREMENT_FAILED, "any"),
    "an item of a list": ("[{roles: a}, {scopes: b}]", {"roles": ["a"]}, Reason.SCOPE_MISSING, "[1].scopes"),
    "a method that is not named": ("{methods: {POST: true}}", {}, Reason.REQUIREMENT_FAILED, "methods"),
    "a method's own need": ("{methods: {GET: {scopes: a}}}", {}, Reason.SCOPE_MISSING, "methods.GET.scopes"),
}


@pytest.mark.parametrize(("text", "claims", "reason", "position"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_says_why_and_where(text: str, claims: dict[str, Any], reason: Reason, position: str) -> None:
    assert failure(text, claims) == (reason, position)


METHODS = "{methods: {GET: true, POST: {roles: editor}}}"


@pytest.mark.parametrize(
    ("method", "roles", "passes"),
    [
        ("GET", [], True),
        ("HEAD", [], True),
        ("POST", [], False),
        ("POST", ["editor"], True),
        ("DELETE", ["editor"], False),
        ("OPTIONS", [], False),
        ("get", [], False),
        ("", ["editor"], False),
    ],
)
def test_methods_differ_and_those_not_named_are_denied(method: str, roles: list[str], passes: bool) -> None:
    assert (failure(METHODS, {"roles": roles}, method) is None) is passes


def test_head_can_be_named_itself() -> None:
    text = "{methods: {GET: true, HEAD: {roles: a}}}"
    assert failure(text, {}, "GET") is None
    assert failure(text, {}, "HEAD") is not None


def test_an_issuers_own_claim_names_are_used() -> None:
    names = ClaimNames(roles=("realm_access", "roles"), groups=("cognito:groups",), scopes=("permissions",))
    claims = {"realm_access": {"roles": ["r"]}, "cognito:groups": ["g"], "permissions": ["p"]}
    assert failure("{roles: r, groups: g, scopes: p}", claims, names=names) is None
    assert failure("{roles: r}", {"roles": ["r"]}, names=names) is not None
    assert failure("{scopes: p}", {"scp": ["p"]}, names=names) is not None


def test_what_depends_on_the_time_says_until_when_it_holds() -> None:
    compiled = compile_requirement(tree("{any: [{max_age: 100s}, {max_age: 50s}, {roles: a}]}"))
    assert compiled.horizon is not None
    assert compiled.horizon({"auth_time": NOW - 10}, NOW) == NOW + 40
    assert compiled.horizon({"auth_time": NOW - 60}, NOW) == NOW + 40
    assert compiled.horizon({"auth_time": NOW - 100}, NOW) == float("inf")
    assert compiled.horizon({}, NOW) == float("inf")
    assert compile_requirement(tree("{roles: a}")).horizon is None


def test_each_requirement_can_be_looked_at_by_itself() -> None:
    seen = trace(tree("{any: [{roles: a}, {scopes: b}]}"), {"scope": "b"}, Request(), NOW)
    assert [(each.position, found and found.reason) for each, found in seen] == [
        ("any", None),
        ("any[0].roles", Reason.ROLE_MISSING),
        ("any[1].scopes", None),
    ]
