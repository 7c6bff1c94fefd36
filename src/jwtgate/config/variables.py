"""Environment variables in values: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign.

As in the shell, the default is for a variable that is unset or empty. Any other dollar sign is a mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.config.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\})?")


@dataclass(frozen=True, slots=True)
class Expansion:
    """A value after expansion, and what went wrong, by the offset in the text as it was written."""

    text: str
    faults: tuple[tuple[int, Fault], ...]


def is_one_variable(text: str) -> bool:
    """Whether the text is a single `${…}` and nothing else; such a plain scalar gets its type afterwards."""
    match = _DOLLAR.fullmatch(text)
    return match is not None and match["name"] is not None


def expand(text: str, environ: Mapping[str, str]) -> Expansion:
    """Replace each `${…}`; `environ` is the environment."""
    parts: list[str] = []
    faults: list[tuple[int, Fault]] = []
    end = 0
    for match in _DOLLAR.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        value = _value(match, environ)
        if isinstance(value, Fault):
            faults.append((match.start(), value))
        else:
            parts.append(value)
    return Expansion("".join([*parts, text[end:]]), tuple(faults))


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str | Fault:
    name, default = match["name"], match["default"]
    if match["dollar"]:
        return "$"
    if name is None:
        return Fault(
            "a dollar sign that starts no variable",
            "write ${NAME} or ${NAME:-default} for an environment variable, $$ for a dollar sign",
        )
    value = environ.get(name)
    if value is not None and not value.isascii() and not _is_text(value):
        return Fault(f"the environment variable {name} is not UTF-8 text", "set it to text")
    if default is not None:
        return value or default
    if value is None:
        return Fault(
            f"the environment variable {name} is not set",
            f"export {name}=… before the start, or write ${{{name}:-default}} here",
        )
    return value


def _is_text(value: str) -> bool:
    """Whether a value is text; the bytes of a variable that is none become lone surrogates (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
