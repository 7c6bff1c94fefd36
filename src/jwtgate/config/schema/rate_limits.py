"""`rate_limits:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, InstanceOf, StrictInt, WithJsonSchema

from jwtgate.config import transport_values
from jwtgate.config.schema.fields import Section, between, checked

RATE_JSON = {"type": "string", "pattern": "^[0-9]+/[sm]$"}


class RateLimitSection(Section):
    """How many requests somebody may make. Routes that name the same limit share its count."""

    by: Literal["address", "subject"] = Field(
        description="Who is counted. `address`: the client's address (of IPv6 its first 64 bits), before the "
        "token is looked at. `subject`: the token's issuer and `sub`, after it was found good.",
        examples=["subject"],
    )
    rate: Annotated[
        InstanceOf[transport_values.Rate],
        BeforeValidator(checked(transport_values.rate)),
        WithJsonSchema(RATE_JSON),
    ] = Field(description="Requests per second or minute: 10/s, 300/m.", examples=["10/s"])
    burst: Annotated[StrictInt, between(1, 100000, "the number in the rate is the default")] | None = Field(
        default=None,
        description="Requests that may come at once. Default: the number in the rate.",
        examples=[20],
    )
