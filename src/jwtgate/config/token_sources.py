"""`token_from:` → where tokens are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jwtgate.config.headers import identity_header
from jwtgate.config.problems import Fault, nearest
from jwtgate.policy import AuthorizationHeader, Cookie, QueryParameter, RequestHeader, WebsocketProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwtgate.policy import TokenSource

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EXAMPLE: Final = "write authorization, {header: X-Access-Token}, {cookie: session}, or a list of such"


def token_sources(value: Any) -> tuple[TokenSource, ...] | Fault:
    """One source, or a list of them, each once."""
    items = value if isinstance(value, list) else [value]
    if not items:
        return Fault("{field} is empty", _EXAMPLE)
    sources: list[TokenSource] = []
    for item in items:
        source = _source(item)
        if isinstance(source, Fault):
            return source
        if source in sources:
            return Fault(f"{{field}} names {_shown(item)} twice", "remove one of them")
        if not isinstance(source, RequestHeader) and any(type(source) is type(other) for other in sources):
            return Fault("{field} names two places of the same kind", "keep one; several headers are possible")
        sources.append(source)
    return tuple(sources)


def _source(item: Any) -> TokenSource | Fault:
    if item == "authorization":
        return AuthorizationHeader()
    if isinstance(item, str):
        return Fault(f'{{field}} does not know "{item}"', _EXAMPLE)
    if not isinstance(item, dict) or len(item) != 1:
        return Fault("{field} must name where the token is, each place by itself", _EXAMPLE)
    ((kind, name),) = item.items()
    make = _KINDS.get(kind)
    if make is None:
        return Fault(f'{{field}} does not know "{kind}"', nearest(kind, _KINDS))
    if not isinstance(name, str):
        return Fault(f'"{kind}" in {{field}} must be a name', f"write {{{kind}: name}}")
    return make(name)


def _header(name: str) -> TokenSource | Fault:
    # What cannot carry a claim to the service has a meaning of its own, or would reach it as something else.
    refused = identity_header(name)
    if isinstance(refused, Fault):
        hint = "for Authorization write authorization, for a cookie {cookie: name}; else choose X-Access-Token"
        return Fault(f'the header "{name}" cannot carry the token', hint)
    return RequestHeader(name)


def _plain(kind: Callable[[str], TokenSource]) -> Callable[[str], TokenSource | Fault]:
    def make(name: str) -> TokenSource | Fault:
        if _NAME.fullmatch(name):
            return kind(name)
        return Fault(f'{{field}} has a name "{name}" that cannot be read', 'use letters, digits, "-" and "_"')

    return make


_KINDS: Final[dict[str, Callable[[str], TokenSource | Fault]]] = {
    "header": _header,
    "cookie": _plain(Cookie),
    "unsafe_query_token": _plain(QueryParameter),
    "websocket_protocol": _plain(WebsocketProtocol),
}


def _shown(item: Any) -> str:
    return item if isinstance(item, str) else " ".join(f"{kind} {name}" for kind, name in item.items())
