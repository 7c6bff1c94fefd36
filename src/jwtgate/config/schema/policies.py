"""`policies:` of gateway.yaml."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from jwtgate.config.schema.fields import Identity, Section, Text, TokenFrom


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
    token_from: TokenFrom | None = Field(
        default=None,
        description="Where the token is read: authorization (the default), {header: …}, {cookie: …}, "
        "{websocket_protocol: …}, {unsafe_query_token: …}, or a list of these.",
        examples=[["authorization", {"cookie": "session"}]],
    )
    optional: bool = Field(
        default=False, description="Who sends no token passes as anonymous; an invalid one is denied."
    )
    unsafe_tolerate_invalid: bool = Field(
        default=False, description="Who sends no token, or one that is not valid, passes as anonymous."
    )
    identity: Identity | None = Field(
        default=None, description="Request headers to the service, and their claims.", examples=[{"X-User": "sub"}]
    )
    # Its JSON Schema is put in by json_schema: pydantic knows nothing of definitions that are not its own.
    require: Annotated[Any, WithJsonSchema({})] = Field(
        default=None,
        description="What a token must bring beside being valid.",
        examples=[{"roles": {"any": ["editor", "admin"]}}],
    )

    @property
    def has_require(self) -> bool:
        """Whether `require:` is written; what it holds is read by `config.requirements`."""
        return "require" in self.model_fields_set
