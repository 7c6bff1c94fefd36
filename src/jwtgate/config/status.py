"""`status_lists:` of an issuer: where the statuses of its tokens are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jwtgate.config.fetching import compile_fetching
from jwtgate.config.tenants import of_tenant
from jwtgate.plan import StatusLists

if TYPE_CHECKING:
    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import IssuerSection


def compile_status_lists(section: IssuerSection, path: Path, files: Files, report: Report) -> StatusLists | None:
    """The lists that tokens of the issuer may refer to; None when there are none."""
    name = path[-1]
    if section.unsafe_ignore_status:
        at = (*path, "unsafe_ignore_status")
        if section.status_lists is not None:
            message = f'issuer "{name}" has both "status_lists" and "unsafe_ignore_status"'
            report.error(at, message, "keep status_lists", at_key=True)
            return None
        message = f'issuer "{name}": tokens that their issuer has revoked are accepted'
        report.warn(at, message, "write status_lists: … instead, the URI of its list", at_key=True)
    if section.status_lists is None:
        return None
    if section.secret_env is not None or section.secret_file is not None:
        # Token Status List, section 5.1: not by a Message Authentication Code.
        message = f'issuer "{name}" has "status_lists", and only a secret to verify them by'
        report.error((*path, "status_lists"), message, "a list is signed by a key pair: remove it", at_key=True)
        return None
    for index, address in enumerate(section.status_lists):
        if address.plain_remote and not section.insecure_http:
            report.error(
                (*path, "status_lists", index),
                f'issuer "{name}" would fetch a status list over plain HTTP',
                "write https://…, or add insecure_http: true if the network between is trusted",
            )
    urls = [address.url for address in section.status_lists]
    return StatusLists(
        uris=tuple(url for url in urls if not url.endswith("*")),
        prefixes=tuple(url.removesuffix("*") for url in urls if url.endswith("*")),
        max_stale=section.status_max_stale,
        fetching=compile_fetching(section.fetch, (*path, "fetch"), files, report),
    )


def lists_of(lists: StatusLists | None, tenant: str) -> StatusLists | None:
    """A tenant's lists, from those of its template."""
    if lists is None:
        return None
    uris, prefixes = (tuple(of_tenant(url, tenant) for url in urls) for urls in (lists.uris, lists.prefixes))
    return replace(lists, uris=uris, prefixes=prefixes)
