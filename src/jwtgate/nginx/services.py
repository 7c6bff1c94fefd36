"""The services behind the gateway, as this NGINX reaches them.

A host name must neither keep NGINX from starting nor be resolved once and for all. From 1.27.3, `resolve` in an
upstream block does that. Before, only a variable in `proxy_pass` makes NGINX ask its resolver: then there is no
upstream block, so no connection is kept alive, and of several servers each request gets one, without a second try.
What is no name, or stands in /etc/hosts, or is to be resolved `at_start`, has an ordinary upstream block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.nginx.quote import Quoted, quote
from jwtgate.plan import Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.nginx.site import Site
    from jwtgate.plan import Plan, Server, Upstream


@dataclass(frozen=True, slots=True)
class Service:
    """An upstream, and how to name it in `proxy_pass` or `grpc_pass`."""

    upstream: Upstream
    resolved: frozenset[Server]  # those that the resolver is asked for
    variable: Quoted | None  # what holds the address of the server, where there is no upstream block

    @property
    def has_block(self) -> bool:
        """Whether it has an upstream block."""
        return self.variable is None

    @property
    def target(self) -> Quoted:
        """What stands after `http://`."""
        return self.variable or quote(self.upstream.name)

    @property
    def shares(self) -> tuple[tuple[str, Server], ...]:
        """Each server, and its share of the requests as `split_clients` writes it."""
        servers = self.upstream.servers
        percent = f"{100 / len(servers):.2f}%"
        return tuple(("*" if server == servers[-1] else percent, server) for server in dict.fromkeys(servers))


def services(plan: Plan, site: Site) -> Mapping[str, Service]:
    """Every upstream by its name."""
    return {
        name: _service(upstream, number, site) for number, (name, upstream) in enumerate(plan.upstreams.items(), 1)
    }


def resolver(plan: Plan, site: Site, every: Mapping[str, Service]) -> Resolver | None:
    """Whom NGINX asks for names; None when it has nothing to ask."""
    if not any(service.resolved for service in every.values()):
        return None
    return plan.resolver or Resolver(site.names.servers)


def _service(upstream: Upstream, number: int, site: Site) -> Service:
    resolved = frozenset(
        server
        for server in upstream.servers
        if server.is_name and upstream.resolve == "always" and server.host.lower() not in site.names.hosts
    )
    by_variable = bool(resolved) and not site.features.upstream_resolve
    return Service(upstream, resolved, Quoted(f"$jwtgate_service_{number}") if by_variable else None)
