"""The JSON Schema, and the files that people start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import jwtgate
from jwtgate.config import json_schema, load
from jwtgate.config.document import read_document
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml") if ".test" not in path.suffixes)
DEMO = Path(str(jwtgate.__file__)).parent / "demo" / "gateway.yaml"

SCHEMA = json_schema()

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def misfits(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """What breaks a rule of the schema: the part of JSON Schema that ours uses."""
    if "$ref" in schema:
        definition = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return misfits(value, definition, where)
    if "type" in schema and not any(has_type(value, name) for name in listed(schema["type"])):
        return [f"{where}: not of type {schema['type']}"]
    found = [
        f"{where}: breaks {rule}" for rule, holds in RULES.items() if rule in schema and not holds(value, schema)
    ]
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += misfits(item, schema.get("items", {}), f"{where}[{index}]")
    if isinstance(value, dict):
        rest = schema.get("additionalProperties", {})
        for key, entry in value.items():
            found += misfits(key, schema.get("propertyNames", {}), f"{where}.{key}")
            rule = schema.get("properties", {}).get(key, rest)
            found += [f"{where}: unknown {key}"] if rule is False else misfits(entry, rule, f"{where}.{key}")
    return found


def has_type(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def listed(names: Any) -> list[str]:
    return names if isinstance(names, list) else [names]


RULES: dict[str, Callable[[Any, dict[str, Any]], bool]] = {
    "anyOf": lambda value, schema: any(misfits(value, choice) == [] for choice in schema["anyOf"]),
    "enum": lambda value, schema: value in schema["enum"],
    "const": lambda value, schema: value == schema["const"],
    "pattern": lambda value, schema: re.search(schema["pattern"], value) is not None,
    "minLength": lambda value, schema: len(value) >= schema["minLength"],
    "minItems": lambda value, schema: len(value) >= schema["minItems"],
    "minimum": lambda value, schema: value >= schema["minimum"],
    "maximum": lambda value, schema: value <= schema["maximum"],
    "required": lambda value, schema: set(schema["required"]) <= set(value),
}


def as_written(path: Path) -> Any:
    """The values of a file with its variables left as they are, as an editor sees them."""
    return read_document(path.read_text().replace("$", "$$"), path.name, {}).data


@pytest.mark.parametrize("path", [*EXAMPLES, DEMO], ids=lambda path: path.name)
def test_an_example_fits_the_json_schema(path: Path) -> None:
    assert misfits(as_written(path), SCHEMA) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads_without_a_warning(path: Path, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    for name in ("gateway.crt", "gateway.key"):
        (tmp_path / "tls" / name).write_text("pem")
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    loaded = load(copy, {"SHOP_SECRET": "thirty-two bytes of shop secret."})
    assert loaded.warnings == ()
    assert loaded.plan.routes


def test_the_demo_loads_without_a_warning() -> None:
    assert load(DEMO, {}).warnings == ()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"listen": "x"},
        {"listen": 0},
        {"workers": 0},
        {"nonsense": 1},
        {"routes": []},
        {"routes": [{"path": "a", "upstream": "b"}]},
        {"routes": [{"path": "/", "upstream": "b", "websocket": "yes"}]},
        {"routes": [{"path": "/"}]},
        {"denials": {"nonsense": {}}},
        {"denials": {"token_expired": {"status": "200"}}},
        {"issuers": {"a": {"issuer": "a", "algorithms": ["none"]}}},
        {"upstreams": {"a": ["ftp://a"]}},
        {"defaults": {"staleness": "10 s"}},
    ],
    ids=str,
)
def test_the_json_schema_refuses(change: dict[str, Any]) -> None:
    base = as_written(ROOT / "examples" / "smallest.yaml")
    assert misfits(base | change, SCHEMA) != []


def test_every_setting_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, definition in [("gateway", SCHEMA), *SCHEMA["$defs"].items()]
        for key, entry in definition.get("properties", {}).items()
        if "description" not in entry and "$ref" not in entry and "anyOf" not in entry
    ]
    assert undescribed == []


def test_the_json_schema_says_what_it_is() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "gateway.yaml of jwtgate"
    assert "$id" not in SCHEMA
    assert set(SCHEMA["required"]) == {"version"}  # and routes or include, which the loader tells better
    assert set(SCHEMA["properties"]["denials"]["propertyNames"]["enum"]) == {"default", *Reason}
    references = set(re.findall(r"#/\$defs/(\w+)", str(SCHEMA)))
    assert references == set(SCHEMA["$defs"])
