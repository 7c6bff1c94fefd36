"""What challenges name of a policy: what a client can ask for, and nothing that it cannot."""

from __future__ import annotations

import pytest

from jwtgate.config import load_text
from jwtgate.policy import Needs, Requirement, needs_by_method, scopes_of


def tree(text: str) -> Requirement:
    plan = load_text(
        f"""
version: 1
listen: 8000
issuers: {{one: {{issuer: https://one.example, jwks: https://one.example/jwks, audience: a, algorithms: [ES256]}}}}
policies: {{needs: {{issuer: one, require: {text}}}}}
upstreams: {{app: http://127.0.0.1:1}}
routes: [{{path: /, upstream: app, policy: needs}}]
""",
        "gateway.yaml",
        {},
    ).plan
    (policy,) = plan.policies.values()
    assert policy.requirement is not None
    return policy.requirement


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("{scopes: a}", Needs(("a",))),
        ("{scopes: {all: [a, b]}}", Needs(("a", "b"))),
        ("{scopes: {any: [a, b]}}", Needs(("a",))),
        ("{all: [{scopes: a}, {scopes: {all: [b, a]}}]}", Needs(("a", "b"))),
        ("{any: [{roles: r}, {scopes: b}, {scopes: c}]}", Needs(("b",))),
        ("{not: {scopes: a}}", Needs()),
        ("{roles: a}", Needs()),
        ("{cel: 'claims.x == 1'}", Needs()),
        ("{acr_values: gold, max_age: 5m}",
         Needs((), ("gold",), 300)),
        ("{all: [{max_age: 5m}, {max_age: 1m}]}", Needs((), (), 60)),
    ],
)  # fmt: skip
def test_every_method_needs_this(text: str, needs: Needs) -> None:
    assert needs_by_method(tree(text)) == ((None, needs),)


def test_methods_have_their_own_and_what_all_need() -> None:
    assert needs_by_method(tree("{scopes: a, methods: {GET: true, POST: {scopes: b}}}")) == (
        (None, Needs(("a",))),
        ("GET", Needs(("a",))),
        ("POST", Needs(("a", "b"))),
    )
    assert needs_by_method(None) == ((None, Needs()),)


def test_a_resource_tells_every_scope_that_it_has() -> None:
    text = "{any: [{scopes: a}, {methods: {GET: {scopes: {any: [b, c]}}, POST: {not: {scopes: a}}}}]}"
    assert scopes_of(tree(text)) == ("a", "b", "c")
    assert scopes_of(None) == ()
