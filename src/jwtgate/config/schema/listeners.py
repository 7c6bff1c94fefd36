"""`listen:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from jwtgate.config import addresses
from jwtgate.config.schema.fields import LISTENER_JSON, FilePath, Section, checked


class TlsSection(Section):
    """Certificate and key of a listener."""

    certificate: FilePath = Field(
        description="PEM file with the certificate and its chain, relative to this file.",
        examples=["tls/gateway.crt"],
    )
    key: FilePath = Field(
        description="PEM file with the private key, relative to this file.", examples=["tls/gateway.key"]
    )


class ListenerSection(Section):
    """An address that the gateway listens on."""

    address: Annotated[
        str, BeforeValidator(checked(addresses.listener_address)), WithJsonSchema(LISTENER_JSON)
    ] = Field(
        description="A port (on all IPv4 addresses), or an IP address and a port.", examples=["0.0.0.0:8443"]
    )
    tls: TlsSection | None = Field(default=None, description="Without it the listener speaks plain HTTP.")


def listener_sections(value: Any) -> Any:
    """A port, an address, one listener, or a list of these."""
    return [
        item if isinstance(item, dict) else {"address": item}
        for item in (value if isinstance(value, list) else [value])
    ]
