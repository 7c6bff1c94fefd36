"""`policies:` and `routes:` → the routes of the Plan, and the policies that they need.

A policy of the Plan is what one or several routes need alike: the named policy and the route's own staleness,
identity headers and form of the token. Its id is its name and a digest of all that it requires.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from jwtgate.config.answers import Overrides, answers
from jwtgate.config.denials import compile_denials
from jwtgate.config.problems import nearest
from jwtgate.config.requirements import compile_require
from jwtgate.config.transport import speaks_http2
from jwtgate.plan import Discovery, InlineJwks, Issuer, JwksFile, JwksUrl, Policy, Route, SharedSecret
from jwtgate.policy import DEFAULT_CLAIM_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.config.document import Path
    from jwtgate.config.report import Report
    from jwtgate.config.schema import Gateway, PolicySection, RouteSection
    from jwtgate.config.validate import Validated
    from jwtgate.plan import Answers, KeySource
    from jwtgate.policy import Requirement

_T = TypeVar("_T")

_STALENESS = 10
_MAX_BODY = 10 * 1024**2
_CONNECT_TIMEOUT = 5
_TIMEOUT = 60
_LONG_LIVED_READ_TIMEOUT = 3600  # between two messages of a websocket or an event stream


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy of the file: the names of its issuers, and what else it requires."""

    issuers: tuple[str, ...]
    requirement: Requirement | None


def compile_policies(validated: Validated, report: Report) -> dict[str, NamedPolicy]:
    """The policies that are right, by name."""
    compiled: dict[str, NamedPolicy] = {}
    for name, section in validated.gateway.policies.items():
        path: Path = ("policies", name)
        named = _named_issuers(section, path, report)
        known = [issuer for at, issuer in named if _check_issuer(issuer, at, validated, report)]
        requirement = compile_require(section.require, (*path, "require"), report) if section.has_require else None
        if known and len(known) == len(named) and (requirement is not None or not section.has_require):
            compiled[name] = NamedPolicy(tuple(known), requirement)
    return compiled


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
    for index, issuer in enumerate(section.issuers):
        if issuer in section.issuers[:index]:
            report.error((*path, "issuers", index), f'the issuer "{issuer}" is here twice', "remove one of them")
    return [((*path, "issuers", index), issuer) for index, issuer in enumerate(section.issuers)]


def _check_issuer(name: str, path: Path, validated: Validated, report: Report) -> bool:
    known = validated.names["issuers"]
    if known is None or name in known:
        return True
    report.error(path, f"unknown issuer {report.shown(path, name)}", nearest(name, known))
    return False


@dataclass(frozen=True, slots=True)
class CompiledRoutes:
    """Routes, and the policies that they need by id."""

    routes: tuple[Route, ...]
    policies: dict[str, Policy]


def compile_routes(
    validated: Validated,
    policies: Mapping[str, NamedPolicy],
    issuers: Mapping[str, Issuer],
    overrides: Overrides,
    report: Report,
) -> CompiledRoutes:
    """All routes. What comes out counts only if nothing was reported."""
    check = _Checks(validated, report)
    make = _Maker(validated.gateway, policies, issuers, overrides, report)
    for index, section in validated.routes:
        path: Path = ("routes", index)
        check.route(section, path)
        make.route(section, path)
    check.redirects()
    if not validated.gateway.routes and not validated.problems:
        report.error(
            ("routes",), "there are no routes", "a gateway without routes serves nothing: add one", at_key=True
        )
    return CompiledRoutes(tuple(make.routes), make.policies)


@dataclass(slots=True)
class _Checks:
    """What can be wrong with a route that is right in shape."""

    validated: Validated
    report: Report
    places: dict[tuple[str | None, str], Path] = field(default_factory=dict)  # host and path → the route
    redirecting: list[tuple[str | None, str, Path]] = field(default_factory=list)
    headers: dict[str, tuple[str, Path]] = field(default_factory=dict)  # lower case → as first written, where

    def route(self, section: RouteSection, path: Path) -> None:
        first = self.places.setdefault((section.host, section.path), path)
        if first != path:
            where = f"{section.host or ''}{section.path}"
            hint = f"the first stands at {self.report.document.place((*first, 'path'))}: remove one of them"
            self.report.error((*path, "path"), f"a second route for {where}", hint)
        self._known("upstreams", section.upstream, (*path, "upstream"))
        if section.policy is not None:
            self._known("policies", section.policy, (*path, "policy"))
        self._who_gets_through(section, path)
        self._prefix_only(section, path)
        self._grpc(section, path)
        self._rate_limit(section, path)
        self._identity(section, path)

    def _known(self, names: str, name: str, path: Path) -> None:
        known = self.validated.names[names]
        if known is None or name in known:
            return
        noun = str(path[-1]).replace("_", " ")
        hint = nearest(name, known) or f"there are no {names} yet: add {names}: and the {noun} below it"
        self.report.error(path, f"unknown {noun} {self.report.shown(path, name)}", hint)

    def _who_gets_through(self, section: RouteSection, path: Path) -> None:
        if section.policy is None and not section.public:
            self.report.error(
                path,
                'this route has neither "policy" nor "public"',
                "add policy: …, or public: true to let everyone through",
            )
        elif section.policy is not None and section.public:
            hint = "keep policy to ask for a token, or public to let everyone through"
            self.report.error((*path, "public"), 'this route has both "policy" and "public"', hint, at_key=True)
        elif section.public:
            for key in ("staleness", "bare_token", "identity", "denials"):
                if key in section.model_fields_set:
                    message = f'"{key}" has no meaning on a public route, which asks for no token'
                    self.report.error((*path, key), message, "remove it, or use a policy", at_key=True)
        if section.cache_jwks and not section.public:
            hint = "key sets are public: write public: true, or remove cache_jwks"
            self.report.error((*path, "cache_jwks"), '"cache_jwks" is for public routes only', hint, at_key=True)

    def _prefix_only(self, section: RouteSection, path: Path) -> None:
        if not section.path.endswith("/"):
            for key in ("strip_prefix", "redirect_slash"):
                if getattr(section, key):
                    message = f'"{key}" needs a prefix, and the path "{section.path}" is exact'
                    self.report.error((*path, key), message, f"write path: {section.path}/", at_key=True)
        elif section.redirect_slash and section.path == "/":
            message = '"redirect_slash" has no meaning for the path "/"'
            self.report.error((*path, "redirect_slash"), message, "remove it", at_key=True)
        elif section.redirect_slash:
            self.redirecting.append((section.host, section.path, path))

    def _grpc(self, section: RouteSection, path: Path) -> None:
        if not section.grpc:
            return
        if not any(map(speaks_http2, self.validated.gateway.listen)):
            message = "gRPC needs HTTP/2, which no listener speaks"
            hint = "add http2: true to a listener, or tls, which brings it"
            self.report.error((*path, "grpc"), message, hint, at_key=True)
        for key in ("strip_prefix", "redirect_slash", "websocket", "sse", "cache_jwks"):
            if getattr(section, key):
                message = f'"{key}" has no meaning on a gRPC route'
                hint = "gRPC sends POST /package.Service/Method and nothing else: remove it"
                self.report.error((*path, key), message, hint, at_key=True)

    def _rate_limit(self, section: RouteSection, path: Path) -> None:
        name = section.rate_limit
        if name is None:
            return
        self._known("rate_limits", name, (*path, "rate_limit"))
        limit = self.validated.gateway.rate_limits.get(name)
        if limit and limit.by == "subject" and section.public:
            message = "this limit counts subjects, and a public route knows none"
            self.report.error((*path, "rate_limit"), message, "name one by address, or use a policy")

    def _identity(self, section: RouteSection, path: Path) -> None:
        for header in section.identity:
            at = (*path, "identity", header)
            first, place = self.headers.setdefault(header.lower(), (header, at))
            if first != header:
                # NGINX sets or clears each identity header on every route: two spellings would be two headers.
                where = self.report.document.place(place)
                message = f'the identity header "{header}" is written "{first}" at {where}'
                self.report.error(at, message, f"write {first}", at_key=True)

    def redirects(self) -> None:
        """A redirect from `/a` to `/a/` must not take the place of a route for `/a`."""
        for host, prefix, path in self.redirecting:
            if exact := self.places.get((host, prefix[:-1])):
                where = self.report.document.place((*exact, "path"))
                message = f'"redirect_slash" would answer for {prefix[:-1]}, which is a route of its own'
                hint = f"that route stands at {where}: remove redirect_slash here, or that route"
                self.report.error((*path, "redirect_slash"), message, hint, at_key=True)


@dataclass(slots=True)
class _Maker:
    """Makes routes of sections, and shares what they have in common."""

    gateway: Gateway
    named: Mapping[str, NamedPolicy]
    issuers: Mapping[str, Issuer]
    overrides: Overrides
    report: Report
    routes: list[Route] = field(default_factory=list)
    policies: dict[str, Policy] = field(default_factory=dict)
    _by_need: dict[tuple[object, ...], str] = field(default_factory=dict)
    _answers: dict[Overrides, Answers] = field(default_factory=dict)

    def route(self, section: RouteSection, path: Path) -> None:
        defaults = self.gateway.defaults
        long_lived = section.websocket or section.sse or section.grpc
        self.routes.append(
            Route(
                host=section.host,
                path=section.path,
                match="prefix" if section.path.endswith("/") else "exact",
                upstream=section.upstream,
                policy=self._policy(section),
                strip_prefix=section.strip_prefix,
                redirect_slash=section.redirect_slash,
                allow_encoded_slashes=section.allow_encoded_slashes,
                websocket=section.websocket,
                sse=section.sse,
                grpc=section.grpc,
                rate_limit=section.rate_limit,
                cache_jwks=section.cache_jwks,
                # A stream of messages is one body.
                max_body=_first(section.max_body, 0 if section.grpc else defaults.max_body, _MAX_BODY),
                connect_timeout=_first(section.connect_timeout, defaults.connect_timeout, _CONNECT_TIMEOUT),
                # The gateway's default is for ordinary answers; it would cut a quiet connection off.
                read_timeout=_first(
                    section.read_timeout,
                    _LONG_LIVED_READ_TIMEOUT if long_lived else defaults.read_timeout,
                    _TIMEOUT,
                ),
                send_timeout=_first(section.send_timeout, defaults.send_timeout, _TIMEOUT),
                answers=self._route_answers(section, path),
            )
        )

    def _policy(self, section: RouteSection) -> str | None:
        """The id of the policy that the route needs."""
        name = section.policy
        if name is None or name not in self.named:
            return None
        defaults = self.gateway.defaults
        staleness = _first(section.staleness, defaults.staleness, _STALENESS)
        bare_token = _first(section.bare_token, self.gateway.policies[name].bare_token, defaults.bare_token, False)
        identity = tuple(sorted(section.identity.items()))
        need = (name, staleness, bare_token, identity, section.unsafe_allow_stale_status)
        if need not in self._by_need:
            policy = self._make_policy(*need)
            self.policies[policy.id] = policy
            self._by_need[need] = policy.id
        return self._by_need[need]

    def _make_policy(
        self,
        name: str,
        staleness: int,
        bare_token: bool,
        identity: tuple[tuple[str, str], ...],
        unsafe_allow_stale_status: bool,
    ) -> Policy:
        issuers, requirement = self.named[name].issuers, self.named[name].requirement
        required: dict[str, object] = {
            "bare_token": bare_token,
            "identity": identity,
            "issuers": [_canonical(self.issuers[issuer]) for issuer in issuers if issuer in self.issuers],
            "name": name,
            "staleness": staleness,
            "unsafe_allow_stale_status": unsafe_allow_stale_status,
        }
        if requirement is not None:
            required["requirement"] = repr(requirement)  # of frozen dataclasses: all there is, always the same
        text = json.dumps(required, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return Policy(
            f"{name}-{digest}",
            name,
            issuers,
            bare_token,
            staleness,
            identity,
            requirement,
            unsafe_allow_stale_status=unsafe_allow_stale_status,
        )

    def _route_answers(self, section: RouteSection, path: Path) -> Answers:
        if not section.denials:
            return ()
        own = compile_denials(section.denials, (*path, "denials"), self.report)
        merged = own.over(self.overrides)
        if merged not in self._answers:
            self._answers[merged] = answers(self.gateway.realm, merged)
        return self._answers[merged]


def _first(*choices: _T | None) -> _T:
    """The first choice that is made."""
    return next(choice for choice in choices if choice is not None)


def _canonical(issuer: Issuer) -> dict[str, object]:
    """Everything that an issuer requires, as JSON can say it, without its secret."""
    renamed = {} if issuer.claim_names == DEFAULT_CLAIM_NAMES else {"claim_names": repr(issuer.claim_names)}
    lists = issuer.status_lists
    return {
        **renamed,
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
