"""Plan and Site → the text of nginx.conf.

The templates read like the configuration that they become; what needs computing is computed here. Whatever they
write goes through `quote` or `quote_text` (see quote.py), and Jinja is told to refuse anything else.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from textwrap import dedent
from typing import TYPE_CHECKING

import jinja2

from jwtgate.errors import UnquotableError
from jwtgate.nginx.challenges import Challenges
from jwtgate.nginx.cors import preflights
from jwtgate.nginx.declared import Declared
from jwtgate.nginx.quote import Quoted, quote, quote_text
from jwtgate.nginx.services import resolver, services
from jwtgate.plan import KIB
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from jwtgate.nginx.site import Site
    from jwtgate.plan import Answer, Answers, Included, Listener, Plan, Policy, RateLimit, Resource, Route, Tls

# Seconds that NGINX waits for a decision: a validator may wait this long, less a margin, for an issuer's keys.
VALIDATOR_TIMEOUT = 3

# Files of decisions that an NGINX worker keeps open: opening one costs more than reading it.
_OPEN_DECISIONS = 2000
_FEWEST_OPEN_DECISIONS = 20

# Request headers that say who the client is or what it asked for. Services believe them, so no client sets them.
CLEARED_HEADERS = (
    "Forwarded",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Original-Forwarded-For",
    "X-Original-Host",
    "X-Original-Method",
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Proxy",
)


def _problem(code: str, status: int, title: str) -> str:
    """A body of the gateway's own (RFC 9457)."""
    return json.dumps(
        {"type": "about:blank", "title": title, "status": status, "code": code, "request_id": "{request_id}"}
    )


RATE_LIMITED = _problem("too_many_requests", 429, "Too many requests. Try again in a moment.")

# What the gateway answers for itself, beside denials: name, status, body.
GATEWAY_PROBLEMS = tuple(
    (code, status, _problem(code, status, title))
    for code, status, title in (
        ("not_found", 404, "No route of this gateway has this path."),
        ("method_not_allowed", 405, "This method is not allowed here."),
        ("content_too_large", 413, "The body is larger than this route takes."),
        ("uri_too_long", 414, "The request line is too long."),
        ("upstream_unavailable", 502, "The service behind this route cannot be reached."),
        ("upstream_timeout", 504, "The service behind this route did not answer in time."),
    )
)


@dataclass(frozen=True, slots=True)
class DenySet:
    """The answers to all reasons, as the gateway gives them or as one route does.

    Reasons with the same answer share a location, named after the first of them.
    """

    name: str
    location_of: tuple[tuple[Reason, str], ...]
    answers: tuple[tuple[str, Answer], ...]

    @property
    def key(self) -> str:
        """What `$jwtgate_answers` holds where these are the answers: nothing, or a number."""
        return "" if self.name == "default" else self.name

    def location(self, reason: Reason) -> str:
        """The location that answers a reason."""
        return dict(self.location_of)[reason]

    def answer(self, reason: Reason) -> Answer:
        """The answer to a reason."""
        return dict(self.answers)[self.location(reason)]


@dataclass(frozen=True)  # without slots: what is asked for each route is computed once
class ServerBlock:
    """Routes that share a host."""

    host: str | None
    routes: tuple[Route, ...]
    tls: Tls | None

    @property
    def has_root(self) -> bool:
        """Whether some route takes what no other route does."""
        return any(route.path == "/" and route.match == "prefix" for route in self.routes)

    @property
    def policies(self) -> list[str]:
        """The ids of the policies that these routes ask."""
        return sorted({route.policy for route in self.routes if route.policy is not None})

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The protected resources that describe themselves here."""
        return tuple(dict.fromkeys(route.resource for route in self.routes if route.resource is not None))

    @property
    def has_grpc(self) -> bool:
        """Whether some route passes gRPC."""
        return any(route.grpc for route in self.routes)

    @cached_property
    def exact_paths(self) -> frozenset[str]:
        """Paths with a location of their own."""
        return frozenset(route.path for route in self.routes if route.match == "exact")


@dataclass(frozen=True, slots=True)
class IdentityHeader:
    """A header to services whose value comes with the decision."""

    header: str

    @property
    def variable(self) -> Quoted:
        """The variable that carries it from the decision to the service."""
        return Quoted("$jwtgate_identity_" + self._variable_part)

    @property
    def decision_variable(self) -> Quoted:
        """NGINX's variable for it in the validator's answer."""
        return Quoted("$upstream_http_x_jwtgate_identity_" + self._variable_part)

    @property
    def _variable_part(self) -> str:
        return quote(self.header).lower().replace("-", "_")


def render(plan: Plan, site: Site) -> str:
    """The configuration, whole. Raises UnquotableError when a value cannot be written in it."""
    return _TEMPLATES.get_template("nginx.conf.j2").render(_context(plan, site))


def render_include(plan: Plan, site: Site) -> dict[str, str]:
    """Files for somebody's own nginx.conf, by name. Raises UnquotableError when a value cannot be written in them.

    `http.conf` and `server.conf` are for the blocks of these names, `public.conf` for locations without a policy;
    each entry of `include:` has a file of its own.
    """
    context = _context(plan, site)
    files = {
        f"{name}.conf": _TEMPLATES.get_template(f"include_{name}.conf.j2").render(context)
        for name in ("http", "server", "public")
    }
    location = _TEMPLATES.get_template("include_location.conf.j2")
    files |= {f"{each.name}.conf": location.render(context, each=each) for each in plan.included}
    return {name: _outdented(text) for name, text in files.items()}


def _outdented(text: str) -> str:
    """Without the indentation that the lines have in the templates, where they stand deeper."""
    head, _, body = text.partition("\n\n")
    return f"{head}\n\n{dedent(body)}"


def _context(plan: Plan, site: Site) -> dict[str, object]:
    """What the templates know."""
    deny_sets = _deny_sets(plan)
    servers = _servers(plan)
    by_name = services(plan, site)
    declared = Declared(plan)
    cors = preflights(plan)
    return {
        "plan": plan,
        "included": plan.included,
        "site": site,
        # Behind proxies that are trusted, the scheme and the request id are theirs.
        "scheme": Quoted("$jwtgate_scheme" if plan.trusted_proxies else "$scheme"),
        "request_id": Quoted("$jwtgate_request_id" if plan.trusted_proxies else "$request_id"),
        "version": Quoted(version("jwtgate")),
        "header_buffer": plan.header_buffer,
        "decision_buffer": plan.decision_buffer,
        "decision_zone": f"jwtgate_decisions_{_digest(str(site.cache_dir / 'decisions'))}",
        "open_decisions": _open_decisions(len(plan.policies) * (len(servers) + len(plan.included))),
        # Who comes back later than that finds no decision, and is new: theirs is not kept at once.
        "decision_inactive": max(
            (policy.staleness for policy in plan.policies.values() if policy.staleness), default=1
        ),
        "jwks_zone": f"jwtgate_jwks_{_digest(str(site.cache_dir / 'jwks'))}",
        "caches_jwks": any(route.cache_jwks for route in plan.routes),
        "has_websockets": any(route.websocket for route in plan.routes),
        "cleared_headers": CLEARED_HEADERS,
        "deny_sets": deny_sets,
        "gateway_answers": deny_sets[0],
        "answers_of": {each: _deny_set_of(each, deny_sets) for each in _deciding(plan) if each.answers},
        "servers": servers,
        "declared": declared,
        "challenges": Challenges(plan),
        "logging_in": frozenset(route.policy for route in plan.routes if route.login),
        "preflights": list(cors.values()),
        "preflight_of": cors,
        "passing": _passing_preflights(plan),
        "identity_headers": [IdentityHeader(header) for header in plan.identity_headers],
        "gateway_problems": GATEWAY_PROBLEMS,
        "listeners": [listener for listener in plan.listeners if listener.redirect_port is None],
        "redirects": _redirects(plan),
        "services": by_name,
        "resolver": resolver(plan, site, by_name),
        "rate_limits": _rate_limits(plan),
        "numbers": {route: number for number, route in enumerate(plan.routes, 1)},
        "rate_limited": RATE_LIMITED,
        "validator_timeout": VALIDATOR_TIMEOUT,
        "reason": Reason,
    }


def _servers(plan: Plan) -> list[ServerBlock]:
    """One block for each host, the default first. A host has its own routes and those that name no host."""
    # NGINX 1.22 sorts locations by insertion: in their order, 10,000 of them take no time, else seconds.
    routes = sorted(plan.routes, key=_nginx_order)
    everywhere = [route for route in routes if route.host is None]
    default_tls = next((listener.tls for listener in plan.listeners if listener.tls), None)
    blocks = [ServerBlock(None, tuple(everywhere), default_tls)]
    for host in sorted({*plan.hosts, *(route.host for route in plan.routes if route.host is not None)}):
        own = [route for route in routes if route.host == host]
        taken = {(route.match, route.path) for route in own}
        shared = [route for route in everywhere if (route.match, route.path) not in taken]
        both = tuple(sorted((*own, *shared), key=_nginx_order))
        blocks.append(ServerBlock(host, both, _tls_of(host, plan) or default_tls))
    return blocks


def _nginx_order(route: Route) -> str:
    """How NGINX compares paths (ngx_filename_cmp): a slash is less than anything else."""
    return route.path.replace("/", "\0")


def _tls_of(host: str, plan: Plan) -> Tls | None:
    """A host's own certificate, or that of the `*.` host above it, the nearest first."""
    names = [host, *(f"*.{host.split('.', cut)[cut]}" for cut in range(1, host.count(".") + 1))]
    return next((plan.hosts[name].tls for name in names if name in plan.hosts), None)


def _redirects(plan: Plan) -> list[tuple[int, list[Listener]]]:
    """The listeners that send everyone to https, by the port that they send to."""
    ports = dict.fromkeys(each.redirect_port for each in plan.listeners if each.redirect_port is not None)
    return [(port, [each for each in plan.listeners if each.redirect_port == port]) for port in ports]


def _open_decisions(auth_locations: int) -> int:
    """How many files of decisions stay open for each of these locations, in each NGINX worker."""
    return max(_FEWEST_OPEN_DECISIONS, _OPEN_DECISIONS // max(1, auth_locations))


def _rate_limits(plan: Plan) -> list[RateLimit]:
    """The limits that some route names."""
    used = {route.rate_limit for route in plan.routes}
    return [limit for limit in plan.rate_limits.values() if limit.name in used]


def _deciding(plan: Plan) -> list[Route | Included]:
    """What may have answers of its own."""
    return [*plan.routes, *plan.included]


def _deny_sets(plan: Plan) -> list[DenySet]:
    """The gateway's answers first, then each distinct set that a route has of its own."""
    distinct = dict.fromkeys([plan.answers, *(each.answers for each in _deciding(plan) if each.answers)])
    return [_deny_set(str(number) if number else "default", answers) for number, answers in enumerate(distinct)]


def _deny_set(name: str, answers: Answers) -> DenySet:
    first_reason: dict[Answer, Reason] = {}
    for reason, answer in answers:
        first_reason.setdefault(answer, reason)
    return DenySet(
        name,
        tuple((reason, f"/_jwtgate/deny/{name}/{first_reason[answer]}") for reason, answer in answers),
        tuple((f"/_jwtgate/deny/{name}/{reason}", answer) for answer, reason in first_reason.items()),
    )


def _deny_set_of(route: Route | Included, deny_sets: list[DenySet]) -> DenySet:
    wanted = tuple(answer for _, answer in _deny_set("", route.answers).answers)
    return next(
        deny_set for deny_set in deny_sets[1:] if tuple(answer for _, answer in deny_set.answers) == wanted
    )


def _passing_preflights(plan: Plan) -> frozenset[str]:
    """The ids of policies that some route leaves out for preflights."""
    return frozenset(
        route.policy for route in plan.routes if route.policy is not None and route.cors and route.cors.pass_on
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@jinja2.pass_context
def _cache_key(context: jinja2.runtime.Context, policy: Policy) -> Quoted:
    """Epoch, policy, the whole credential from each source, each declared input, each on a line of its own.

    So no value can reach into the next, and nothing that was decided on is missing.
    """
    site: Site = context["site"]
    declared: Declared = context["declared"]
    values = [header.value for header in (*declared.credentials(policy), *declared.inputs(policy))]
    return Quoted(quote(f"{site.epoch}\n{policy.id}\n").removesuffix('"') + "\\n".join(values) + '"')


@jinja2.pass_context
def _answer_text(context: jinja2.runtime.Context, body: str) -> Quoted:
    """A body; `{request_id}` in it becomes the id that the log has too."""
    return Quoted(quote_text(body).replace("{request_id}", context["request_id"]))


def _login_text(login: str) -> Quoted:
    """Where a browser is sent; the validator has encoded the address to return to."""
    return Quoted(f'"{quote(login).strip(chr(34))}$jwtgate_return"')


def _size(count: int) -> Quoted:
    """Bytes as NGINX writes them: `16k`, `64m`."""
    for unit, suffix in ((KIB * KIB, "m"), (KIB, "k")):
        if count and count % unit == 0:
            return Quoted(f"{count // unit}{suffix}")
    return Quoted(str(count))


def _location(route: Route) -> Quoted:
    return Quoted(f"= {quote(route.path)}" if route.match == "exact" else quote(route.path))


def _passes(route: Route) -> Quoted:
    """The module that passes a route's requests on, as its directives begin."""
    return Quoted("grpc" if route.grpc else "proxy")


@jinja2.pass_context
def _scheme_of_service(context: jinja2.runtime.Context, route: Route) -> Quoted:
    scheme = "grpc" if route.grpc else "http"
    return Quoted(scheme + ("s" if context["services"][route.upstream].upstream.tls else ""))


@jinja2.pass_context
def _named_location(context: jinja2.runtime.Context, route: Route) -> Quoted:
    """Where a route goes on after its token was found good. Clients cannot ask for such a location."""
    return Quoted(f"@jwtgate_admitted_{context['numbers'][route]}")


def _prefix_pattern(route: Route) -> Quoted:
    """What takes the prefix off a decoded path, which may hold any character, line feeds too."""
    return quote(f"(?s)^{re.escape(route.path[:-1])}(/.*)")


def _counted(limit: RateLimit) -> Quoted:
    """Whom a limit counts. Empty would be nobody to NGINX: a token without `sub` counts for its issuer."""
    return Quoted("$jwtgate_client_network" if limit.by == "address" else '"$jwtgate_issuer\\n$jwtgate_subject"')


def _only_quoted(value: object) -> object:
    """Jinja's `finalize`: what a template writes is quoted, or a plain number."""
    if isinstance(value, Quoted | jinja2.Undefined) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if value == "":  # the end of an `if` or of a macro
        return value
    raise UnquotableError(f"a template writes {value!r} without quoting it")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jwtgate.nginx"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - this is not HTML; `finalize` refuses what is not quoted
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_quoted,
    )
    environment.filters |= {
        "quote": lambda value: quote(str(value)),
        "text": quote_text,
        "answer_text": _answer_text,
        "cache_key": _cache_key,
        "counted": _counted,
        "location": _location,
        "login_text": _login_text,
        "named_location": _named_location,
        "passes": _passes,
        "prefix_pattern": _prefix_pattern,
        "raw": Quoted,
        "scheme_of_service": _scheme_of_service,
        "size": _size,
    }
    return environment


_TEMPLATES = _environment()
