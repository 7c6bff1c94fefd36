"""`signer:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from jwtgate.config import addresses, values
from jwtgate.config.schema.fields import (
    DURATION_JSON,
    LISTENER_JSON,
    TEXT_JSON,
    FilePath,
    Lifetime,
    OrOne,
    Section,
    Texts,
    a_list,
    checked,
    not_empty,
)

# The names of `jwtgate.plan.SIGNER_ALGORITHMS`, for pydantic's and a reader's eyes; a test compares them.
SignerAlgorithm = Literal["ES256", "ES384", "ES512", "RS256", "PS256", "Ed25519", "EdDSA", "ML-DSA-65"]

RotationInterval = Annotated[
    int | None,
    BeforeValidator(checked(values.rotation_interval)),
    WithJsonSchema({"anyOf": [DURATION_JSON, {"const": "manual"}]}),
]

SignerUrl = Annotated[str, BeforeValidator(checked(addresses.signer_url)), WithJsonSchema(TEXT_JSON)]


class SignerSection(Section):
    """A token issuer that runs beside the gateway."""

    issuer: SignerUrl = Field(description="The `iss` of its tokens.", examples=["http://127.0.0.1:3000"])
    url: SignerUrl | None = Field(
        default=None,
        description="Where clients reach it, which its metadata tells them. Default: the issuer.",
        examples=["https://gateway.example.com/signer"],
    )
    audience: Texts = Field(
        description="The `aud` of a token whose client has no audience of its own.", examples=["services"]
    )
    algorithm: Annotated[
        list[SignerAlgorithm], BeforeValidator(a_list), AfterValidator(checked(not_empty)), OrOne()
    ] = Field(
        default=["ES256"],
        description="The algorithm that it signs by. Of several, the first, except for clients that have one of "
        "their own.",
    )
    listen: Annotated[str, BeforeValidator(checked(addresses.listener_address)), WithJsonSchema(LISTENER_JSON)] = (
        Field(default="127.0.0.1:3000", description="Where it listens.")
    )
    key_dir: FilePath | None = Field(
        default=None,
        description="Directory of its private keys and clients (a SQLite database), relative to this file.",
        examples=["keys"],
    )
    database: Annotated[str, BeforeValidator(checked(values.database_url)), WithJsonSchema(TEXT_JSON)] | None = (
        Field(
            default=None,
            description="A PostgreSQL database instead of key_dir, which several signers can share.",
            examples=["postgresql://signer@db.example.com/signer"],
        )
    )
    passphrase_file: FilePath | None = Field(
        default=None,
        description="File whose content encrypts the private keys, for its owner alone; relative to this file.",
        examples=["passphrase"],
    )
    passphrase_env: Annotated[str, AfterValidator(checked(values.variable_name))] | None = Field(
        default=None,
        description="Environment variable whose content encrypts the private keys.",
        examples=["SIGNER_PASSPHRASE"],
    )
    token_lifetime: Lifetime = Field(
        default=3600, description="How long its tokens last at most.", examples=["1h"]
    )
    jwks_max_age: Lifetime = Field(default=300, description="How long its JWK Set may be cached.", examples=["5m"])
    rotation: RotationInterval = Field(
        default=30 * 86400,
        description="How long a key signs until the next takes over; `manual`: until `jwtgate signer rotate`.",
        examples=["30d"],
    )
    status_list: SignerUrl | None = Field(
        default=None,
        description="URL of the status list that its tokens name. Default: /status-list after the url.",
    )
    status_list_max_age: Lifetime = Field(
        default=10, description="How long its status list may be cached.", examples=["10s"]
    )
