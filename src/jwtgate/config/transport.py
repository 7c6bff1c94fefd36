"""`listen:`, `hosts:`, `upstreams:`, `rate_limits:` and `resolver:` → how bytes come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.config.addresses import ip_host
from jwtgate.plan import Host, Listener, RateLimit, Resolver, Server, Tls, Upstream, UpstreamTls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import (
        Gateway,
        ListenerSection,
        RateLimitSection,
        ResolverSection,
        TlsSection,
        UpstreamSection,
        UpstreamTlsSection,
    )


def compile_listeners(sections: list[ListenerSection], files: Files, report: Report) -> tuple[Listener, ...]:
    """The addresses that the gateway listens on."""
    listeners: dict[str, Listener] = {}
    for index, section in enumerate(sections):
        path = ("listen", index)
        if section.address in listeners:
            message = f"a second listener on {section.address}"
            report.error((*path, "address"), message, "remove one of them")
        tls = _tls(section.tls, (*path, "tls"), files, report)
        first = next((listener.tls for listener in listeners.values() if listener.tls), None)
        if tls and first and tls != first:
            # They stand in one server block of NGINX, and that has one certificate.
            message = "this listener has another certificate than the one before it"
            hint = "give all TLS listeners the same certificate and key; a host's own stands in hosts:"
            report.error((*path, "tls"), message, hint)
        redirect_port = _redirect_port(section, sections, path, report)
        listeners.setdefault(section.address, Listener(section.address, tls, speaks_http2(section), redirect_port))
    if sections and all(section.redirect_to_https is not False for section in sections):
        report.error(("listen",), "every listener redirects, and none serves", "add one that does", at_key=True)
    return tuple(listeners.values())


def speaks_http2(section: ListenerSection) -> bool:
    """Whether a listener speaks HTTP/2."""
    return section.tls is not None if section.http2 is None else section.http2


def _tls(section: TlsSection | None, path: Path, files: Files, report: Report) -> Tls | None:
    if section is None:
        return None
    certificate = files.readable((*path, "certificate"), section.certificate, report)
    key = files.readable((*path, "key"), section.key, report)
    return Tls(certificate, key) if certificate and key else None


def _redirect_port(
    section: ListenerSection, sections: list[ListenerSection], path: Path, report: Report
) -> int | None:
    if section.redirect_to_https is False:
        return None
    at = (*path, "redirect_to_https")
    if section.tls is not None:
        report.error(at, '"redirect_to_https" on a listener that speaks https', "remove it, or tls", at_key=True)
        return None
    if section.redirect_to_https is not True:
        return section.redirect_to_https
    port = next((int(each.address.rpartition(":")[2]) for each in sections if each.tls is not None), None)
    if port is None:
        hint = "add a listener with tls, or write the port: redirect_to_https: 443"
        report.error(at, '"redirect_to_https" without a TLS listener', hint, at_key=True)
    return port


def compile_hosts(gateway: Gateway, files: Files, report: Report) -> dict[str, Host]:
    """Hosts with a certificate of their own, by name."""
    hosts: dict[str, Host] = {}
    for name, section in gateway.hosts.items():
        path = ("hosts", name)
        tls = _tls(section.tls, (*path, "tls"), files, report)
        if not any(listener.tls for listener in gateway.listen):
            hint = "add a listener with tls"
            report.error(path, f'host "{name}" has a certificate, and no listener speaks TLS', hint, at_key=True)
        if tls:
            hosts[name] = Host(name, tls)
    return hosts


def compile_upstreams(
    sections: Mapping[str, UpstreamSection], files: Files, report: Report
) -> dict[str, Upstream]:
    """The services, by name."""
    upstreams: dict[str, Upstream] = {}
    names: dict[str, str] = {}
    for name, section in sections.items():
        path = ("upstreams", name)
        first = names.setdefault(name.lower(), name)
        if first != name:
            # ngx_http_upstream_add compares names without case.
            message = f'the upstream "{name}" differs from "{first}" in case only'
            report.error(path, message, "NGINX takes them for one: rename it", at_key=True)
        if name.lower().startswith("jwtgate"):
            message = f'the upstream name "{name}" begins with jwtgate'
            report.error(path, message, "such names are the gateway's own: rename it", at_key=True)
        if not section.servers:
            report.error(path, f'upstream "{name}" has no servers', "write http://host:3000", at_key=True)
            continue
        is_https = section.servers[0].tls
        for index, server in enumerate(section.servers):
            if server.tls != is_https:
                message = f'upstream "{name}" mixes http and https'
                hint = "NGINX speaks to all servers of an upstream alike: make two upstreams"
                report.error((*path, "servers", index), message, hint)
        servers = tuple(Server(server.address, server.is_name) for server in section.servers)
        tls = _upstream_tls(section.tls, servers, path, files, report) if is_https else None
        if section.tls is not None and not is_https:
            hint = "write https:// for the servers, or remove tls"
            report.error(
                (*path, "tls"), f'"tls" of upstream "{name}", whose servers speak http', hint, at_key=True
            )
        upstreams[name] = Upstream(name, servers, tls, section.keepalive, section.resolve)
    return upstreams


def _upstream_tls(
    section: UpstreamTlsSection | None,
    servers: tuple[Server, ...],
    path: Path,
    files: Files,
    report: Report,
) -> UpstreamTls:
    name = path[-1]
    hosts = list(dict.fromkeys(server.host for server in servers))
    server_name = section.server_name if section else None
    skips = section is not None and section.insecure_skip_verify
    if server_name is None and not skips:
        if ip_host(hosts[0]):
            # ngx_ssl_check_host compares names only, never the addresses in a certificate.
            message = f'upstream "{name}" is an IP address, for which NGINX verifies no certificate'
            hint = "add tls: {server_name: …}, the name in the service's certificate"
            report.error(path, message, hint, at_key=True)
        elif len(hosts) > 1:
            message = f'the certificates of all servers of upstream "{name}" must name {hosts[0]}'
            report.warn(path, message, "add tls: {server_name: …} to name another", at_key=True)
    if section is None:
        return UpstreamTls(hosts[0])
    at = (*path, "tls")
    if skips:
        message = f'whoever is between here and upstream "{name}" reads and changes everything'
        report.warn((*at, "insecure_skip_verify"), message, "name its authority by ca_file", at_key=True)
    if section.client_key is not None and section.client_certificate is None:
        report.error((*at, "client_key"), '"client_key" without "client_certificate"', "add it", at_key=True)
    ca_file, certificate, key = (
        None if written is None else files.readable((*at, setting), written, report)
        for setting, written in (
            ("ca_file", section.ca_file),
            ("client_certificate", section.client_certificate),
            ("client_key", section.client_key),
        )
    )
    return UpstreamTls(server_name or hosts[0], ca_file, certificate, key or certificate, verify=not skips)


def compile_rate_limits(sections: Mapping[str, RateLimitSection]) -> dict[str, RateLimit]:
    """Limits, by name."""
    return {
        name: RateLimit(
            name, section.by, section.rate.count, section.rate.per, section.burst or section.rate.count
        )
        for name, section in sections.items()
    }


def compile_resolver(section: ResolverSection | None) -> Resolver | None:
    """The name servers that the file names; None: the system's."""
    return None if section is None else Resolver(tuple(section.servers), section.valid, section.timeout)
