"""CEL: what no list of requirements can say. Compiled and checked when it is loaded.

Rules: an expression is true or false, and all else is an error that denies. What it reads of the request is taken
from the checked expression, and so is declared. Of the claims it gets those that it names, so that a large token
costs no more than a small one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped]  # its stubs lack py.typed

from jwtgate.policy.checked import Node, read_checked, walk_nodes
from jwtgate.policy.operators import check_pattern
from jwtgate.policy.request import Inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jwtgate.policy.checked import CheckedExpression
    from jwtgate.policy.request import Request

_HEADERS: Final = "request.headers"
_HEADER_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_SAID: Final = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<what>.*)")


class ExpressionError(Exception):
    """An expression that is refused. `line` and `column` are in the expression, from 1; 0: as a whole."""

    def __init__(self, what: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.line, self.column = line, column


@dataclass(frozen=True, slots=True)
class Reads:
    """What an expression reads. `claims` are the names of top-level claims; None: any."""

    inputs: Inputs
    claims: tuple[str, ...] | None
    now: bool


@cache
def _environment() -> cel.Env:
    types = cel.Type
    return cel.NewEnv(
        variables={
            "claims": types.Map(types.STRING, types.DYN),
            "request.method": types.STRING,
            "request.path": types.STRING,
            "request.host": types.STRING,
            _HEADERS: types.Map(types.STRING, types.STRING),
            "now": types.TIMESTAMP,
        }
    )


def check_expression(text: str) -> Reads:
    """Compile and check an expression, and say what it reads. Raises ExpressionError."""
    compiled = _compile(text)
    if compiled.return_type().name() not in ("BOOL", "DYN"):
        raise ExpressionError(f"it is of type {compiled.return_type().name().lower()}, and must be true or false")
    checked = read_checked(compiled.serialize())
    refuse = _Refusal(text, checked)
    nodes = list(walk_nodes(checked.root))
    _check_patterns(nodes, refuse)
    names = {node.name for node in nodes if node.kind == "identifier"}
    inputs = Inputs(
        "request.method" in names, "request.path" in names, "request.host" in names, _headers(nodes, refuse)
    )
    return Reads(inputs, _claims(nodes), "now" in names)


def compile_expression(text: str) -> Callable[[Mapping[str, Any], Request, float], bool | None]:
    """(claims, request, now) → true, false, or None when the evaluation fails. `text` has been checked."""
    evaluate = _compile(text).eval
    reads = check_expression(text)
    variables = _variables(reads)

    def check(claims: Mapping[str, Any], request: Request, now: float) -> bool | None:
        try:
            value = evaluate(data=variables(claims, request, now)).value()
        # What cannot be converted to CEL's types (RuntimeError), and a clock that is no time.
        except (RuntimeError, OverflowError, TypeError, ValueError, OSError):
            return None
        return value if value is True or value is False else None

    return check


def _compile(text: str) -> cel.Expression:
    try:
        return _environment().compile(text)
    except RuntimeError as error:
        said = _SAID.search(str(error))
        if said is None:
            raise ExpressionError(str(error).partition("\n")[0]) from None
        what = said["what"].removesuffix(" [INVALID_ARGUMENT]").replace(" (in container '')", "")
        raise ExpressionError(what, int(said["line"]), int(said["column"])) from None


class _Refusal:
    """Makes the error for a node."""

    def __init__(self, text: str, checked: CheckedExpression) -> None:
        self._text, self._offsets = text, checked.offsets

    def __call__(self, node: Node, what: str) -> ExpressionError:
        before = self._text[: self._offsets.get(node.id, 0)]
        return ExpressionError(what, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _check_patterns(nodes: list[Node], refuse: _Refusal) -> None:
    """A pattern that stands in the expression is one that RE2 takes."""
    for node in nodes:
        if node.kind == "call" and node.name == "matches" and node.inner:
            pattern = node.inner[-1]
            if pattern.text is not None:
                try:
                    check_pattern(pattern.text)
                except ValueError as error:
                    raise refuse(pattern, f"RE2 refuses this regular expression: {error}") from None


def _headers(nodes: list[Node], refuse: _Refusal) -> tuple[str, ...]:
    """The names of the headers that are read; each is a constant, so that it can stand in the cache's key."""
    names: set[str] = set()
    indexed: set[int] = set()
    for node in nodes:
        if node.kind == "call" and node.name == "_[_]" and node.inner[0].name == _HEADERS:
            name = node.inner[1].text
            if name is None:
                raise refuse(node.inner[1], "the name of a header must be a text that stands here, not a value")
            if not _HEADER_NAME.fullmatch(name):
                raise refuse(node.inner[1], "the name of a header is written in lower case, digits and dashes")
            names.add(name)
            indexed.add(node.inner[0].id)
    for node in nodes:
        if node.kind == "identifier" and node.name == _HEADERS and node.id not in indexed:
            raise refuse(node, "headers are read one by one, by their names: request.headers['x-tenant']")
    return tuple(sorted(names))


def _claims(nodes: list[Node]) -> tuple[str, ...] | None:
    """The top-level claims that are named; None when the claims are used as a whole."""
    names: set[str] = set()
    named: set[int] = set()
    for node in nodes:
        match node:
            case Node(kind="select", inner=(Node(kind="identifier", name="claims") as claims,)):
                names.add(node.name)
                named.add(claims.id)
            case Node(kind="call", name="_[_]", inner=(Node(kind="identifier", name="claims") as claims, key)):
                if key.text is not None:
                    names.add(key.text)
                    named.add(claims.id)
            case _:
                pass
    whole = any(node.name == "claims" and node.kind == "identifier" and node.id not in named for node in nodes)
    return None if whole else tuple(sorted(names))


def _variables(reads: Reads) -> Callable[[Mapping[str, Any], Request, float], dict[str, Any]]:
    inputs, names, reads_now = reads.inputs, reads.claims, reads.now

    def variables(claims: Mapping[str, Any], request: Request, now: float) -> dict[str, Any]:
        data: dict[str, Any] = {
            "claims": claims if names is None else {name: claims[name] for name in names if name in claims}
        }
        if inputs:
            data["request.method"] = request.method
            data["request.path"] = request.path
            data["request.host"] = request.host
            # NGINX sends no empty header, so that one which is absent is one which is empty.
            data[_HEADERS] = {name: request.headers.get(name, "") for name in inputs.headers}
        if reads_now:
            # Whole seconds: what is decided in a second holds for all of it.
            data["now"] = datetime.fromtimestamp(int(now), UTC)
        return data

    return variables
