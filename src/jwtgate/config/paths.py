"""The parser of a route's path. See `values`.

A path goes into an NGINX location, which is compared with the decoded and normalised path of a request: what
could never match, or would mean something to NGINX's grammar, is refused.
"""

from __future__ import annotations

import re

from jwtgate.config.problems import Fault
from jwtgate.config.values import MAX_TEXT_BYTES

RESERVED_PATH = "/_jwtgate"
_PLAIN_PATH = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?")
# Each would mean something to NGINX's grammar or to a URL, or be something else once NGINX has decoded it.
_REFUSED_IN_PATH = (
    ("?", "a question mark", "a path has no query"),
    ("#", "a number sign", "a path has no fragment"),
    ("%", "a percent sign", "NGINX compares decoded paths: write the character itself"),
    (";", "a semicolon", "NGINX reads it as the end of a line"),
    ("{", "a brace", "NGINX reads it as the beginning of a block"),
    ("}", "a brace", "NGINX reads it as the end of a block"),
    ('"', "a quote", "NGINX reads it as its own"),
    ("'", "a quote", "NGINX reads it as its own"),
    ("\\", "a backslash", "NGINX reads it as an escape"),
    ("$", "a dollar sign", "NGINX reads it as a variable"),
)


def route_path(value: str) -> str | Fault:
    """The path of a route: a prefix if it ends in `/`, else exact."""
    plain = _PLAIN_PATH.fullmatch(value) and len(value) < MAX_TEXT_BYTES
    if plain and not value.startswith(RESERVED_PATH):
        return value
    return _unusual_path(value)


def _unusual_path(value: str) -> str | Fault:
    if not value.startswith("/"):
        return Fault("the path {value} does not begin with a slash", f"write /{value}" if value else "write /")
    for character, what, why in _REFUSED_IN_PATH:
        if character in value:
            return Fault(f"the path {{value}} holds {what}", why)
    if not value.isprintable() or " " in value:
        return Fault("the path {value} holds white space or a control character", "remove it")
    if len(value.encode()) > MAX_TEXT_BYTES:
        return Fault(f"{{field}} is longer than {MAX_TEXT_BYTES} bytes", "shorten it")
    if "//" in value:
        return Fault("the path {value} holds an empty segment", "NGINX merges slashes: write one")
    if {".", ".."} & set(value.split("/")):
        return Fault(
            "the path {value} holds a dot segment", "NGINX resolves . and ..: write the path that is meant"
        )
    if value == RESERVED_PATH or value.startswith(f"{RESERVED_PATH}/"):
        return Fault(f"paths under {RESERVED_PATH}/ are the gateway's own", "choose another path")
    return value
