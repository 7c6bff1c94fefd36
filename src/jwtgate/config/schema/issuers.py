"""`issuers:` of gateway.yaml, and how their keys are fetched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, StrictInt, WithJsonSchema

from jwtgate.config import addresses, fetching, values
from jwtgate.config.schema.fields import (
    DURATION_JSON,
    PARSE_DURATION,
    PARSE_SIZE,
    SIZE_JSON,
    Algorithm,
    ClaimPlace,
    FetchTimeout,
    FilePath,
    Lifetime,
    NamesPlace,
    OrOne,
    Section,
    Text,
    Texts,
    Timeout,
    a_list,
    between,
    checked,
    not_empty,
)

MIN_TOKEN_BYTES, MAX_TOKEN_BYTES = 512, 49152  # one TCP segment; below NGINX's 64k of large header buffers
_MAX_LEEWAY = 600


class FetchSection(Section):
    """How an issuer's keys are fetched. The environment's proxies are not used."""

    connect_timeout: FetchTimeout = Field(default=3, description="Time to connect.", examples=["3s"])
    timeout: FetchTimeout = Field(default=10, description="Time for a whole fetch.", examples=["10s"])
    max_bytes: Annotated[
        int,
        PARSE_SIZE,
        between(1024, 16 * 1024**2, "1m is the default", " bytes"),
        WithJsonSchema(SIZE_JSON),
    ] = Field(default=1024**2, description="The largest document.", examples=["1m"])
    max_keys: Annotated[StrictInt, between(1, 1000, "100 is the default")] = Field(
        default=100, description="More keys than this are refused.", examples=[100]
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file with the authorities that are trusted instead of the system's.",
        examples=["tls/ca.pem"],
    )
    client_certificate: FilePath | None = Field(
        default=None, description="PEM file with our certificate and its chain.", examples=["tls/client.crt"]
    )
    client_key: FilePath | None = Field(
        default=None, description="PEM file with its private key.", examples=["tls/client.key"]
    )
    proxy: Annotated[str, AfterValidator(checked(fetching.proxy)), WithJsonSchema({"type": "string"})] | None = (
        Field(default=None, description="URL of an HTTP proxy.", examples=["http://proxy.example.com:3128"])
    )
    headers: dict[
        Annotated[str, AfterValidator(checked(fetching.header_name))],
        Annotated[str, AfterValidator(checked(fetching.header_value))],
    ] = Field(default={}, description="Headers of each request.", examples=[{"X-Api-Key": "…"}])


class RefreshSection(Section):
    """How often an issuer's keys are fetched. Its own Cache-Control is obeyed between least and most."""

    least: Timeout = Field(default=60, description="The shortest lifetime of a key set.", examples=["60s"])
    most: Timeout = Field(default=3600, description="The longest lifetime of a key set.", examples=["1h"])
    default: Timeout = Field(default=300, description="The lifetime when the issuer says none.", examples=["5m"])
    min_refetch: Timeout = Field(
        default=10, description="The time between two fetches for unknown key ids.", examples=["10s"]
    )
    max_stale: Lifetime = Field(
        default=86400,
        description="How long the last good set is used when the issuer cannot be reached.",
        examples=["24h"],
    )


class ClaimNamesSection(Section):
    """Where an issuer's tokens say what their subject may do."""

    roles: NamesPlace | None = Field(default=None, description="Default: roles.", examples=["realm_access.roles"])
    groups: NamesPlace | None = Field(default=None, description="Default: groups.", examples=["cognito:groups"])
    scopes: ClaimPlace | None = Field(
        default=None, description="Default: scope, and in tokens without it scp.", examples=["permissions"]
    )


class IssuerSection(Section):
    """An issuer whose tokens are trusted.

    One of jwks, discovery, jwks_file, keys, secret_env and secret_file says where its keys are.
    """

    issuer: Text = Field(
        description="The `iss` claim that its tokens carry; compared whole. `{tenant}` stands for one of tenants.",
        examples=["https://issuer.example.com"],
    )
    tenants: (
        Annotated[
            list[Annotated[str, AfterValidator(checked(values.tenant))]],
            BeforeValidator(a_list),
            AfterValidator(checked(not_empty)),
            OrOne(),
        ]
        | None
    ) = Field(
        default=None,
        description="The tenants whose tokens are trusted, where issuer has `{tenant}` in it.",
        examples=[["11111111-2222-3333-4444-555555555555"]],
    )
    jwks: (
        Annotated[
            InstanceOf[addresses.KeyUrl],
            BeforeValidator(checked(addresses.jwks_url)),
            WithJsonSchema({"type": "string", "pattern": "^https?://"}),
        ]
        | None
    ) = Field(
        default=None,
        description="URL of the issuer's JWK Set.",
        examples=["https://issuer.example.com/.well-known/jwks.json"],
    )
    discovery: (
        Annotated[
            InstanceOf[addresses.KeyUrl] | bool,
            BeforeValidator(checked(fetching.discovery)),
            WithJsonSchema({"anyOf": [{"const": True}, {"type": "string", "pattern": "^https?://"}]}),
        ]
        | None
    ) = Field(
        default=None,
        description="true: the keys are where the issuer's metadata says; or the URL of that metadata.",
        examples=[True],
    )
    fetch: FetchSection | None = Field(default=None, description="How its keys are fetched.")
    refresh: RefreshSection | None = Field(default=None, description="How often its keys are fetched.")
    start: Literal["require", "degrade", "lazy"] = Field(
        default="degrade",
        description="require: not ready without its keys; degrade: 503 without; lazy: wait for the first token.",
        examples=["degrade"],
    )
    jwks_file: FilePath | None = Field(
        default=None, description="File with a JWK Set, relative to this file.", examples=["keys.json"]
    )
    keys: list[dict[str, Any]] | None = Field(
        default=None,
        description="The issuer's public keys themselves, each a JWK.",
        examples=[[{"kty": "OKP", "crv": "Ed25519", "kid": "key-1", "x": "…"}]],
    )
    secret_env: Annotated[str, AfterValidator(checked(values.variable_name))] | None = Field(
        default=None,
        description="Environment variable with the secret (HS* only): its text, or `base64:` and base64.",
        examples=["GATEWAY_SECRET"],
    )
    secret_file: FilePath | None = Field(
        default=None,
        description="File with the secret (HS* only), in the same form; others must not be able to read it.",
        examples=["secrets/issuer"],
    )
    insecure_http: bool = Field(default=False, description="Fetch keys over plain HTTP from another machine.")
    audience: Texts | None = Field(
        default=None, description="Tokens must name one of these in `aud`.", examples=["services"]
    )
    unsafe_any_audience: bool = Field(default=False, description="Accept tokens that were issued for anyone.")
    audience_claim: Text | None = Field(
        default=None, description="The claim that names the audience. Default: aud.", examples=["client_id"]
    )
    preset: Literal["keycloak", "auth0", "entra", "okta", "cognito", "google"] | None = Field(
        default=None,
        description="What this kind of issuer puts where: algorithms, types, claims. What is written counts more.",
        examples=["keycloak"],
    )
    # Empty only where it is not written: a preset may fill it in.
    algorithms: Annotated[
        list[Algorithm],
        BeforeValidator(a_list),
        AfterValidator(checked(not_empty)),
        OrOne(),
    ] = Field(
        default=[],
        description="The signature algorithms that its tokens may use. Required, unless a preset says it.",
        examples=[["ES256"]],
    )
    leeway: Annotated[
        int,
        PARSE_DURATION,
        between(0, _MAX_LEEWAY, "clocks differ by seconds: 30s is the default", " seconds"),
        WithJsonSchema(DURATION_JSON),
    ] = Field(default=30, description="How far clocks may differ.", examples=["30s"])
    max_token_bytes: Annotated[
        int,
        PARSE_SIZE,
        between(MIN_TOKEN_BYTES, MAX_TOKEN_BYTES, "8192 is the default", " bytes"),
        WithJsonSchema(SIZE_JSON),
    ] = Field(default=8192, description="The largest token that is looked at.", examples=["8k"])
    types: Texts | None = Field(
        default=None,
        description="Accepted `typ` headers; without it any but a status list's (`statuslist+jwt`).",
        examples=[["at+jwt"]],
    )
    status_lists: (
        Annotated[
            list[
                Annotated[
                    InstanceOf[addresses.KeyUrl],
                    BeforeValidator(checked(addresses.status_url)),
                    WithJsonSchema({"type": "string", "pattern": "^https?://"}),
                ]
            ],
            BeforeValidator(a_list),
            AfterValidator(checked(not_empty)),
            OrOne(),
        ]
        | None
    ) = Field(
        default=None,
        description="URIs of the status lists that its tokens may refer to; a last segment `*` stands for any.",
        examples=[["https://issuer.example.com/statuslists/1"]],
    )
    status_max_stale: Lifetime = Field(
        default=300,
        description="How long a status list is used when a newer one cannot be had.",
        examples=["5m"],
    )
    unsafe_ignore_status: bool = Field(default=False, description="Accept tokens whose `status` is not checked.")
    required_claims: list[Text] = Field(
        default=[], description="Claims that each token must have.", examples=[["sub", "jti"]]
    )
    max_lifetime: Lifetime | None = Field(
        default=None, description="Tokens that were issued for longer are refused.", examples=["24h"]
    )
    claims: ClaimNamesSection = Field(
        default=ClaimNamesSection(), description="Where its tokens have roles, groups and scopes."
    )
