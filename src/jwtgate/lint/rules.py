"""The table of rules, and the one function that runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.lint import gates, routes
from jwtgate.lint.scope import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jwtgate.lint.effective import Directive
    from jwtgate.lint.findings import Finding
    from jwtgate.lint.scope import Server

RULES: tuple[Callable[[Server], Iterator[Finding]], ...] = (
    gates.open_auth_location,
    gates.auth_cache_key,
    gates.auth_cache_refusals,
    gates.auth_cache_stale,
    gates.auth_location_public,
    gates.auth_location_body,
    routes.unprotected,
    routes.unasked_return,
    routes.satisfy_any,
    routes.shared_cache,
    routes.off_by_slash,
    routes.lost_headers,
    routes.spoofable_identity,
    routes.open_upgrade,
    routes.lenient_headers,
    routes.unmerged_slashes,
)


def lint(tree: tuple[Directive, ...]) -> list[Finding]:
    """Everything that the rules have to say, each line and rule once, in the order of files and lines."""
    found: dict[tuple[str, str, int], Finding] = {}
    order = {file: number for number, file in enumerate(dict.fromkeys(_files(tree)))}
    for server in servers(tree):
        for rule in RULES:
            for finding in rule(server):
                found.setdefault((finding.rule, finding.file, finding.line), finding)
    return sorted(found.values(), key=lambda each: (order[each.file], each.line, each.rule))


def _files(tree: tuple[Directive, ...]) -> Iterator[str]:
    for each in tree:
        yield each.file
        yield from _files(each.block or ())
