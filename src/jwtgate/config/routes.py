"""`routes:` → the routes of the Plan, and the policies that they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jwtgate.config.answers import Overrides, answers, as_grpc, with_login
from jwtgate.config.cors import compile_cors
from jwtgate.config.denials import compile_denials
from jwtgate.config.policies import Policies, check_headers, first
from jwtgate.config.problems import nearest
from jwtgate.config.resources import compile_resource
from jwtgate.config.schema import RouteSection
from jwtgate.config.transport import speaks_http2
from jwtgate.plan import Included, Issuer, Policy, Resource, Route
from jwtgate.policy import QueryParameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jwtgate.config.document import Path
    from jwtgate.config.policies import NamedPolicy
    from jwtgate.config.report import Report
    from jwtgate.config.schema import Gateway, IncludeSection
    from jwtgate.config.validate import Validated
    from jwtgate.plan import Answers

_MAX_BODY = 10 * 1024**2
_CONNECT_TIMEOUT = 5
_TIMEOUT = 60
_LONG_LIVED_READ_TIMEOUT = 3600  # between two messages of a websocket or an event stream


@dataclass(frozen=True, slots=True)
class CompiledRoutes:
    """Routes, and the policies that they need by id."""

    routes: tuple[Route, ...]
    policies: dict[str, Policy]
    included: tuple[Included, ...]


def compile_routes(
    validated: Validated,
    policies: Mapping[str, NamedPolicy],
    issuers: Mapping[str, Issuer],
    overrides: Overrides,
    report: Report,
) -> CompiledRoutes:
    """All routes. What comes out counts only if nothing was reported."""
    check = _Checks(validated, report)
    make = _Maker(validated.gateway, Policies(validated.gateway, policies, issuers), overrides, report)
    for name, policy in validated.gateway.policies.items():
        check.identity(policy.identity or (), ("policies", name, "identity"))
    check.identity(validated.gateway.defaults.identity or (), ("defaults", "identity"))
    for index, section in validated.routes:
        path: Path = ("routes", index)
        check.route(section, path)
        make.route(section, path)
        check.query(make.policies.of(section), section, path)
        check.shadow(make.policies, section, path)
    for name, included in validated.gateway.include.items():
        check.include(included, ("include", name))
        make.include(included, name)
        check.shadow(make.policies, included, ("include", name))
    check.redirects()
    check.resources(make.routes)
    check_headers(make.policies.made, report)
    check.serves_something()
    return CompiledRoutes(tuple(make.routes), make.policies.made, tuple(make.included))


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
        self.identity(section.identity or (), (*path, "identity"))

    def include(self, section: IncludeSection, path: Path) -> None:
        self._known("policies", section.policy, (*path, "policy"))

    def shadow(self, policies: Policies, section: RouteSection | IncludeSection, path: Path) -> None:
        """A shadow sees what NGINX sends for the policy that it stands beside."""
        name, enforced, at = section.shadow, section.policy, (*path, "shadow")
        if name is None or enforced is None:
            return
        self._known("policies", name, at)
        if name == enforced:
            hint = "name another policy, the one that is to take its place"
            self.report.error(at, f'"{name}" is the policy that is enforced here, and its own shadow', hint)
        elif {name, enforced} <= policies.named.keys() and (
            policies.sources(name, section) != policies.sources(enforced, section)
        ):
            message = f'the shadow "{name}" takes tokens from elsewhere than the policy "{enforced}"'
            hint = "write the same token_from in both, or one beside shadow, which counts for both"
            self.report.error(at, message, hint)

    def serves_something(self) -> None:
        gateway = self.validated.gateway
        if gateway.routes or gateway.include or self.validated.problems:
            return
        if "routes" in gateway.model_fields_set:
            hint = "a gateway without routes serves nothing: add one"
            self.report.error(("routes",), "there are no routes", hint, at_key=True)
        else:
            hint = "add routes: [{path: /, upstream: app, public: true}]"
            self.report.error((), 'the file has no "routes"', hint, at_key=True)

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
            for key in (
                "shadow",
                "staleness",
                "bare_token",
                "identity",
                "token_from",
                "strip_token",
                "denials",
                "login_redirect",
                "resource",
            ):
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
        for key in ("strip_prefix", "redirect_slash", "websocket", "sse", "cache_jwks", "login_redirect"):
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

    def query(self, policy: Policy | None, section: RouteSection, path: Path) -> None:
        """Without the token, NGINX writes the target anew, from the decoded path."""
        if policy is None or not section.allow_encoded_slashes or not section.strip_token:
            return
        if any(isinstance(source, QueryParameter) for source in policy.sources):
            message = '"strip_token" of a token in the query decodes the path, and would lose encoded slashes'
            hint = "remove strip_token or allow_encoded_slashes, or read the token elsewhere"
            self.report.error((*path, "strip_token"), message, hint, at_key=True)

    def identity(self, headers: Iterable[str], path: Path) -> None:
        """The identity headers at a place of the file."""
        for header in headers:
            at = (*path, header)
            first, place = self.headers.setdefault(header.lower(), (header, at))
            if first != header:
                # NGINX sets or clears each identity header on every route: two spellings would be two headers.
                where = self.report.document.place(place)
                message = f'the identity header "{header}" is written "{first}" at {where}'
                self.report.error(at, message, f"write {first}", at_key=True)

    def resources(self, routes: Sequence[Route]) -> None:
        """The place of a resource's metadata must be nobody else's."""
        exact = {route.path for route in routes if route.match == "exact"}
        taken: dict[str, Resource] = {}
        for (index, _), route in zip(self.validated.routes, routes, strict=True):
            resource = route.resource
            if resource is None:
                continue
            if resource.metadata_path in exact or taken.setdefault(resource.metadata_path, resource) != resource:
                message = f"the metadata of this resource would be at {resource.metadata_path}, which is taken"
                hint = "by a route, or by a resource of the same path that needs something else"
                self.report.error(("routes", index, "resource"), message, hint)

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
    policies: Policies
    overrides: Overrides
    report: Report
    routes: list[Route] = field(default_factory=list)
    included: list[Included] = field(default_factory=list)
    _answers: dict[tuple[Overrides, bool, str | None], Answers] = field(default_factory=dict)

    def route(self, section: RouteSection, path: Path) -> None:
        defaults = self.gateway.defaults
        policy = self.policies.of(section)
        long_lived = section.websocket or section.sse or section.grpc
        self.routes.append(
            Route(
                host=section.host,
                path=section.path,
                match="prefix" if section.path.endswith("/") else "exact",
                upstream=section.upstream,
                policy=policy.id if policy else None,
                strip_prefix=section.strip_prefix,
                redirect_slash=section.redirect_slash,
                allow_encoded_slashes=section.allow_encoded_slashes,
                websocket=section.websocket,
                sse=section.sse,
                grpc=section.grpc,
                rate_limit=section.rate_limit,
                cache_jwks=section.cache_jwks,
                # A stream of messages is one body.
                max_body=first(section.max_body, 0 if section.grpc else defaults.max_body, _MAX_BODY),
                connect_timeout=first(section.connect_timeout, defaults.connect_timeout, _CONNECT_TIMEOUT),
                # The gateway's default is for ordinary answers; it would cut a quiet connection off.
                read_timeout=first(
                    section.read_timeout,
                    _LONG_LIVED_READ_TIMEOUT if long_lived else defaults.read_timeout,
                    _TIMEOUT,
                ),
                send_timeout=first(section.send_timeout, defaults.send_timeout, _TIMEOUT),
                answers=self._answers_of(section, path),
                cors=compile_cors(section.cors, (*path, "cors"), self.report),
                strip_token=first(section.strip_token, defaults.strip_token, False),
                login=section.login_redirect,
                resource=self._resource(section, policy),
            )
        )

    def include(self, section: IncludeSection, name: str) -> None:
        policy = self.policies.of(section)
        if policy is not None:
            strip_token = first(section.strip_token, self.gateway.defaults.strip_token, False)
            answers = self._answers_of(section, ("include", name))
            self.included.append(Included(name, policy.id, strip_token, answers))

    def _resource(self, section: RouteSection, policy: Policy | None) -> Resource | None:
        if section.resource is None or policy is None:
            return None
        return compile_resource(section.resource, policy, self.policies.issuers)

    def _answers_of(self, section: RouteSection | IncludeSection, path: Path) -> Answers:
        is_grpc = isinstance(section, RouteSection) and section.grpc and section.policy is not None
        login = section.login_redirect if isinstance(section, RouteSection) else None
        if not (section.denials or is_grpc or login):
            return ()
        own = compile_denials(section.denials, (*path, "denials"), self.report)
        merged = own.over(self.overrides)
        key = (merged, is_grpc, login)
        if key not in self._answers:
            made = answers(self.gateway.realm, merged)
            made = as_grpc(made) if is_grpc else made
            self._answers[key] = with_login(made, login) if login else made
        return self._answers[key]
