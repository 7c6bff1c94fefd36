"""`denials:` of gateway.yaml and of a route."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictInt

from jwtgate.config import values
from jwtgate.config.problems import Fault, nearest
from jwtgate.config.schema.fields import AnswerHeader, AnswerHeaderValue, KeysOf, Section, between, checked
from jwtgate.reasons import Reason

_REASON_KEYS = ("default", *(reason.value for reason in Reason))


class DenialSection(Section):
    """What replaces the default answer to a reason; what is not written stays as it is."""

    # pydantic lets a wrong type of number through to between only when it is an integer.
    status: Annotated[StrictInt, between(400, 599, "a denial is a 4xx or a 5xx")] | None = Field(
        default=None, description="The status code.", examples=[403]
    )
    json_body: Any = Field(
        default=None,
        alias="json",
        description="The body, as JSON. `{request_id}` in it becomes the request's id.",
        examples=[{"error": "token is not active"}],
    )
    body: Annotated[str, AfterValidator(checked(values.body))] | None = Field(
        default=None, description="The body, as text. `{request_id}` in it becomes the request's id."
    )
    content_type: AnswerHeaderValue | None = Field(
        default=None, description="The media type of `body`.", examples=["text/html; charset=utf-8"]
    )
    headers: dict[AnswerHeader, AnswerHeaderValue | None] = Field(
        default={}, description="Response headers; null removes one.", examples=[{"X-Reason": "expired"}]
    )

    @property
    def has_json(self) -> bool:
        """Whether `json:` is written; null is JSON too."""
        return "json_body" in self.model_fields_set


def _reason(value: str) -> str | Fault:
    return value if value in _REASON_KEYS else Fault("unknown reason {value}", nearest(value, _REASON_KEYS))


Denials = Annotated[
    dict[Annotated[str, AfterValidator(checked(_reason))], DenialSection],
    KeysOf(_REASON_KEYS),
    Field(description="Answers that replace the defaults, by reason; `default` is for all reasons not named."),
]
