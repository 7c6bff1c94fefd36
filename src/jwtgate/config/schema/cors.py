"""`cors:` of a route."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from jwtgate.config import cors
from jwtgate.config.schema.fields import (
    DURATION_JSON,
    PARSE_DURATION,
    TEXT_JSON,
    OrOne,
    Section,
    a_list,
    between,
    checked,
    not_empty,
)

_Origin = Annotated[str, AfterValidator(checked(cors.origin)), WithJsonSchema(TEXT_JSON)]
_Method = Annotated[str, AfterValidator(checked(cors.method)), WithJsonSchema(TEXT_JSON)]
_Header = Annotated[str, AfterValidator(checked(cors.header)), WithJsonSchema(TEXT_JSON)]


class CorsSection(Section):
    """What pages of other origins may do. Preflights are answered by the gateway, or passed on to the service."""

    pass_on: bool = Field(default=False, description="Pass preflights on to the service, without a token.")
    origins: (
        Annotated[list[_Origin], BeforeValidator(a_list), AfterValidator(checked(not_empty)), OrOne()] | None
    ) = Field(default=None, description="Origins that are allowed.", examples=[["https://app.example.com"]])
    methods: Annotated[list[_Method], BeforeValidator(a_list), AfterValidator(checked(not_empty)), OrOne()] = (
        Field(default=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], description="Methods that pages may use.")
    )
    headers: Annotated[list[_Header], BeforeValidator(a_list), AfterValidator(checked(not_empty)), OrOne()] = (
        Field(default=["Authorization", "Content-Type"], description="Request headers that pages may set.")
    )
    expose: Annotated[list[_Header], BeforeValidator(a_list), OrOne()] = Field(
        default=[], description="Response headers that pages may read."
    )
    credentials: bool = Field(default=False, description="Whether browsers may send cookies along.")
    max_age: Annotated[
        int,
        PARSE_DURATION,
        between(0, 86400, "10m is the default", " seconds"),
        WithJsonSchema(DURATION_JSON),
    ] = Field(default=600, description="How long a browser remembers the answer to a preflight.", examples=["10m"])


def cors_section(value: Any) -> Any:
    """`pass` stands for `{pass_on: true}`."""
    return {"pass_on": True} if value == "pass" else value
