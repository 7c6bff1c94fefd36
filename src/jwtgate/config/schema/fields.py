"""What sections are made of: values with their checks and their JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, InstanceOf, WithJsonSchema
from pydantic_core import PydanticCustomError

from jwtgate.config import addresses, headers, paths, values
from jwtgate.config.claim_paths import claim_path
from jwtgate.config.identity import IdentityValue, identity_value
from jwtgate.config.problems import Fault
from jwtgate.config.token_sources import token_sources
from jwtgate.keys import ALGORITHMS
from jwtgate.policy import TokenSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

FAULT = "fault"  # the type of our own errors among pydantic's

_MAX_STALENESS = 86400

JsonSchema = dict[str, Any]
_T = TypeVar("_T")


def checked(parse: Callable[[Any], _T | Fault]) -> Callable[[Any], _T]:
    """A parser of `values` as pydantic calls it."""

    def check(value: Any) -> _T:
        parsed = parse(value)
        if isinstance(parsed, Fault):
            raise PydanticCustomError(FAULT, "fault", {"message": parsed.message, "hint": parsed.hint})
        return parsed

    return check


def between(least: int, most: int, hint: str, unit: str = "") -> AfterValidator:
    """A number from `least` to `most`; `unit` is for the message, `hint` says what to write."""

    def check(value: int) -> int | Fault:
        if least <= value <= most:
            return value
        return Fault(f"{{field}} must be from {least} to {most}{unit}, not {{value}}", hint)

    return AfterValidator(checked(check))


def a_list(value: Any) -> Any:
    """A single text stands for a list of it."""
    return [value] if isinstance(value, str) else value


def not_empty(value: list[Any]) -> list[Any] | Fault:
    """At least one item."""
    return value or Fault("{field} is empty", "name at least one")


@dataclass(frozen=True, slots=True)
class OrOne:
    """In the JSON Schema: a list, or a single item of it."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        many = {**handler(core_schema), "minItems": 1}
        return {"anyOf": [many["items"], many]}


@dataclass(frozen=True, slots=True)
class OrShort:
    """In the JSON Schema: a section, or one of its short forms."""

    forms: tuple[JsonSchema, ...]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"anyOf": [*self.forms, handler(core_schema)]}


@dataclass(frozen=True, slots=True)
class KeysOf:
    """In the JSON Schema: a mapping with keys of these only."""

    names: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {**handler(core_schema), "propertyNames": {"enum": list(self.names)}}


DURATION_JSON: JsonSchema = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+[smhd]?$"}]
}
SIZE_JSON: JsonSchema = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+[kKmMgG]?$"}]
}
TEXT_JSON: JsonSchema = {"type": "string", "minLength": 1}
ALGORITHM_JSON: JsonSchema = {"enum": list(ALGORITHMS)}
SERVER_JSON: JsonSchema = {
    "type": "string",
    "pattern": "^(https?://[^/]+|unix:/.+)$",
    "examples": ["http://127.0.0.1:3000"],
}
LISTENER_JSON: JsonSchema = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": "[0-9]+$"}]
}

PARSE_DURATION = BeforeValidator(checked(values.duration))
PARSE_SIZE = BeforeValidator(checked(values.size))

Timeout = Annotated[
    int,
    PARSE_DURATION,
    between(1, 86400, "write a duration like 60s", " seconds"),
    WithJsonSchema(DURATION_JSON),
]
FetchTimeout = Annotated[
    int,
    PARSE_DURATION,
    between(1, 60, "keys are fetched in the background; 10s is the default", " seconds"),
    WithJsonSchema(DURATION_JSON),
]
Staleness = Annotated[
    int,
    PARSE_DURATION,
    between(0, _MAX_STALENESS, "an allow may be repeated for a day at most; 10s is the default", " seconds"),
    WithJsonSchema(DURATION_JSON),
]
Lifetime = Annotated[
    int,
    PARSE_DURATION,
    between(1, 366 * 86400, "write a duration like 24h", " seconds"),
    WithJsonSchema(DURATION_JSON),
]
Size = Annotated[int, PARSE_SIZE, WithJsonSchema(SIZE_JSON)]
Text = Annotated[str, AfterValidator(checked(values.text)), WithJsonSchema(TEXT_JSON)]
FilePath = Annotated[str, AfterValidator(checked(values.file_path)), WithJsonSchema(TEXT_JSON)]
CLAIM_PATH_JSON: JsonSchema = {"anyOf": [TEXT_JSON, {"type": "array", "items": TEXT_JSON, "minItems": 1}]}
IDENTITY_JSON: JsonSchema = {
    "anyOf": [
        *CLAIM_PATH_JSON["anyOf"],
        {
            "type": "object",
            "properties": {
                "claim": {**CLAIM_PATH_JSON, "description": "Where the claim stands."},
                "payload": {"const": "base64url", "description": "The whole verified payload."},
                "arrays": {"enum": ["json", "comma"], "description": "How an array is written. Default json."},
                "omit": {"type": "boolean", "description": "Leave it out when there is no room for it."},
            },
            "additionalProperties": False,
        },
    ]
}
_SOURCE_JSON: JsonSchema = {
    "anyOf": [
        {"const": "authorization"},
        *(
            {
                "type": "object",
                "properties": {kind: {**TEXT_JSON, "description": "Its name."}},
                "required": [kind],
                "additionalProperties": False,
            }
            for kind in ("header", "cookie", "websocket_protocol", "unsafe_query_token")
        ),
    ]
}
TOKEN_FROM_JSON: JsonSchema = {
    "anyOf": [*_SOURCE_JSON["anyOf"], {"type": "array", "items": _SOURCE_JSON, "minItems": 1}]
}
ClaimPlace = Annotated[
    InstanceOf[tuple[str, ...]], BeforeValidator(checked(claim_path)), WithJsonSchema(CLAIM_PATH_JSON)
]
NamesPlace = Annotated[
    InstanceOf[tuple[str, ...]],
    BeforeValidator(checked(partial(claim_path, array=True))),
    WithJsonSchema(CLAIM_PATH_JSON),
]
Name = Annotated[str, AfterValidator(checked(values.name))]
PolicyName = Annotated[str, AfterValidator(checked(values.policy_name))]
Algorithm = Annotated[str, AfterValidator(checked(values.algorithm)), WithJsonSchema(ALGORITHM_JSON)]
Texts = Annotated[list[Text], BeforeValidator(a_list), AfterValidator(checked(not_empty)), OrOne()]
HostName = Annotated[str, AfterValidator(checked(addresses.host))]
RoutePath = Annotated[
    str,
    AfterValidator(checked(paths.route_path)),
    WithJsonSchema({"type": "string", "pattern": "^/"}),
]
IdentityHeader = Annotated[str, AfterValidator(checked(headers.identity_header))]
Identity = dict[
    IdentityHeader,
    Annotated[InstanceOf[IdentityValue], BeforeValidator(checked(identity_value)), WithJsonSchema(IDENTITY_JSON)],
]
TokenFrom = Annotated[
    InstanceOf[tuple[TokenSource, ...]], BeforeValidator(checked(token_sources)), WithJsonSchema(TOKEN_FROM_JSON)
]
AnswerHeader = Annotated[str, AfterValidator(checked(headers.answer_header))]
AnswerHeaderValue = Annotated[str, AfterValidator(checked(headers.answer_header_value))]


class Section(BaseModel):
    """What all sections share: no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
