"""What well-known issuers put where. A preset fills in what an issuer of gateway.yaml does not say itself.

Where each issuer's keys are, its audience and its name stay the operator's to say. `source` is what a preset was
made from, as it was on `DATE`. What is not in a preset is the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jwtgate.config.schema import IssuerSection
    from jwtgate.policy import ClaimPath

DATE: Final = "2026-11-25"


@dataclass(frozen=True, slots=True)
class Preset:
    """What an issuer's access tokens are like. `note` is for the guide."""

    algorithms: tuple[str, ...]
    source: str
    note: str
    types: tuple[str, ...] | None = None  # `typ` header
    roles: ClaimPath | None = None
    groups: ClaimPath | None = None
    scopes: ClaimPath | None = None
    audience_claim: str | None = None
    fixed_claims: tuple[tuple[str, str], ...] = ()  # what tells an access token from the issuer's other tokens


PRESETS: Final[dict[str, Preset]] = {
    "keycloak": Preset(
        algorithms=("RS256",),
        roles=("realm_access", "roles"),
        fixed_claims=(("typ", "Bearer"),),
        source="https://www.keycloak.org/docs/latest/server_admin/ (protocol mappers, audience support)",
        note="Client roles: {roles: …, claim: resource_access.CLIENT.roles}. `groups` needs the Group Membership "
        "mapper. `aud` has what the Audience mapper of a client scope puts there; a new realm's `account` is "
        "nobody's in particular. Without ID tokens: the claim `typ` must be Bearer.",
    ),
    "auth0": Preset(
        algorithms=("RS256",),
        types=("jwt", "at+jwt"),
        roles=("permissions",),
        source="https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles",
        note="`iss` ends in a slash. `permissions` needs RBAC with “Add Permissions in the Access Token”. Roles "
        "need an Action, and stand in a claim named by a URI. Without an audience, Auth0's tokens are opaque.",
    ),
    "entra": Preset(
        algorithms=("RS256",),
        types=("jwt",),
        scopes=("scp",),
        source="https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference",
        note="`scp` for users, `roles` for applications and app roles. `groups` has object ids, and is absent "
        "when there are more than 200. v2.0: `iss` ends in /v2.0, `aud` is the client id of the API. An ID token "
        "of the same app registration has the same `iss`, `aud` and `typ`, and no `scp`: require scopes.",
    ),
    "okta": Preset(
        algorithms=("RS256",),
        scopes=("scp",),
        source="https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/",
        note="For a custom authorization server; tokens of the org's own are for Okta alone. `scp` is an array. "
        "`groups` needs a claim of that name on the authorization server.",
    ),
    "cognito": Preset(
        algorithms=("RS256",),
        roles=("cognito:groups",),
        groups=("cognito:groups",),
        audience_claim="client_id",
        fixed_claims=(("token_use", "access"),),
        source="https://docs.aws.amazon.com/cognito/latest/developerguide/"
        "amazon-cognito-user-pools-using-the-access-token.html",
        note="Access tokens have no `aud`: `audience` is compared with `client_id`, so name your app clients. "
        "Without ID tokens: `token_use` must be access. Custom scopes are written RESOURCE-SERVER/NAME.",
    ),
    "google": Preset(
        algorithms=("RS256",),
        types=("jwt",),
        source="https://developers.google.com/identity/openid-connect/openid-connect",
        note="ID tokens: Google's access tokens are opaque. `iss` is https://accounts.google.com, or without the "
        "scheme: that is an issuer of its own. `aud` is your client id. For the accounts of one "
        "organisation require {claim: hd, equals: example.com}. No roles, groups or scopes.",
    ),
}


def with_preset(section: IssuerSection) -> IssuerSection:
    """The section, where what it leaves out is as its preset has it."""
    if section.preset is None:
        return section
    preset = PRESETS[section.preset]
    filled: dict[str, Any] = {}
    if not section.algorithms:
        filled["algorithms"] = list(preset.algorithms)
    if section.types is None and preset.types is not None:
        filled["types"] = list(preset.types)
    if section.audience_claim is None:
        filled["audience_claim"] = preset.audience_claim
    names = {
        kind: getattr(section.claims, kind) or getattr(preset, kind) for kind in ("roles", "groups", "scopes")
    }
    filled["claims"] = section.claims.model_copy(update=names)
    return section.model_copy(update=filled)
