"""`admin:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from jwtgate.config import addresses
from jwtgate.config.schema.fields import LISTENER_JSON, Section, checked

DEFAULT_ADMIN = "127.0.0.1:9145"


class AdminSection(Section):
    """Where liveness, readiness and metrics can be read, by whoever reaches it."""

    address: Annotated[
        str | None, BeforeValidator(checked(addresses.admin_address)), WithJsonSchema(LISTENER_JSON)
    ] = Field(
        default=DEFAULT_ADMIN,
        description="A port (on the loopback address), or an IP address and a port.",
        examples=[DEFAULT_ADMIN],
    )
    insecure_remote: bool = Field(
        default=False,
        description="The address is no loopback address: others on the network may read it, unencrypted.",
    )


def admin_section(value: Any) -> Any:
    """A port, an address, `off`, or the long form."""
    return value if isinstance(value, dict) else {"address": value}
