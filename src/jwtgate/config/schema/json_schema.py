"""The JSON Schema of gateway.yaml, for editors."""

from __future__ import annotations

from jwtgate.config.schema.fields import JsonSchema
from jwtgate.config.schema.gateway import Gateway


def json_schema() -> JsonSchema:
    """The JSON Schema of gateway.yaml (draft 2020-12), for editors."""
    schema = Gateway.model_json_schema(by_alias=True)
    schema["$defs"]["Variable"] = {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
        "description": "A value with an environment variable in it.",
    }
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
