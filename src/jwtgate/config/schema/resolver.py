"""`resolver:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from jwtgate.config import transport_values
from jwtgate.config.schema.fields import (
    DURATION_JSON,
    OrOne,
    Section,
    Timeout,
    a_list,
    checked,
    not_empty,
)

NAME_SERVER_JSON = {"type": "string", "examples": ["127.0.0.11"]}


class ResolverSection(Section):
    """The name servers that upstreams' names are asked of, while the gateway runs."""

    servers: Annotated[
        list[
            Annotated[
                str,
                BeforeValidator(checked(transport_values.name_server)),
                WithJsonSchema(NAME_SERVER_JSON),
            ]
        ],
        BeforeValidator(a_list),
        AfterValidator(checked(not_empty)),
        OrOne(),
    ] = Field(description="IP addresses, with a port if it is not 53.", examples=[["127.0.0.11"]])
    valid: Annotated[Timeout, WithJsonSchema(DURATION_JSON)] | None = Field(
        default=None, description="How long an address is believed. Default: as the answer says.", examples=["10s"]
    )
    timeout: Timeout = Field(default=3, description="How long a request waits for an address.", examples=["3s"])


def resolver_section(value: Any) -> Any:
    """An address, a list of addresses, or the long form."""
    return {"servers": a_list(value)} if isinstance(value, str | list) else value
