"""`tenants:`: one section of gateway.yaml that stands for an issuer per tenant.

A multi-tenant provider has an issuer for each of its customers, alike but for a name in the URL: `{tenant}` in
`issuer`. Only the tenants that are listed are trusted, and each becomes an issuer of its own in the Plan, with an
`iss` that is compared whole. Their keys are common to all of them, or fetched for each: where `{tenant}` stands in
the URL of the keys or of the metadata too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from jwtgate.config.addresses import TENANT
from jwtgate.keys.metadata import ANY_TENANT
from jwtgate.plan import Discovery, InlineJwks, JwksFile, JwksUrl, SharedSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.report import Report
    from jwtgate.config.schema import IssuerSection
    from jwtgate.plan import Issuer, KeySource

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def tenants_of(section: IssuerSection) -> tuple[str | None, ...]:
    """The tenants of a template; a single None for an issuer that is none."""
    return (None,) if section.tenants is None else tuple(section.tenants)


def issuer_name(name: str, tenant: str | None) -> str:
    """The name of an issuer of the Plan. No name in gateway.yaml has a slash in it."""
    return name if tenant is None else f"{name}/{tenant}"


def issuer_names(sections: Mapping[str, IssuerSection]) -> dict[str, tuple[str, ...]]:
    """The issuers of the Plan that each name of gateway.yaml stands for."""
    return {
        name: tuple(issuer_name(name, tenant) for tenant in tenants_of(section))
        for name, section in sections.items()
    }


def of_tenant(template: str, tenant: str | None) -> str:
    """A template with a tenant's name in its place."""
    return template if tenant is None else template.replace(TENANT, tenant)


def keys_of(issuer: Issuer, tenant: str) -> KeySource:
    """Where a tenant's keys are, from those of its template."""
    match issuer.keys:
        case JwksUrl(url):
            return replace(issuer.keys, url=of_tenant(url, tenant))
        case Discovery(_, urls) as keys if any(TENANT in url for url in urls):
            own = tuple(of_tenant(url, tenant) for url in urls)
            return replace(keys, issuer=of_tenant(issuer.issuer, tenant), urls=own)
        case Discovery() as keys:
            # The metadata of all tenants together has this in the place of a tenant.
            return replace(keys, issuer=issuer.issuer.replace(TENANT, ANY_TENANT))
        case JwksFile() | InlineJwks() | SharedSecret():
            return issuer.keys


def check_tenants(section: IssuerSection, path: Path, report: Report) -> None:
    """Report a template without its list, a list without its template, and placeholders that mean nothing."""
    name = path[-1]
    for placeholder in _PLACEHOLDER.findall(section.issuer):
        if placeholder != TENANT:
            message = f'"{placeholder}" in "issuer" is not a placeholder'
            report.error((*path, "issuer"), message, f"write {TENANT}, and tenants: […] beside it")
            return
    for index, tenant in enumerate(section.tenants or ()):
        if tenant in (section.tenants or ())[:index]:
            report.error((*path, "tenants", index), f'the tenant "{tenant}" is here twice', "remove one of them")
    is_template = TENANT in section.issuer
    if is_template and section.tenants is None:
        report.error(
            (*path, "issuer"),
            f'issuer "{name}" is for any {TENANT}, and has no "tenants"',
            "add tenants: […], those whose tokens are trusted; anybody can become a tenant",
        )
    elif not is_template and section.tenants is not None:
        hint = f"put {TENANT} where the tenant stands in it, or remove tenants"
        report.error((*path, "tenants"), f'"tenants" without {TENANT} in "issuer"', hint, at_key=True)
    for setting, address in (("jwks", section.jwks), ("discovery", section.discovery)):
        if address is not None and not isinstance(address, bool) and TENANT in address.url and not is_template:
            hint = f'put it into "issuer" too, or write the URL without {TENANT}'
            report.error((*path, setting), f'{TENANT} in "{setting}" without {TENANT} in "issuer"', hint)
