"""`include:` of gateway.yaml: what the locations of somebody's own nginx.conf include."""

from __future__ import annotations

from pydantic import Field

from jwtgate.config.schema.denials import Denials
from jwtgate.config.schema.fields import Identity, Section, Staleness, Text, TokenFrom


class IncludeSection(Section):
    """A file for `jwtgate render --include`: a location that includes it asks this policy."""

    policy: Text = Field(description="The policy that decides who gets through.", examples=["caller"])
    shadow: Text | None = Field(default=None, description="See the routes' shadow.", examples=["caller-next"])
    staleness: Staleness | None = Field(default=None, description="See the routes' staleness.", examples=["10s"])
    bare_token: bool | None = Field(default=None, description="See the routes' bare_token.")
    unsafe_allow_stale_status: bool = Field(default=False, description="See the routes' setting of that name.")
    token_from: TokenFrom | None = Field(default=None, description="See the policies' token_from.")
    strip_token: bool | None = Field(default=None, description="The service does not get the token.")
    identity: Identity | None = Field(
        default=None, description="See the routes' identity.", examples=[{"X-User": "sub"}]
    )
    denials: Denials = {}
