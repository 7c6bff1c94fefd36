"""`listen:` and `hosts:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema

from jwtgate.config import addresses, transport_values
from jwtgate.config.schema.fields import LISTENER_JSON, FilePath, Section, checked


class TlsSection(Section):
    """Certificate and key of a listener or a host."""

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
    http2: StrictBool | None = Field(
        default=None,
        description="Speak HTTP/2 too. Default: with TLS yes, without no. Without TLS, NGINX before 1.25.1 then "
        "speaks nothing else there.",
    )
    redirect_to_https: Annotated[
        int | bool,
        BeforeValidator(checked(transport_values.redirect_to_https)),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": 65535}]}),
    ] = Field(
        default=False,
        description="Serve nothing here: send everyone to https, on the port of the first TLS listener, or on the "
        "port that is written.",
        examples=[443],
    )


class HostSection(Section):
    """What a host has of its own."""

    tls: TlsSection = Field(description="Its certificate, chosen by the name that the client asks for (SNI).")


def listener_sections(value: Any) -> Any:
    """A port, an address, one listener, or a list of these."""
    return [
        item if isinstance(item, dict) else {"address": item}
        for item in (value if isinstance(value, list) else [value])
    ]
