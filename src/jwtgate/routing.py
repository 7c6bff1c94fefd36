"""The route that NGINX chooses for a path, for those who decide without NGINX: explain, test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jwtgate.plan import Plan, Route


def match_route(plan: Plan, host: str | None, path: str) -> Route | None:
    """The route that NGINX would choose. A host has its own routes and those that name none.

    Exact before prefix, the longest prefix before others, the host's own before everybody's.
    """
    server = _server(plan, host)
    asked = path.partition("?")[0]

    def rank(route: Route) -> tuple[bool, int, bool]:
        return (route.match == "exact", len(route.path), route.host is not None)

    def fits(route: Route) -> bool:
        right_path = asked == route.path if route.match == "exact" else asked.startswith(route.path)
        return right_path and route.host in (None, server)

    return max(filter(fits, plan.routes), key=rank, default=None)


def _server(plan: Plan, host: str | None) -> str | None:
    """The `host` of the routes that are for a host: its own name, else the longest wildcard that fits."""
    if host is None:
        return None
    # RFC 9110, section 7.2: Host may carry a port. Names are compared without case.
    name = host.lower().rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host.lower()
    hosts = {route.host for route in plan.routes if route.host is not None}
    if name in hosts:
        return name
    wildcards = (each for each in hosts if each.startswith("*.") and name.endswith(each[1:]))
    return max(wildcards, key=len, default=None)
