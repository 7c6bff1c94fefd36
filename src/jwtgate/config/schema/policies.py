"""`policies:` of gateway.yaml."""

from __future__ import annotations

from pydantic import Field

from jwtgate.config.schema.fields import Section, Text


class PolicySection(Section):
    """What a token must bring."""

    issuer: Text | None = Field(
        default=None, description="The issuer whose tokens are accepted.", examples=["signer"]
    )
    issuers: list[Text] | None = Field(
        default=None,
        description="Several issuers; a token of any of them will do.",
        examples=[["signer", "partner"]],
    )
    bare_token: bool | None = Field(default=None, description="Accept `Authorization: <token>`, without `Bearer`.")
