"""YAML text → values, and the place of each value.

One document, mappings with text keys, scalars by YAML 1.2 (`config.scalars`), environment variables expanded
(`config.variables`). Tags and merge keys (`<<`) are refused. Anchors and aliases work, but what aliases
repeat is bounded, and so is the depth. Text that is not YAML raises at once. All else is collected in
`Document.problems`; its value is replaced by an empty text, a hole, of which nobody complains a second time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from jwtgate.config.problems import Fault, Problem
from jwtgate.config.scalars import plain_scalar
from jwtgate.config.variables import expand, is_one_variable
from jwtgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yaml.nodes import Node

    _Loader = yaml.SafeLoader
else:
    # libyaml's parser is some ten times faster; a PyYAML that was built without it still works.
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]

_MAX_DEPTH = 50  # far below what would exhaust the stack of PyYAML's composer
_MAX_REPEATED = 100_000  # values that all aliases together may repeat
# YAML 1.2, section 5.1: the characters that a document may hold.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNTAGGED = "untagged"  # our mark for nodes without a tag

_SMALLEST = (
    'the smallest file is "version: 1" and "routes: [{path: /, upstream: app, public: true}]" '
    'and "upstreams: {app: http://127.0.0.1:3000}", each on a line of its own'
)
# What libyaml and PyYAML say → our sentence, and what helps. Anything else is told in their words.
_SYNTAX = (
    (
        "mapping values are not allowed",
        Fault('a ":" where no key can stand', 'put text that holds ": " in quotes, and check the indentation'),
    ),
    (
        "cannot start any token",
        Fault(
            "no value can begin with this character",
            "indent by spaces, never by tabs; text that begins with @, ` or % needs quotes",
        ),
    ),
    (
        "expected ',' or ']'",
        Fault("a list in brackets is not closed", 'separate its items by ",", end it by "]"'),
    ),
    (
        "expected ',' or '}'",
        Fault("a mapping in braces is not closed", 'separate its keys by ",", end it by "}"'),
    ),
    (
        "expected key",
        Fault("no key of the mapping above", 'write "key: value", indented like its neighbours'),
    ),
    (
        "expected '-' indicator",
        Fault("no item of the list above", 'write "- value", indented like its neighbours'),
    ),
    ("could not find expected ':'", Fault('a key without its ":"', 'write "key: value"')),
    ("unexpected end of stream", Fault("the quotes are not closed", "close them")),
    ("undefined alias", Fault("an alias without its anchor", "put text that begins with * in quotes")),
    ("duplicate anchor", Fault("two anchors of the same name", "give each anchor a name of its own")),
    ("nested too deeply", Fault(f"nested more than {_MAX_DEPTH} levels deep", "no setting needs that")),
)


class _Composer(_Loader):
    """Composes nodes only. A node without a tag gets our mark, which tells it from one with a written tag."""

    depth = 0

    # The names and parameters below are PyYAML's hooks; its type stubs leave them open.
    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002, the signature is PyYAML's
        return _UNTAGGED

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:  # noqa: ARG002, as above
        self.depth += 1
        if self.depth > _MAX_DEPTH and current_node is not None:
            raise ComposerError(None, None, "nested too deeply", current_node.start_mark)

    def ascend_resolver(self) -> None:
        self.depth -= 1


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: its values, and where they stand.

    A path leads from the root to a value by keys and indexes. A path may name steps that the file leaves out
    (`listen: 8000` stands for a list of one listener): they are skipped, so a place is always found.
    """

    filename: str
    lines: tuple[str, ...]
    root: Node
    data: Any
    problems: tuple[Problem, ...]
    holes: frozenset[int] = field(repr=False)  # identities of nodes whose value could not be had

    def problem(
        self,
        path: Path,
        fault: Fault,
        *,
        at_key: bool = False,
        warning: bool = False,
        inside: tuple[int, int] = (0, 0),
    ) -> Problem:
        """A problem at the value of the path, or at its key.

        `inside`: line and column within a text, from 1; (0, 0) is where its value begins.
        """
        key, value = self._find(path)
        node = key if at_key and key is not None else value
        line, column = (
            self._inside(node, *inside) if all(inside) else (node.start_mark.line, node.start_mark.column)
        )
        return _problem(self.filename, self.lines, line, column, fault, warning=warning)

    def _inside(self, node: Node, line: int, column: int) -> tuple[int, int]:
        """Where a line and column of a text stand, if the file has that line as it is; else where it begins."""
        mark = node.start_mark
        begin = (mark.line, mark.column)
        texts = node.value.split("\n") if isinstance(node, ScalarNode) else []
        if line > len(texts):
            return begin
        if isinstance(node, ScalarNode) and node.style in ("|", ">"):
            row = mark.line + line
            source = self.lines[row] if row < len(self.lines) else ""
            indent = (
                len(source) - len(source.lstrip(" ")) - (len(texts[line - 1]) - len(texts[line - 1].lstrip(" ")))
            )
        else:
            row, indent = mark.line, mark.column + (1 if isinstance(node, ScalarNode) and node.style else 0)
            source = self.lines[row]
        as_it_is = source[indent:].startswith(texts[line - 1][: column - 1])
        return (row, indent + column - 1) if as_it_is else begin

    def written(self, path: Path) -> str | None:
        """The text of a scalar as the file has it, if it holds a `$`; None for all others."""
        node = self._find(path)[1]
        return node.value if isinstance(node, ScalarNode) and "$" in node.value else None

    def shown(self, path: Path, value: object) -> str:
        """The value at a path as a message shows it: as the file has it, where a variable stands in it."""
        written = self.written(path)
        match value:
            case _ if written is not None:
                return f'"{written}"'
            case str():
                return f'"{value}"'
            case True | False:
                return "true" if value else "false"
            case None:
                return "nothing"
            case list():
                return "a list" if value else "an empty list"
            case dict():
                return "a mapping" if value else "an empty mapping"
            case _:
                return str(value)

    def place(self, path: Path) -> str:
        """`file:line:column` of a value."""
        mark = self._find(path)[1].start_mark
        return f"{self.filename}:{mark.line + 1}:{mark.column + 1}"

    def is_hole(self, path: Path) -> bool:
        """Whether the value is missing because of a problem that is already told."""
        return id(self._find(path)[1]) in self.holes

    def _find(self, path: Path) -> tuple[Node | None, Node]:
        key: Node | None = None
        node = self.root
        for step in path:
            if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
                key, node = None, node.value[step]
            elif isinstance(node, MappingNode) and isinstance(step, str):
                found = next((pair for pair in node.value if pair[0].value == step), None)
                if found is None:
                    break
                key, node = found
        return key, node


def read_document(text: str, filename: str, environ: Mapping[str, str], *, smallest: str = _SMALLEST) -> Document:
    """Read one YAML document. Raises ConfigError, with one problem, for text that is no YAML document.

    `smallest` is what a file without anything is told to write.
    """
    root, builder = _begin(text, filename, environ, smallest)
    data = builder.build(root)
    return Document(filename, builder.lines, root, data, tuple(builder.problems), frozenset(builder.holes))


def read_setting(text: str, filename: str, environ: Mapping[str, str], name: str) -> Any:
    """One value at the top of a document, whatever is wrong with others; None when it is not there.

    Raises ConfigError like `read_document`.
    """
    root, builder = _begin(text, filename, environ, _SMALLEST)
    return next((builder.build(value) for key, value in root.value if key.value == name), None)


def _begin(text: str, filename: str, environ: Mapping[str, str], smallest: str) -> tuple[MappingNode, _Builder]:
    """The nodes of a document, and what builds values of them."""
    text = text.removeprefix("\ufeff")
    lines = tuple(text.splitlines())
    reject = _Reject(filename, lines, smallest)
    if bad := _UNPRINTABLE.search(text):
        before = text[: bad.start()].splitlines() or [""]
        fault = Fault(f"the character U+{ord(bad[0]):04X} cannot stand in a YAML file", "remove it")
        raise reject(len(before) - 1, len(before[-1]), fault)
    return _compose(text, reject), _Builder(filename, lines, environ, reject)


@dataclass(frozen=True, slots=True)
class _Reject:
    """Makes the error of a text that is not read any further."""

    filename: str
    lines: tuple[str, ...]
    smallest: str

    def __call__(self, line: int, column: int, fault: Fault) -> ConfigError:
        return ConfigError([_problem(self.filename, self.lines, line, column, fault)])


def _compose(text: str, reject: _Reject) -> MappingNode:
    loader = _Composer(text)
    try:
        root = loader.get_node() if loader.check_node() else None
        if root is None or (isinstance(root, ScalarNode) and not root.value):
            raise ConfigError([Problem(reject.filename, 0, 0, "the file is empty", reject.smallest)])
        if loader.check_node():
            second = loader.get_node()
            mark = second.start_mark if second else root.end_mark
            hint = 'one file is one configuration: remove the "---"'
            fault = Fault("a second YAML document begins here", hint)
            raise reject(mark.line, mark.column, fault)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        said = f"{error.context or ''} {error.problem or ''}".strip()
        fault = next((fault for words, fault in _SYNTAX if words in said), Fault(said))
        raise reject(line, column, Fault(f"this is not YAML: {fault.message}", fault.hint)) from None
    finally:
        loader.dispose()
    if not isinstance(root, MappingNode):
        fault = Fault("the file must be a mapping of keys to values", reject.smallest)
        raise reject(root.start_mark.line, root.start_mark.column, fault)
    return root


def _problem(
    filename: str, lines: tuple[str, ...], line: int, column: int, fault: Fault, *, warning: bool = False
) -> Problem:
    """A problem at a place counted from 0, as PyYAML counts."""
    # An unclosed bracket is noticed behind the last line: show the last line, at its end.
    if line >= len(lines) and lines:
        line, column = len(lines) - 1, len(lines[-1])
    source = lines[line] if line < len(lines) else ""
    return Problem(
        filename, line + 1, column + 1, fault.message, fault.hint, source, "warning" if warning else "error"
    )


class _Builder:
    """Turns nodes into values. Holds what was found on the way."""

    def __init__(self, filename: str, lines: tuple[str, ...], environ: Mapping[str, str], reject: _Reject) -> None:
        self.filename = filename
        self.lines = lines
        self.environ = environ
        self.reject = reject
        self.problems: list[Problem] = []
        self.holes: set[int] = set()
        self._built: dict[int, tuple[Any, int] | None] = {}  # collections: value and size; None: being built
        self._size = 0
        self._repeated = 0

    def build(self, node: Node) -> Any:
        self._size += 1
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        identity = id(node)
        if identity in self._built:
            return self._alias(node)
        self._refuse_tag(node)
        self._built[identity] = None
        before = self._size
        value = self._mapping(node) if isinstance(node, MappingNode) else [self.build(n) for n in node.value]
        self._built[identity] = (value, self._size - before + 1)
        return value

    def _alias(self, node: Node) -> Any:
        """A collection that was met before: the same value again, as long as that stays small."""
        mark = node.start_mark
        built = self._built[id(node)]
        if built is None:
            fault = Fault("an alias repeats a value that contains it", "write the value out")
            raise self.reject(mark.line, mark.column, fault)
        value, size = built
        self._size += size - 1
        self._repeated += size
        if self._repeated > _MAX_REPEATED:
            fault = Fault(f"aliases repeat more than {_MAX_REPEATED} values", "write the values out")
            raise self.reject(mark.line, mark.column, fault)
        return value

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        values: dict[str, Any] = {}
        places: dict[str, Node] = {}
        for key_node, value_node in node.value:
            value = self.build(value_node)
            if not isinstance(key_node, ScalarNode):
                self._complain(key_node, Fault("a key must be plain text", 'write "key: value"'))
                continue
            self._refuse_tag(key_node)
            key = key_node.value
            if key == "<<" and not key_node.style:
                fault = Fault("merge keys (<<) are not read", "write the keys out, or use an alias as a value")
                self._complain(key_node, fault)
                self.holes.add(id(node))
            elif key in values:
                first = places[key].start_mark
                where = f"{self.filename}:{first.line + 1}:{first.column + 1}"
                hint = f"it stands at {where} too: keep one of them"
                self._complain(key_node, Fault(f'the key "{key}" is here twice', hint))
            else:
                values[key] = value
                places[key] = key_node
        return values

    def _scalar(self, node: ScalarNode) -> Any:
        plain = not node.style  # libyaml says "", PyYAML None
        self._refuse_tag(node)
        text: str = node.value
        if "$" not in text:
            return plain_scalar(text) if plain else text
        expansion = expand(text, self.environ)
        if expansion.faults:
            for offset, fault in expansion.faults:
                self._complain(node, fault, offset)
            self.holes.add(id(node))
            return ""
        # A lone variable without quotes may be a number or a boolean; all else with a variable in it is text.
        return plain_scalar(expansion.text) if plain and is_one_variable(text) else expansion.text

    def _refuse_tag(self, node: Node) -> None:
        if node.tag == _UNTAGGED:
            return
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        self._complain(node, Fault(f'tags ("{tag}") are not read', "remove the tag; quotes make a value text"))
        self.holes.add(id(node))

    def _complain(self, node: Node, fault: Fault, offset: int = 0) -> None:
        mark = node.start_mark
        column = mark.column
        if offset and isinstance(node, ScalarNode):
            # Point into the text where the file has it on one line as it is; else at its beginning.
            opening = 1 if node.style else 0
            line = self.lines[mark.line] if mark.line < len(self.lines) else ""
            if line[column + opening :].startswith(node.value[: offset + 1]):
                column += opening + offset
        self.problems.append(_problem(self.filename, self.lines, mark.line, column, fault))
