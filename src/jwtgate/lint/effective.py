"""The configuration as NGINX sees it: every file put where its `include` stands.

The files come from a dump of `nginx -T` (each after a line `# configuration file PATH:`), or from the disk. Each
is read by crossplane, which knows NGINX's grammar; what is included is found here, since a dump's files are
nowhere else.
"""

from __future__ import annotations

import glob
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import crossplane  # type: ignore[import-untyped]  # it ships no types

from jwtgate.errors import LintError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_FILE_LINE = re.compile(r"^# configuration file (.+):\r?$", re.MULTILINE)
_MAX_DEPTH = 50  # of includes: a file that includes itself never ends


@dataclass(frozen=True, slots=True)
class Directive:
    """A line of the configuration. `block` is what stands in its braces; None without braces."""

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] | None = None

    def inner(self, *names: str) -> Iterator[Directive]:
        """The directives of these names directly in its block."""
        return (each for each in self.block or () if each.name in names)


@dataclass(frozen=True, slots=True)
class _Files:
    """Where files come from: their text by name, and the names that a pattern of `include` means."""

    text: Callable[[str], str]
    matching: Callable[[str], Sequence[str]]
    directory: PurePosixPath  # of nginx.conf: relative names are relative to it


def is_dump(text: str) -> bool:
    """Whether a file holds what `nginx -T` printed, perhaps behind NGINX's own messages, and no nginx.conf."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("nginx: ")), "")
    return _FILE_LINE.match(first) is not None


def read_dump(text: str) -> tuple[Directive, ...]:
    """The tree of a dump of `nginx -T`. Raises LintError when it is none, or does not parse."""
    parts = _FILE_LINE.split(text)[1:]
    if not parts:
        raise LintError(
            "this is not what `nginx -T` prints: no line `# configuration file …:` in it.\n"
            "Write: nginx -T | jwtgate lint -   or name the file: jwtgate lint /etc/nginx/nginx.conf"
        )
    # Each part begins behind the line that names it: one newline less, so that lines count from 1.
    files = {name: part.removeprefix("\n") for name, part in zip(parts[::2], parts[1::2], strict=True)}
    main = parts[0]

    def matching(pattern: str) -> list[str]:
        # Part by part, as glob(3): a `*` ends at a slash, so that a snippet in a directory below stays outside.
        return sorted(name for name in files if name == pattern or PurePosixPath(name).match(pattern))

    return _parse(main, _Files(files.__getitem__, matching, PurePosixPath(main).parent), 0)


def read_file(path: Path) -> tuple[Directive, ...]:
    """The tree of nginx.conf and what it includes. Raises LintError when a file is missing or does not parse."""

    def text(name: str) -> str:
        try:
            return Path(name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise LintError(f"{name} cannot be read: {error.strerror}") from error

    def matching(pattern: str) -> list[str]:
        # Like NGINX: a plain name must be there, a pattern may match nothing.
        return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 - patterns are absolute or relative to another directory

    return _parse(str(path), _Files(text, matching, PurePosixPath(path).parent), 0)


def _parse(name: str, files: _Files, depth: int) -> tuple[Directive, ...]:
    if depth > _MAX_DEPTH:
        raise LintError(f"{name} is included more than {_MAX_DEPTH} deep: does it include itself?")
    text = files.text(name)
    if "\0" in text:
        raise LintError(f"{name} is a binary file: expected an nginx.conf, or what `nginx -T` prints")
    # crossplane reads from files only
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="jwtgate-lint-") as file:
        file.write(text)
        file.flush()
        parsed = crossplane.parse(file.name, single=True, check_ctx=False, check_args=False)
    if parsed["errors"]:
        error = parsed["errors"][0]
        # Where it understands nothing at all it says nothing either.
        said = re.sub(r" in \S+:\d+$", "", error["error"]) or "this is not the grammar of an nginx.conf"
        raise LintError(f"{name}:{error['line'] or 1}: {said}.\nLet NGINX check the configuration first: nginx -t")
    return tuple(_directives(parsed["config"][0]["parsed"], name, files, depth))


def _directives(items: list[dict[str, Any]], file: str, files: _Files, depth: int) -> Iterator[Directive]:
    for item in items:
        name, args, line = item["directive"], tuple(item["args"]), item["line"]
        if name == "include" and len(args) == 1:
            for included in files.matching(str(files.directory / args[0])):
                yield from _parse(included, files, depth + 1)
        else:
            block = item.get("block")
            inner = None if block is None else tuple(_directives(block, file, files, depth))
            yield Directive(name, args, file, line, inner)
