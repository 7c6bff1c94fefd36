"""The JSON Schema of gateway.yaml, for editors."""

from __future__ import annotations

from typing import Final

from jwtgate.config.schema.fields import CLAIM_PATH_JSON, DURATION_JSON, TEXT_JSON, JsonSchema
from jwtgate.config.schema.gateway import Gateway

_REQUIREMENT: Final[JsonSchema] = {"$ref": "#/$defs/Requirement"}
_SCALAR: Final[JsonSchema] = {"type": ["string", "number", "boolean"]}
_NUMBER: Final[JsonSchema] = {"type": "number"}
_TEXTS: Final[JsonSchema] = {"anyOf": [TEXT_JSON, {"type": "array", "items": TEXT_JSON, "minItems": 1}]}
_MANY: Final[JsonSchema] = {"type": "array", "items": _REQUIREMENT, "minItems": 1}


def _named(description: str, **more: JsonSchema) -> JsonSchema:
    listed = {
        "type": "object",
        "properties": {
            "all": {**_TEXTS, "description": "Every one."},
            "any": {**_TEXTS, "description": "One."},
            **more,
        },
        "additionalProperties": False,
    }
    return {"description": description, "anyOf": [*_TEXTS["anyOf"], listed]}


_CLAIM: Final[JsonSchema] = {**CLAIM_PATH_JSON, "description": "Where it stands: a path of names."}

# What `config.requirements` reads.
_KEYS: Final[JsonSchema] = {
    "all": {**_MANY, "description": "Every one of these."},
    "any": {**_MANY, "description": "One of these."},
    "not": {**_REQUIREMENT, "description": "Not this."},
    "scopes": _named("Scopes."),
    "roles": _named("Roles.", claim=_CLAIM),
    "groups": _named("Groups.", claim=_CLAIM),
    "claim": _CLAIM,
    "equals": {**_SCALAR, "description": "The claim is this."},
    "one_of": {"type": "array", "items": _SCALAR, "minItems": 1, "description": "The claim is one of these."},
    "contains": {**_SCALAR, "description": "The claim is a list with this in it."},
    "prefix": {**TEXT_JSON, "description": "The claim begins with this."},
    "matches": {**TEXT_JSON, "description": "The whole claim matches this regular expression (RE2)."},
    "greater_than": {**_NUMBER, "description": "The claim is a number greater than this."},
    "at_least": {**_NUMBER, "description": "The claim is a number of at least this."},
    "less_than": {**_NUMBER, "description": "The claim is a number less than this."},
    "at_most": {**_NUMBER, "description": "The claim is a number of at most this."},
    "present": {"type": "boolean", "description": "The claim is there and not null, or is not."},
    "acr_values": {**_TEXTS, "description": "`acr` is one of these (RFC 9470)."},
    "max_age": {**DURATION_JSON, "description": "The user authenticated not longer ago (RFC 9470)."},
    "methods": {
        "type": "object",
        "additionalProperties": {"anyOf": [{"const": True}, _REQUIREMENT]},
        "description": "What each method needs; others are denied.",
    },
}


def json_schema() -> JsonSchema:
    """The JSON Schema of gateway.yaml (draft 2020-12), for editors."""
    schema = Gateway.model_json_schema(by_alias=True)
    schema["$defs"]["Variable"] = {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
        "description": "A value with an environment variable in it.",
    }
    keys = {"type": "object", "properties": _KEYS, "additionalProperties": False}
    schema["$defs"]["Requirement"] = {
        "anyOf": [keys, _MANY],
        "description": "What a token must bring: all keys of a mapping, all items of a list.",
    }
    schema["$defs"]["PolicySection"]["properties"]["require"] |= _REQUIREMENT
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_with_variables(schema),
        "title": "gateway.yaml of jwtgate",
    }


_SUBSCHEMAS = ("properties", "$defs")


def _with_variables(schema: JsonSchema) -> JsonSchema:
    """The schema, where every scalar that is not any text may be a variable too; without generated titles."""
    if schema.get("type") in ("integer", "boolean") or {"enum", "const", "pattern"} & schema.keys():
        notes: JsonSchema = {key: schema[key] for key in ("description", "examples", "default") if key in schema}
        rule = {key: value for key, value in schema.items() if key not in notes and key != "title"}
        return {**notes, "anyOf": [rule, {"$ref": "#/$defs/Variable"}]}
    result: JsonSchema = {}
    for key, value in schema.items():
        if key in _SUBSCHEMAS:
            result[key] = {
                name: entry if name == "Variable" and key == "$defs" else _with_variables(entry)
                for name, entry in value.items()
            }
        elif key == "anyOf":
            result[key] = [_with_variables(entry) for entry in value if entry != {"type": "null"}]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = _with_variables(value)
        elif key != "title" and not (key == "default" and (value is None or isinstance(value, dict | list))):
            result[key] = value
    return result
