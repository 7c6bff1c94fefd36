"""Who inherits what, and which location answers a URI.

NGINX's rule for almost every directive: a level that has none of its own takes those of the level around it, all
of them; one of its own, and all of the outer ones are gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.lint.effective import Directive

PASSES = ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass")
# What means every address, to `allow` and `deny`; IPv4's and IPv6's.
_EVERYONE = (frozenset({"all", "0.0.0.0/0"}), frozenset({"all", "::/0"}))


@dataclass(frozen=True)
class Scope:
    """A block of http, server, location, `if` or `limit_except`, and what is around it."""

    node: Directive
    outer: Scope | None

    @cached_property
    def _lines(self) -> dict[str, tuple[Directive, ...]]:
        """Its directives by name: a server can have thousands of locations, each of which asks it."""
        lines: dict[str, list[Directive]] = {}
        for each in self.node.block or ():
            lines.setdefault("access" if each.name in ("allow", "deny") else each.name, []).append(each)
        return {name: tuple(found) for name, found in lines.items()}

    def own(self, name: str) -> tuple[Directive, ...]:
        """The directives of that name in this very block; `access` for allow and deny, inherited together."""
        return self._lines.get(name, ())

    def effective(self, name: str) -> tuple[Directive, ...]:
        """The directives of that name that hold here: of the nearest level that has some."""
        scope: Scope | None = self
        while scope is not None:
            if found := scope.own(name):
                return found
            scope = scope.outer
        return ()

    def value(self, name: str, default: str = "") -> str:
        """The first argument of a directive that stands once."""
        found = self.effective(name)
        return found[-1].args[0] if found and found[-1].args else default

    @property
    def protected(self) -> bool:
        """Whether something looks at who asks."""
        if self.value("auth_request", "off") != "off":
            return True
        if any(self.value(name, "off") != "off" for name in ("auth_basic", "auth_jwt")):
            return True
        return self.value("ssl_verify_client") == "on" or all(map(self._refuses_all, _EVERYONE))

    def _refuses_all(self, everyone: frozenset[str]) -> bool:
        """Whether no address of one family passes: after `allow all`, a `deny all` is never reached."""
        rules = [each.name for each in self.effective("access") if each.args and each.args[0] in everyone]
        return rules[:1] == ["deny"]

    @property
    def server(self) -> Directive:
        """The server block that it is in."""
        return self.node if self.node.name == "server" or self.outer is None else self.outer.server


@dataclass(frozen=True, slots=True)
class Location:
    """A location, and the blocks in it whose settings replace its own: `if`, and `limit_except`."""

    scope: Scope
    ifs: tuple[Scope, ...]
    limits: tuple[Scope, ...] = ()

    def __str__(self) -> str:
        return f"location {' '.join(self.node.args)}"

    @property
    def node(self) -> Directive:
        """Its line."""
        return self.scope.node

    @property
    def modifier(self) -> str:
        """`=`, `^~`, `~`, `~*`, `@` for a named location, or nothing."""
        if len(self.node.args) > 1:
            return self.node.args[0]
        return "@" if self.path.startswith("@") else ""

    @property
    def path(self) -> str:
        """What it matches."""
        return self.node.args[-1] if self.node.args else ""

    @property
    def reachable(self) -> bool:
        """Whether a client can ask for it."""
        return self.modifier != "@" and not self.scope.own("internal")

    @property
    def ask(self) -> str | None:
        """The URI that is asked before this location answers; None when nobody is."""
        found = self.scope.effective("auth_request")
        return found[-1].args[0] if found and found[-1].args and found[-1].args[0] != "off" else None

    @property
    def passes(self) -> tuple[Directive, ...]:
        """The lines that hand requests to a service, those in an `if` or `limit_except` included."""
        return tuple(each for _, lines in self.ways for each in lines)

    @property
    def ways(self) -> Iterator[tuple[Scope, tuple[Directive, ...]]]:
        """By which settings requests are let through, and the lines that then hand them to a service.

        `limit_except` replaces them for the methods that it does not name, the service only if it names one.
        """
        own = tuple(each for scope in (self.scope, *self.ifs) for each in scope.node.inner(*PASSES))
        yield self.scope, own
        for limit in self.limits:
            yield limit, tuple(limit.node.inner(*PASSES)) or own

    @property
    def protected(self) -> bool:
        """Whether something looks at who asks, by whatever method."""
        return all(scope.protected for scope, _ in self.ways)


@dataclass(slots=True)
class Server:
    """A server block, its locations, and which of them are asked by `auth_request`."""

    scope: Scope
    locations: tuple[Location, ...]
    _found: dict[str, Location | None] = field(default_factory=dict)

    def find(self, uri: str) -> Location | None:
        """The location that answers a URI of our own, as NGINX finds it: exact, prefix, expressions."""
        if uri not in self._found:
            self._found[uri] = self._find(uri.partition("?")[0])
        return self._found[uri]

    def _find(self, uri: str) -> Location | None:
        if uri.startswith("@"):
            return next((each for each in self.locations if each.path == uri), None)
        prefixes = []
        for each in self.locations:
            if each.modifier == "=" and each.path == uri:
                return each
            if each.modifier in ("", "^~") and uri.startswith(each.path):
                prefixes.append(each)
        best = max(prefixes, key=lambda each: len(each.path), default=None)
        if best is not None and best.modifier == "^~":
            return best
        return next((each for each in self.locations if _matches(each, uri)), best)

    @property
    def gates(self) -> dict[int, Location]:
        """The locations that some `auth_request` of this server asks, by the identity of their line."""
        found = {each.ask: self.find(each.ask) for each in self.locations if each.ask is not None}
        return {id(gate.node): gate for gate in found.values() if gate is not None}


def servers(tree: tuple[Directive, ...]) -> Iterator[Server]:
    """Every server of the http block, in the order of the files."""
    for http in (each for each in tree if each.name == "http"):
        around = Scope(http, None)
        for node in http.inner("server"):
            scope = Scope(node, around)
            yield Server(scope, tuple(_locations(scope)))


def _locations(scope: Scope) -> Iterator[Location]:
    for node in scope.node.inner("location"):
        inner = Scope(node, scope)
        blocks = {name: tuple(Scope(each, inner) for each in node.inner(name)) for name in ("if", "limit_except")}
        yield Location(inner, blocks["if"], blocks["limit_except"])
        yield from _locations(inner)


def _matches(location: Location, uri: str) -> bool:
    if location.modifier not in ("~", "~*"):
        return False
    try:
        return re.search(location.path, uri, re.IGNORECASE if location.modifier == "~*" else 0) is not None
    except re.error:  # PCRE knows more than Python: then it is not asked
        return False
