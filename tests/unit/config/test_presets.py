"""Presets: what well-known issuers put where. Tokens as they issue them pass, their other tokens do not."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from jwtgate.authenticate import Allow, Authenticator, Credential, Deny
from jwtgate.config import load_text
from jwtgate.config.presets import DATE, PRESETS
from jwtgate.config.schema import IssuerSection
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.reasons import Reason
from jwtgate.tokens import VerifiedTokens, mint

NOW = 1_700_000_000
KEY = generate_signing_key("RS256")
KEYS = {"idp": read_jwks(json.dumps({"keys": [KEY.public_jwk()]}).encode())}

FILE = """
version: 1
issuers: {idp: {preset: PRESET, issuer: https://idp.example, jwks: https://idp.example/jwks, audience: ours}}
policies: {one: {issuer: idp, require: REQUIRE}}
upstreams: {app: http://127.0.0.1:1}
routes: [{path: /, upstream: app, policy: one}]
"""


def ask(preset: str, require: str, claims: dict[str, Any], typ: str = "JWT") -> Reason | None:
    plan = load_text(FILE.replace("PRESET", preset).replace("REQUIRE", require), "gateway.yaml", {}).plan
    (policy,) = plan.policies
    token = mint({"iss": "https://idp.example", "sub": "alice", "exp": NOW + 60} | claims, KEY, typ=typ)
    outcome = Authenticator(plan, VerifiedTokens(0))(KEYS, policy, Credential(token), NOW)
    assert isinstance(outcome, Allow | Deny)
    return outcome.reason if isinstance(outcome, Deny) else None


# preset, requirement, an access token's claims and `typ`
ACCESS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "keycloak": (
        "keycloak",
        "{roles: editor, scopes: email}",
        {
            "typ": "Bearer",
            "aud": ["ours", "account"],
            "realm_access": {"roles": ["editor"]},
            "scope": "openid email",
        },
        "JWT",
    ),
    "keycloak, a client's role": (
        "keycloak",
        "{roles: {any: [editor], claim: resource_access.orders.roles}}",
        {"typ": "Bearer", "aud": "ours", "resource_access": {"orders": {"roles": ["editor"]}}},
        "JWT",
    ),
    "auth0": (
        "auth0",
        '{roles: "read:orders", scopes: profile}',
        {
            "aud": ["ours", "https://x.auth0.com/userinfo"],
            "scope": "openid profile",
            "permissions": ["read:orders"],
        },
        "JWT",
    ),
    "auth0, RFC 9068": ("auth0", "{scopes: profile}", {"aud": ["ours"], "scope": "openid profile"}, "at+jwt"),
    "entra": (
        "entra",
        "{scopes: Orders.Read}",
        {"aud": "ours", "scp": "User.Read Orders.Read", "ver": "2.0"},
        "JWT",
    ),
    "entra, an application": ("entra", "{roles: Orders.All}", {"aud": "ours", "roles": ["Orders.All"]}, "JWT"),
    "okta": (
        "okta",
        "{scopes: orders, groups: staff}",
        {"aud": "ours", "scp": ["orders"], "groups": ["staff"]},
        "",
    ),
    "cognito": (
        "cognito",
        "{groups: staff, scopes: orders/read}",
        {"token_use": "access", "client_id": "ours", "cognito:groups": ["staff"], "scope": "orders/read"},
        "",
    ),
    "google": (
        "google",
        "{claim: hd, equals: example.com}",
        {"aud": "ours", "azp": "ours", "hd": "example.com", "email_verified": True},
        "JWT",
    ),
}


@pytest.mark.parametrize(("preset", "require", "claims", "typ"), ACCESS.values(), ids=ACCESS.keys())
def test_a_token_as_it_is_issued_passes(preset: str, require: str, claims: dict[str, Any], typ: str) -> None:
    assert ask(preset, require, claims, typ) is None


OTHER: dict[str, tuple[str, dict[str, Any], Reason]] = {
    "keycloak, an ID token": ("keycloak", {"typ": "ID", "aud": "ours"}, Reason.TYPE_MISMATCH),
    "keycloak, a refresh token": ("keycloak", {"typ": "Refresh", "aud": "ours"}, Reason.TYPE_MISMATCH),
    "keycloak, for nobody in particular": (
        "keycloak",
        {"typ": "Bearer", "aud": "account"},
        Reason.AUDIENCE_MISMATCH,
    ),
    "keycloak, without aud": ("keycloak", {"typ": "Bearer", "azp": "ours"}, Reason.AUDIENCE_MISMATCH),
    "cognito, an ID token": ("cognito", {"token_use": "id", "aud": "ours"}, Reason.TYPE_MISMATCH),
    "cognito, an ID token with client_id": (
        "cognito",
        {"token_use": "id", "client_id": "ours"},
        Reason.TYPE_MISMATCH,
    ),
    "cognito, another client": ("cognito", {"token_use": "access", "client_id": "x"}, Reason.AUDIENCE_MISMATCH),
}


@pytest.mark.parametrize(("preset", "claims", "reason"), OTHER.values(), ids=OTHER.keys())
def test_other_tokens_of_the_same_issuer_are_denied(preset: str, claims: dict[str, Any], reason: Reason) -> None:
    assert ask(preset, "{claim: sub, present: true}", claims) is reason


def test_what_is_written_counts_more_than_the_preset() -> None:
    text = FILE.replace("preset: PRESET", "preset: keycloak, algorithms: [ES256], claims: {roles: [a, b]}")
    issuer = load_text(text.replace("REQUIRE", "{roles: x}"), "gateway.yaml", {}).plan.issuers["idp"]
    assert issuer.algorithms == ("ES256",)
    assert issuer.claim_names.roles == ("a", "b")
    assert issuer.fixed_claims == (("typ", "Bearer"),)


def test_presets_can_be_written_and_say_where_they_are_from() -> None:
    annotation = IssuerSection.model_fields["preset"].annotation
    written = {name for choice in get_args(annotation) for name in get_args(choice)}
    assert written == set(PRESETS)
    assert DATE == "2026-11-25"
    assert all(preset.source.startswith("https://") and preset.note for preset in PRESETS.values())
