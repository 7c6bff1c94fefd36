"""`cors:` → what a route allows pages of other origins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jwtgate.config.problems import Fault
from jwtgate.plan import Cors

if TYPE_CHECKING:
    from jwtgate.config.document import Path
    from jwtgate.config.report import Report
    from jwtgate.config.schema import CorsSection

# RFC 6454, section 6.2: scheme, host, and the port that is not the scheme's own; never a path.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:\*\.)?(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)
_METHOD = re.compile(r"[A-Z][A-Z_-]{0,31}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


def origin(value: str) -> str | Fault:
    """`https://app.example.com`, `https://*.example.com`, or `*`."""
    if value == "*" or _ORIGIN.fullmatch(value):
        return value
    return Fault("{value} is no origin", "write scheme and host as a browser does: https://app.example.com")


def method(value: str) -> str | Fault:
    """A method, in capitals."""
    if _METHOD.fullmatch(value):
        return value
    return Fault("{value} cannot be a method", "methods are written in capitals: GET, POST")


def header(value: str) -> str | Fault:
    """The name of a header."""
    if _HEADER.fullmatch(value):
        return value
    return Fault("{value} cannot be the name of a header", 'use letters, digits and "-"')


def compile_cors(section: CorsSection | None, path: Path, report: Report) -> Cors | None:
    """What a route allows; None when it says nothing, or something that is wrong."""
    if section is None:
        return None
    if section.pass_on:
        for key in sorted(section.model_fields_set - {"pass_on"}):
            message = f'"{key}" has no meaning where the service answers preflights'
            report.error((*path, key), message, "remove it, or pass_on", at_key=True)
        return Cors(pass_on=True)
    if section.origins is None:
        hint = "add origins: [https://app.example.com], or write cors: pass if the service answers preflights"
        report.error(path, "no origin is allowed", hint, at_key=True)
        return None
    if section.credentials and "*" in section.origins:
        # Fetch, section 3.2.5: `*` counts only for requests without credentials.
        message = 'credentials are never sent to a service that allows every origin ("*")'
        report.error((*path, "origins"), message, "name the origins that may send them")
    return Cors(
        origins=tuple(section.origins),
        methods=tuple(section.methods),
        headers=tuple(section.headers),
        expose=tuple(section.expose),
        credentials=section.credentials,
        max_age=section.max_age,
    )
