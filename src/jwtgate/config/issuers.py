"""`issuers:` → the issuers of the Plan."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from jwtgate.config.fetching import compile_pace
from jwtgate.config.key_sources import compile_keys
from jwtgate.config.presets import PRESETS, with_preset
from jwtgate.config.status import compile_status_lists, lists_of
from jwtgate.config.tenants import check_tenants, issuer_name, keys_of, of_tenant, tenants_of
from jwtgate.plan import Issuer, Template
from jwtgate.policy import DEFAULT_CLAIM_NAMES, ClaimNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import ClaimNamesSection, IssuerSection
    from jwtgate.keys.freshness import Pace
    from jwtgate.plan import KeySource, StatusLists


def compile_issuers(
    sections: Mapping[str, IssuerSection], environ: Mapping[str, str], files: Files, report: Report
) -> dict[str, Issuer]:
    """The issuers whose settings are right. A template is one issuer for each of its tenants."""
    issuers: dict[str, Issuer] = {}
    names: dict[str, str] = {}
    for name, written in sections.items():
        path: Path = ("issuers", name)
        section = with_preset(written)
        if not section.algorithms:
            message = f'issuer "{name}" has no "algorithms"'
            report.error(path, message, "add algorithms: [ES256], or the preset of its kind", at_key=True)
            continue
        check_tenants(section, path, report)
        for tenant in tenants_of(section):
            first = names.setdefault(of_tenant(section.issuer, tenant), name)
            if first != name:
                report.error(
                    (*path, "issuer"),
                    f'issuer "{name}" has the same "iss" as issuer "{first}"',
                    "a token names its issuer by it: make one issuer of the two",
                )
                break
        _check_audience(section, path, report)
        keys = compile_keys(section, path, environ, files, report)
        if keys is not None:
            pace = compile_pace(section.refresh, (*path, "refresh"), report)
            status_lists = compile_status_lists(section, path, files, report)
            issuers.update(_by_name(_issuer(name, section, keys, pace, status_lists), section))
    return issuers


def _by_name(issuer: Issuer, section: IssuerSection) -> Iterator[tuple[str, Issuer]]:
    """The issuer, or of a template each of its tenants."""
    for tenant in tenants_of(section):
        name = issuer_name(issuer.name, tenant)
        if tenant is None:
            yield name, issuer
        else:
            iss, keys = of_tenant(issuer.issuer, tenant), keys_of(issuer, tenant)
            template = Template(issuer.name, issuer.issuer)
            lists = lists_of(issuer.status_lists, tenant)
            own = replace(issuer, name=name, issuer=iss, keys=keys, status_lists=lists, tenant_of=template)
            yield name, own


def _issuer(
    name: str, section: IssuerSection, keys: KeySource, pace: Pace, status_lists: StatusLists | None
) -> Issuer:
    return Issuer(
        name=name,
        issuer=section.issuer,
        keys=keys,
        audience=None if section.audience is None else _shared(tuple(section.audience)),
        algorithms=_shared(tuple(section.algorithms)),
        leeway=section.leeway,
        max_token_bytes=section.max_token_bytes,
        types=None if section.types is None else tuple(map(_media_type, section.types)),
        required_claims=tuple(section.required_claims),
        max_lifetime=section.max_lifetime,
        pace=pace,
        start=section.start,
        audience_claim=section.audience_claim or "aud",
        fixed_claims=PRESETS[section.preset].fixed_claims if section.preset else (),
        claim_names=_claim_names(section.claims),
        status_lists=status_lists,
        unsafe_ignore_status=section.unsafe_ignore_status,
    )


@lru_cache(maxsize=256)
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    """One object for all issuers with the same: each request reads it, and it should stay in a cache."""
    return texts


def _claim_names(section: ClaimNamesSection) -> ClaimNames:
    return ClaimNames(
        section.roles or DEFAULT_CLAIM_NAMES.roles, section.groups or DEFAULT_CLAIM_NAMES.groups, section.scopes
    )


def _media_type(value: str) -> str:
    """RFC 7515, section 4.1.9: `typ` leaves "application/" out where no other slash follows; case is no matter."""
    lower = value.lower()
    short = lower.removeprefix("application/")
    return lower if "/" in short else short


def _check_audience(section: IssuerSection, path: Path, report: Report) -> None:
    name = path[-1]
    if section.audience is None and not section.unsafe_any_audience:
        report.error(
            path,
            f'issuer "{name}" has no "audience"',
            "add audience: …, the name that its tokens have for this gateway (or unsafe_any_audience: true)",
            at_key=True,
        )
    elif section.audience is not None and section.unsafe_any_audience:
        report.error(
            (*path, "unsafe_any_audience"),
            f'issuer "{name}" has both "audience" and "unsafe_any_audience"',
            "keep audience",
            at_key=True,
        )
    elif section.unsafe_any_audience:
        report.warn(
            (*path, "unsafe_any_audience"),
            f'issuer "{name}": tokens that were issued for any other service are accepted here',
            "write audience: … instead, so that a token stolen elsewhere is no use here",
            at_key=True,
        )
