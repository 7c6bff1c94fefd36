"""`upstreams:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf, StrictBool, StrictInt, WithJsonSchema

from jwtgate.config import addresses
from jwtgate.config.schema.fields import SERVER_JSON, FilePath, HostName, Section, a_list, between, checked


class UpstreamTlsSection(Section):
    """How the services of an https upstream are known, and how the gateway makes itself known to them."""

    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file with the authorities that are trusted instead of the system's.",
        examples=["tls/ca.pem"],
    )
    server_name: HostName | None = Field(
        default=None,
        description="The name in the service's certificate, asked for by SNI. Default: the first server's host.",
        examples=["orders.internal"],
    )
    client_certificate: FilePath | None = Field(
        default=None, description="PEM file with our certificate and its chain.", examples=["tls/client.crt"]
    )
    client_key: FilePath | None = Field(
        default=None, description="PEM file with its private key.", examples=["tls/client.key"]
    )
    insecure_skip_verify: StrictBool = Field(
        default=False, description="Believe any certificate: whoever is in between reads and changes everything."
    )


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
    tls: UpstreamTlsSection | None = Field(default=None, description="For https servers.")
    resolve: Literal["always", "at_start"] = Field(
        default="always",
        description="When host names are resolved. `always`: while the gateway runs, by `resolver`. `at_start`: "
        "once, by the system; NGINX does not start when that fails.",
    )


def upstream_section(value: Any) -> Any:
    """A URL, a list of URLs, or the long form."""
    return {"servers": a_list(value)} if isinstance(value, str | list) else value
