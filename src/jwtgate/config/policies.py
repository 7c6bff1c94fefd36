"""`policies:` → what routes require.

A policy of the Plan is what one or several routes need alike: the named policy and the route's own staleness,
identity headers, token sources and form of the token. Its id is its name and a digest of all that it requires.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from jwtgate.config.problems import nearest
from jwtgate.config.requirements import compile_require
from jwtgate.plan import Discovery, IdentityHeader, InlineJwks, Issuer, JwksFile, JwksUrl, Policy, SharedSecret
from jwtgate.policy import AUTHORIZATION, DEFAULT_CLAIM_NAMES, QueryParameter, RequestHeader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.identity import IdentityValue
    from jwtgate.config.report import Report
    from jwtgate.config.schema import Gateway, IncludeSection, PolicySection, RouteSection
    from jwtgate.config.validate import Validated
    from jwtgate.plan import KeySource
    from jwtgate.policy import Presence, Requirement, TokenSource

_T = TypeVar("_T")

_STALENESS = 10
_IDENTITY_BYTES = 4096


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy of the file: the names of its issuers, and what else it requires."""

    issuers: tuple[str, ...]
    requirement: Requirement | None
    presence: Presence


def compile_policies(validated: Validated, report: Report) -> dict[str, NamedPolicy]:
    """The policies that are right, by name."""
    compiled: dict[str, NamedPolicy] = {}
    for name, section in validated.gateway.policies.items():
        path: Path = ("policies", name)
        named = _named_issuers(section, path, report)
        known = [issuer for at, issuer in named if _check_issuer(issuer, at, validated, report)]
        requirement = compile_require(section.require, (*path, "require"), report) if section.has_require else None
        if known and len(known) == len(named) and (requirement is not None or not section.has_require):
            compiled[name] = NamedPolicy(tuple(known), requirement, _presence(section, path, report))
    return compiled


def _presence(section: PolicySection, path: Path, report: Report) -> Presence:
    if section.unsafe_tolerate_invalid:
        report.warn(
            (*path, "unsafe_tolerate_invalid"),
            f'policy "{path[-1]}": who sends a token that is not valid passes as anonymous',
            "write optional: true instead, so that only who sends none does",
            at_key=True,
        )
        if section.optional:
            message = f'policy "{path[-1]}" has both "optional" and "unsafe_tolerate_invalid"'
            report.error((*path, "optional"), message, "keep optional", at_key=True)
        return "unsafe_tolerate_invalid"
    return "optional" if section.optional else "required"


def _named_issuers(section: PolicySection, path: Path, report: Report) -> list[tuple[Path, str]]:
    name = path[-1]
    if section.issuer is not None and section.issuers is not None:
        hint = "keep issuers, and name them all there"
        report.error((*path, "issuer"), f'policy "{name}" has both "issuer" and "issuers"', hint, at_key=True)
        return []
    if section.issuer is not None:
        return [((*path, "issuer"), section.issuer)]
    if not section.issuers:
        hint = "add issuer: …, the name of one of the issuers; a policy without any would let nobody through"
        report.error(path, f'policy "{name}" has no issuer', hint, at_key=True)
        return []
    seen: set[str] = set()
    for index, issuer in enumerate(section.issuers):
        if issuer in seen:
            report.error((*path, "issuers", index), f'the issuer "{issuer}" is here twice', "remove one of them")
        seen.add(issuer)
    return [((*path, "issuers", index), issuer) for index, issuer in enumerate(section.issuers)]


def _check_issuer(name: str, path: Path, validated: Validated, report: Report) -> bool:
    known = validated.names["issuers"]
    if known is None or name in known:
        return True
    report.error(path, f"unknown issuer {report.shown(path, name)}", nearest(name, known))
    return False


@dataclass(frozen=True, slots=True)
class _Need:
    """What tells the policies of the Plan apart."""

    name: str
    staleness: int
    bare_token: bool
    identity: tuple[IdentityHeader, ...]
    sources: tuple[TokenSource, ...]
    unsafe_allow_stale_status: bool
    shadow: Policy | None = None


@dataclass(slots=True)
class Policies:
    """The policies that routes need, each made once."""

    gateway: Gateway
    named: Mapping[str, NamedPolicy]
    issuers: Mapping[str, Issuer]
    made: dict[str, Policy] = field(default_factory=dict)  # by id
    _by_need: dict[_Need, Policy] = field(default_factory=dict)

    def of(self, section: RouteSection | IncludeSection) -> Policy | None:
        """The policy that a route needs; None if it is public, or its policy is wrong."""
        name = section.policy
        if name is None or name not in self.named:
            return None
        policy, defaults = self.gateway.policies[name], self.gateway.defaults
        need = _Need(
            name,
            first(section.staleness, defaults.staleness, _STALENESS),
            self._bare_token(name, section),
            _identity(first(section.identity, policy.identity, defaults.identity, {})),
            self.sources(name, section),
            section.unsafe_allow_stale_status,
        )
        if section.shadow is not None and section.shadow in self.named:
            # All that NGINX has to know is the enforced policy's; only the decision is the shadow's own.
            bare = self._bare_token(section.shadow, section)
            shadow = replace(need, name=section.shadow, bare_token=bare)
            need = replace(need, shadow=self._once(shadow))
        made = self._once(need)
        self.made[made.id] = made
        return made

    def sources(self, name: str, section: RouteSection | IncludeSection) -> tuple[TokenSource, ...]:
        """Where the policy of this name takes tokens from, on this route."""
        defaults, policy = self.gateway.defaults, self.gateway.policies[name]
        return first(section.token_from, policy.token_from, defaults.token_from, AUTHORIZATION)

    def _bare_token(self, name: str, section: RouteSection | IncludeSection) -> bool:
        defaults, policy = self.gateway.defaults, self.gateway.policies[name]
        return first(section.bare_token, policy.bare_token, defaults.bare_token, False)

    def _once(self, need: _Need) -> Policy:
        made = self._by_need.get(need)
        if made is None:
            made = self._by_need[need] = self._make(need)
        return made

    def _make(self, need: _Need) -> Policy:
        named = self.named[need.name]
        required: dict[str, object] = {
            "bare_token": need.bare_token,
            "identity": list(map(_canonical_identity, need.identity)),
            "issuers": [_canonical(self.issuers[issuer]) for issuer in named.issuers if issuer in self.issuers],
            "name": need.name,
            "staleness": need.staleness,
            "unsafe_allow_stale_status": need.unsafe_allow_stale_status,
        }
        # A repr of frozen dataclasses has all there is, and is always the same.
        if named.requirement is not None:
            required["requirement"] = repr(named.requirement)
        if need.sources != AUTHORIZATION:
            required["sources"] = repr(need.sources)
        if self.gateway.identity_bytes != _IDENTITY_BYTES:
            required["identity_bytes"] = self.gateway.identity_bytes
        if named.presence != "required":
            required["presence"] = named.presence
        if need.shadow is not None:
            required["shadow"] = need.shadow.id
        text = json.dumps(required, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return Policy(
            id=f"{need.name}-{digest}",
            name=need.name,
            issuers=named.issuers,
            bare_token=need.bare_token,
            staleness=need.staleness,
            identity=need.identity,
            requirement=named.requirement,
            sources=need.sources,
            presence=named.presence,
            unsafe_allow_stale_status=need.unsafe_allow_stale_status,
            shadow=need.shadow,
        )


def warn_of_query_tokens(gateway: Gateway, report: Report) -> None:
    """A token in a query is a token in logs."""
    places: list[tuple[Path, tuple[TokenSource, ...] | None]] = [
        (("defaults", "token_from"), gateway.defaults.token_from),
        *((("policies", name, "token_from"), policy.token_from) for name, policy in gateway.policies.items()),
        *((("routes", index, "token_from"), route.token_from) for index, route in enumerate(gateway.routes)),
    ]
    for path, sources in places:
        if any(isinstance(source, QueryParameter) for source in sources or ()):
            message = "a token in the query stands in NGINX's error log, and in the history of browsers"
            report.warn(path, message, "use a cookie or a header where the client can", at_key=True)


def check_headers(policies: Mapping[str, Policy], report: Report) -> None:
    """A header that a policy reads must not be one that the gateway sets for services."""
    set_by_us = {each.header.lower(): each.header for policy in policies.values() for each in policy.identity}
    for policy in policies.values():
        sources = (source.name.lower() for source in policy.sources if isinstance(source, RequestHeader))
        for name in dict.fromkeys((*policy.inputs.headers, *sources)):
            if name in set_by_us:
                message = f'policy "{policy.name}" reads the header {name}, which is an identity header'
                hint = f"services get {set_by_us[name]} from the gateway alone: rename one of the two"
                report.error(("policies", policy.name), message, hint, at_key=True)


def first(*choices: _T | None) -> _T:
    """The first choice that is made."""
    return next(choice for choice in choices if choice is not None)


def _identity(section: Mapping[str, IdentityValue]) -> tuple[IdentityHeader, ...]:
    return tuple(
        IdentityHeader(header, value.claim, value.comma_list, value.omit)
        for header, value in sorted(section.items())
    )


def _canonical_identity(header: IdentityHeader) -> object:
    simple = header.claim is not None and len(header.claim) == 1 and not header.comma_list and not header.omit
    return [header.header, header.claim[0]] if simple and header.claim else repr(header)


def _canonical(issuer: Issuer) -> dict[str, object]:
    """Everything that an issuer requires, as JSON can say it, without its secret."""
    unusual: dict[str, object] = {}
    if issuer.claim_names != DEFAULT_CLAIM_NAMES:
        unusual["claim_names"] = repr(issuer.claim_names)
    if issuer.audience_claim != "aud" or issuer.fixed_claims:
        unusual["tokens"] = (issuer.audience_claim, issuer.fixed_claims)
    lists = issuer.status_lists
    return {
        **unusual,
        "algorithms": issuer.algorithms,
        "audience": issuer.audience,
        "issuer": issuer.issuer,
        "keys": _canonical_keys(issuer.keys),
        "leeway": issuer.leeway,
        "max_lifetime": issuer.max_lifetime,
        "max_token_bytes": issuer.max_token_bytes,
        "name": issuer.name,
        "required_claims": issuer.required_claims,
        "status_lists": None if lists is None else (lists.uris, lists.prefixes, lists.max_stale),
        "types": issuer.types,
        "unsafe_ignore_status": issuer.unsafe_ignore_status,
    }


def _canonical_keys(keys: KeySource) -> tuple[str, ...]:
    match keys:
        case JwksUrl(url):
            return ("jwks", url)
        case Discovery(issuer, urls):
            return ("discovery", issuer, *urls)
        case JwksFile(path):
            return ("jwks_file", str(path))
        case InlineJwks(jwks):
            return ("inline", hashlib.sha256(jwks).hexdigest())
        case SharedSecret(secret):
            return ("secret", hashlib.sha256(secret).hexdigest())
