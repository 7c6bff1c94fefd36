"""`upstreams:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, InstanceOf, StrictInt, WithJsonSchema

from jwtgate.config import addresses
from jwtgate.config.schema.fields import SERVER_JSON, Section, a_list, between, checked


class UpstreamSection(Section):
    """A service, with one address or several that share its load."""

    servers: list[
        Annotated[
            InstanceOf[addresses.ServerAddress],
            BeforeValidator(checked(addresses.server_address)),
            WithJsonSchema(SERVER_JSON),
        ]
    ] = Field(
        description="http://host:port, https://host:port or unix:/path; all http or all https.",
        examples=[["http://127.0.0.1:3000"]],
    )
    keepalive: Annotated[StrictInt, between(0, 10000, "32 is the default")] = Field(
        default=32, description="Idle connections that each NGINX worker keeps open."
    )


def upstream_section(value: Any) -> Any:
    """A URL, a list of URLs, or the long form."""
    return {"servers": a_list(value)} if isinstance(value, str | list) else value
