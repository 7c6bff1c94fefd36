"""Whatever stands in a file, the answer is a Plan or a ConfigError with words for a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jwtgate.config import load_text
from jwtgate.config.document import read_document
from jwtgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[3] / "examples").glob("*.yaml") if ".test" not in path.suffixes
)

# fmt: off
ODD: list[Any] = [
    None, True, 0, -1, 10**400, 1.5, "", "text", "\n", "\u2028", "é", "$", "x" * 5000, [], [None], ["a", "a"],
    {}, {"": None}, {"path": {"path": []}}, "http://[", "http://a:b", "-5s",
]
# fmt: on


def paths(value: Any, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield prefix
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from paths(entry, (*prefix, key))


def changed(value: Any, path: tuple[str | int, ...], odd: Any) -> Any:
    if not path:
        return odd
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        return [changed(item, rest, odd) if index == step else item for index, item in enumerate(value)]
    return {key: changed(item, rest, odd) if key == step else item for key, item in value.items()}


def explained(data: Any) -> None:
    # JSON is YAML; its only escapes that YAML 1.2 does not have are lone surrogates.
    text = json.dumps(data, ensure_ascii=False)
    try:
        load_text(text, "g.yaml", {"SHOP_SECRET": "thirty-two bytes of shop secret."})
    except ConfigError as error:
        told = str(error)
    else:
        told = ""
    assert not any(word in told for word in ("pydantic", "Traceback", "NoneType", "Error"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_odd_value_in_any_place_is_explained(path: Path) -> None:
    data = read_document(path.read_text(), path.name, {}).data
    for place in paths(data):
        for odd in ODD:
            explained(changed(data, place, odd))


def test_an_odd_key_in_any_place_is_explained() -> None:
    data = read_document(EXAMPLES[0].read_text(), "g.yaml", {}).data
    for place in paths(data):
        for key in ("", "\n", "é", "[key]", "0", "default", "x" * 5000):
            explained(changed(data, place, {key: 1}))
