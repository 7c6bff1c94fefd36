"""`discovery:`, `fetch:` and `refresh:` of an issuer: where, how and how often its keys are fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jwtgate.config import addresses
from jwtgate.config.pem import authorities, certificate_and_key
from jwtgate.config.problems import Fault
from jwtgate.keys.freshness import Pace
from jwtgate.keys.metadata import metadata_urls
from jwtgate.plan import Discovery, Fetching

if TYPE_CHECKING:
    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import FetchSection, IssuerSection, RefreshSection

# RFC 9110, section 5.6.2. What the client itself writes is not for configuration.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_SECRET_HEADER = re.compile(r"auth|key|token|secret|password|cookie|credential", re.IGNORECASE)
_OWN_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


def discovery(value: Any) -> addresses.KeyUrl | bool | Fault:
    """`true`, or the URL of the metadata."""
    if value is True:
        return True
    if isinstance(value, str):
        return addresses.jwks_url(value, "true, or https://issuer.example.com/.well-known/openid-configuration")
    return Fault("{field} must be true or a URL, not {value}", "write discovery: true, or leave it out")


def proxy(value: str) -> str | Fault:
    """The URL of a proxy. It may hold a password, so it is never repeated."""
    if re.fullmatch(r"https?://[\x21-\x7e]+", value):
        return value
    return Fault("{field} is not the URL of a proxy", "write http://proxy.example.com:3128")


def header_name(value: str) -> str | Fault:
    """The name of a header that is sent to an issuer."""
    if not _HEADER_NAME.fullmatch(value):
        return Fault("{value} cannot be the name of a header", "write a name like X-Api-Key")
    if value.lower() in _OWN_HEADERS:
        return Fault("{value} is written by the gateway itself", "remove it")
    return value


def header_value(value: str) -> str | Fault:
    """The value of a header that is sent to an issuer. It may be a secret, so it is never repeated."""
    if re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?", value):
        return value
    return Fault("{field} is not the value of a header", "write printable ASCII without spaces around it")


def discovered_from(section: IssuerSection, path: Path, report: Report) -> addresses.KeyUrl | None:
    """The address that an issuer's metadata is fetched from; None after a report, or without `discovery`."""
    if not isinstance(section.discovery, bool):
        return section.discovery
    if not section.discovery:
        return None
    found = addresses.jwks_url(section.issuer)
    if isinstance(found, Fault) or "?" in section.issuer:
        report.error(
            (*path, "discovery"),
            f'the "iss" of issuer "{path[-1]}" is not a URL that its metadata could be found under',
            "write discovery: https://…, the URL of its metadata, or jwks: https://…",
        )
        return None
    return found


def compile_discovery(section: IssuerSection, address: addresses.KeyUrl, fetching: Fetching) -> Discovery:
    """Where the metadata can be, and whose it must be."""
    urls = metadata_urls(address.url) if section.discovery is True else (address.url,)
    return Discovery(section.issuer, urls, fetching)


def compile_fetching(section: FetchSection | None, path: Path, files: Files, report: Report) -> Fetching:
    """How documents are fetched."""
    if section is None:
        return Fetching()
    if section.client_key is not None and section.client_certificate is None:
        report.error((*path, "client_key"), '"client_key" without "client_certificate"', "add it", at_key=True)
    for name in section.headers:
        if _SECRET_HEADER.search(name) and report.document.written((*path, "headers", name)) is None:
            message = f'the header "{name}" looks like a secret, and stands in this file in plain text'
            hint = f'write {name}: "${{VARIABLE}}", and set that variable in the environment'
            report.warn_beside_a_secret((*path, "headers", name), message, hint)
    ca_file = authorities((*path, "ca_file"), section.ca_file, files, report)
    certificate, key = certificate_and_key(
        ((*path, "client_certificate"), (*path, "client_key")),
        (section.client_certificate, section.client_key),
        files,
        report,
    )
    return Fetching(
        connect_timeout=float(min(section.connect_timeout, section.timeout)),
        total_timeout=float(section.timeout),
        max_bytes=section.max_bytes,
        max_keys=section.max_keys,
        ca_file=ca_file,
        client_certificate=certificate,
        client_key=key,
        proxy=section.proxy,
        headers=tuple(section.headers.items()),
    )


def compile_pace(section: RefreshSection | None, path: Path, report: Report) -> Pace:
    """How often keys are fetched."""
    if section is None:
        return Pace()
    if section.least > section.most:
        hint = f'"least" is {section.least} seconds: write that or more'
        report.error((*path, "most"), '"most" is shorter than "least"', hint)
    # The default lifetime of one that is not written gives way.
    if "default" in section.model_fields_set and not section.least <= section.default <= section.most:
        message = (
            f'"default" is {section.default} seconds, and lifetimes are kept between {section.least} ("least") '
            f'and {section.most} ("most")'
        )
        hint = f'write {section.default}s for "{"most" if section.default > section.most else "least"}" too'
        report.error((*path, "default"), message, hint)
    if section.max_stale < section.most:
        hint = "keys would be given up before they are due; 24h is the default"
        report.error((*path, "max_stale"), '"max_stale" is shorter than "most"', hint)
    return Pace(
        least=float(section.least),
        most=float(section.most),
        default=float(section.default),
        min_refetch=float(section.min_refetch),
        max_stale=float(section.max_stale),
    )
