"""`signer:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from jwtgate.config import addresses
from jwtgate.config.schema.fields import LISTENER_JSON, FilePath, Lifetime, Section, Text, Texts, checked


class SignerSection(Section):
    """A token issuer that runs beside the gateway."""

    issuer: Text = Field(description="The `iss` of its tokens.", examples=["http://127.0.0.1:3000"])
    audience: Texts = Field(description="The `aud` of its tokens.", examples=["services"])
    algorithm: Literal["ES512", "ES256", "EdDSA", "RS256"] = Field(
        default="ES256", description="The algorithm that it signs by."
    )
    listen: Annotated[str, BeforeValidator(checked(addresses.listener_address)), WithJsonSchema(LISTENER_JSON)] = (
        Field(default="127.0.0.1:3000", description="Where it listens.")
    )
    key_dir: FilePath = Field(
        description="Directory of its private keys, relative to this file.", examples=["keys"]
    )
    token_lifetime: Lifetime = Field(default=86400, description="How long its tokens last.", examples=["24h"])
    jwks_max_age: Lifetime = Field(default=300, description="How long its JWK Set may be cached.", examples=["5m"])
