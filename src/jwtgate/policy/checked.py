"""A checked CEL expression as a tree, read from what the compiler serialises.

The form is `cel.expr.CheckedExpr` (checked.proto and syntax.proto of cel-spec) in a `google.protobuf.Any`. Only
what policies have to know is read: names, constants, calls, selections, and what stands inside what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Node:
    """An expression. `name` is that of an identifier, a function or a field; `text` a constant text."""

    id: int
    kind: str  # constant, identifier, select, call, or other
    name: str = ""
    text: str | None = None
    inner: tuple[Node, ...] = ()  # the target of a call first


@dataclass(frozen=True, slots=True)
class CheckedExpression:
    """The tree, and where each node begins: characters from the beginning of the text, by its id."""

    root: Node
    offsets: Mapping[int, int]


def read_checked(serialised: bytes) -> CheckedExpression:
    """Read what `Expression.serialize()` of cel-expr-python returns."""
    message = _only(serialised, 2)  # Any.value
    info = _only(message, 5)  # CheckedExpr.source_info
    positions = [
        dict(_fields(entry)) for number, entry in _fields(info) if number == 4 and isinstance(entry, bytes)
    ]
    offsets = {_number(entry.get(1, 0)): _number(entry.get(2, 0)) for entry in positions}
    return CheckedExpression(_expression(_only(message, 4)), offsets)


def walk_nodes(node: Node) -> Iterator[Node]:
    """The node and all inside it, outermost first."""
    yield node
    for each in node.inner:
        yield from walk_nodes(each)


# Expr: the field of each kind of expression.
# Of the other kinds, the fields that hold expressions: CreateList.elements; Entry.map_key and .value in
# CreateStruct.entries; Comprehension.iter_range, .accu_init, .loop_condition, .loop_step, .result.
_LIST, _STRUCT, _COMPREHENSION = 7, 8, 9
_INSIDE: Final = {_LIST: (1,), _COMPREHENSION: (2, 4, 5, 6, 7)}


def _expression(data: bytes) -> Node:
    number, kind, body = 0, 0, b""
    for tag, value in _fields(data):
        if tag == 2:
            number = _number(value)
        elif isinstance(value, bytes):
            kind, body = tag, value
    fields = list(_fields(body))
    match kind:
        case 3:  # Constant.string_value
            return Node(number, "constant", text=next((_text(value) for tag, value in fields if tag == 6), None))
        case 4:  # Ident.name
            return Node(number, "identifier", _text(_only(body, 1)))
        case 5:  # Select.operand, .field
            return Node(number, "select", _text(_only(body, 2)), inner=_inside(fields, (1,)))
        case 6:  # Call.target, .function, .args
            return Node(number, "call", _text(_only(body, 2)), inner=_inside(fields, (1, 3)))
        case 8:
            entries = [
                field for tag, entry in fields if tag == 2 and isinstance(entry, bytes) for field in _fields(entry)
            ]
            return Node(number, "other", inner=_inside(entries, (3, 4)))
        case _:
            return Node(number, "other", inner=_inside(fields, _INSIDE.get(kind, ())))


def _inside(fields: list[tuple[int, int | bytes]], tags: tuple[int, ...]) -> tuple[Node, ...]:
    return tuple(_expression(value) for tag, value in fields if tag in tags and isinstance(value, bytes))


def _only(data: bytes, tag: int) -> bytes:
    return next((value for number, value in _fields(data) if number == tag and isinstance(value, bytes)), b"")


def _text(value: int | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else ""


def _number(value: int | bytes) -> int:
    return value if isinstance(value, int) else 0


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protobuf message (protobuf.dev, "Encoding"): varints, and what has a length."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
                yield key >> 3, value
            case 2:
                size, at = _varint(data, at)
                yield key >> 3, data[at : at + size]
                at += size
            case wire:  # fixed64, fixed32
                at += {1: 8, 5: 4}[wire]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        octet = data[at]
        value |= (octet & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if octet < 0x80:
            return value, at
