"""`routes:` of gateway.yaml, and the `defaults:` of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from jwtgate.config import addresses
from jwtgate.config.schema.cors import CorsSection, cors_section
from jwtgate.config.schema.denials import Denials
from jwtgate.config.schema.fields import (
    HostName,
    Identity,
    OrShort,
    RoutePath,
    Section,
    Size,
    Staleness,
    Text,
    Timeout,
    TokenFrom,
    checked,
)


class DefaultsSection(Section):
    """Settings of every route that does not say otherwise."""

    staleness: Staleness | None = Field(default=None, description="See the routes' staleness.", examples=["10s"])
    bare_token: bool | None = Field(default=None, description="See the routes' bare_token.")
    token_from: TokenFrom | None = Field(default=None, description="See the policies' token_from.")
    strip_token: bool | None = Field(default=None, description="See the routes' strip_token.")
    identity: Identity | None = Field(default=None, description="See the routes' identity.")
    max_body: Size | None = Field(default=None, description="See the routes' max_body.", examples=["10m"])
    connect_timeout: Timeout | None = Field(default=None, description="See the routes' connect_timeout.")
    read_timeout: Timeout | None = Field(default=None, description="See the routes' read_timeout.")
    send_timeout: Timeout | None = Field(default=None, description="See the routes' send_timeout.")


class RouteSection(Section):
    """A path of the gateway, and the service behind it. It needs a `policy`, or `public: true`."""

    host: HostName | None = Field(
        default=None, description="A host, or `*.example.com`; without it any.", examples=["api.example.com"]
    )
    path: RoutePath = Field(
        description="A prefix if it ends in a slash, else exactly this path.", examples=["/orders/"]
    )
    upstream: Text = Field(description="The upstream that answers.", examples=["orders"])
    policy: Text | None = Field(
        default=None, description="The policy that decides who gets through.", examples=["caller"]
    )
    shadow: Text | None = Field(
        default=None,
        description="A policy that is evaluated too and never enforced; `jwtgate shadow` tells where it differs.",
        examples=["caller-next"],
    )
    public: bool = Field(default=False, description="Let everyone through.")
    strip_prefix: bool = Field(default=False, description="The service sees the path without the route's prefix.")
    redirect_slash: bool = Field(
        default=False, description="Answer `/orders` by a redirect to `/orders/` instead of 404."
    )
    allow_encoded_slashes: bool = Field(
        default=False,
        description="Pass on encoded slashes (`%2F`) and dots in the path instead of refusing them. Dot segments "
        "in any spelling, `;`, backslashes and zeros are refused on every route.",
    )
    staleness: Staleness | None = Field(
        default=None,
        description="How long NGINX may repeat an allow without asking again; 0: not at all. Default 10s.",
        examples=["10s"],
    )
    bare_token: bool | None = Field(default=None, description="Accept `Authorization: <token>`, without `Bearer`.")
    unsafe_allow_stale_status: bool = Field(
        default=False,
        description="Let tokens through while their status list cannot be had, or is too old.",
    )
    token_from: TokenFrom | None = Field(default=None, description="See the policies' token_from.")
    strip_token: bool | None = Field(default=None, description="The service does not get the token.")
    identity: Identity | None = Field(
        default=None,
        description="Request headers to the service, and their claims.",
        examples=[{"X-User": "sub"}],
    )
    websocket: bool = Field(default=False, description="Pass websocket upgrades.")
    sse: bool = Field(default=False, description="Pass server-sent events, unbuffered.")
    grpc: bool = Field(default=False, description="gRPC: speak HTTP/2 to the service. Needs an HTTP/2 listener.")
    rate_limit: Text | None = Field(
        default=None,
        description="One of rate_limits; what is above it is answered by 429.",
        examples=["per_client"],
    )
    cache_jwks: bool = Field(
        default=False,
        description="Cache the service's answers as long as its Cache-Control says; public routes only.",
    )
    max_body: Size | None = Field(
        default=None, description="The largest request body; 0: any. Default 10m; 0 for grpc.", examples=["10m"]
    )
    connect_timeout: Timeout | None = Field(default=None, description="Default 5s.", examples=["5s"])
    read_timeout: Timeout | None = Field(
        default=None, description="Default 60s; 1h for websocket, sse and grpc.", examples=["60s"]
    )
    send_timeout: Timeout | None = Field(default=None, description="Default 60s.", examples=["60s"])
    cors: Annotated[CorsSection | None, BeforeValidator(cors_section), OrShort(({"const": "pass"},))] = Field(
        default=None,
        description="What pages of other origins may do; or pass: the service answers preflights.",
        examples=[{"origins": ["https://app.example.com"]}],
    )
    login_redirect: Annotated[str, AfterValidator(checked(addresses.login_url))] | None = Field(
        default=None,
        description="Where browsers (GET, Accept: text/html) without a good token are sent; the encoded address "
        "to return to is added as return_to, or after a = at the end.",
        examples=["https://login.example.com/start?return_to="],
    )
    resource: Annotated[str, AfterValidator(checked(addresses.resource_url))] | None = Field(
        default=None,
        description="The route as a protected resource (RFC 9728): its URL as clients know it. Challenges then "
        "name its metadata, and the gateway serves it below /.well-known/oauth-protected-resource.",
        examples=["https://api.example.com/orders"],
    )
    denials: Denials = {}
