"""Two Plans → what changes for those who ask, in words. A table of facts about each route and each issuer.

What is not in a table changes nothing about who gets in: addresses, limits, logs, texts of denials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jwtgate.plan import Discovery, InlineJwks, JwksFile, JwksUrl, Route, SharedSecret
from jwtgate.policy import (
    AuthorizationHeader,
    Cookie,
    QueryParameter,
    RequestHeader,
    WebsocketProtocol,
    describe,
    shown_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jwtgate.plan import Cors, IdentityHeader, Included, Issuer, KeySource, Plan, Policy
    from jwtgate.policy import TokenSource


@dataclass(frozen=True, slots=True)
class Change:
    """What changes for a route (`/orders/`), an `include orders`, an `issuer company` or the whole `gateway`."""

    whose: str
    text: str


def changes(old: Plan, new: Plan) -> list[Change]:
    """Routes in the order of the new file, then those that are gone, then issuers, then the gateway."""
    before, after = _routes(old), _routes(new)
    found = []
    for name, route in after.items():
        texts = _route(old, before[name], new, route) if name in before else [_added(new, route)]
        found += [Change(name, text) for text in texts]
    found += [Change(name, "removed") for name in before if name not in after]
    found += [Change("gateway", text) for text in _differences(old, new, _OF_GATEWAY)]
    for name in (*new.issuers, *(each for each in old.issuers if each not in new.issuers)):
        found += [Change(f"issuer {name}", text) for text in _issuer(old.issuers.get(name), new.issuers.get(name))]
    return found


def _routes(plan: Plan) -> dict[str, Route | Included]:
    routes = {f"{route.host or ''}{route.path}": route for route in plan.routes}
    return {**routes, **{f"include {each.name}": each for each in plan.included}}


def _added(plan: Plan, route: Route | Included) -> str:
    if route.policy is None:
        return f"added, public: everyone is let through to {route.upstream}"
    policy = plan.policies[route.policy]
    return f"added: policy {policy.name}, {describe(policy.requirement)}, issuers {_list(policy.issuers)}"


def _route(old: Plan, before: Route | Included, new: Plan, after: Route | Included) -> list[str]:
    texts = []
    if before.policy is None and after.policy is not None:
        policy = new.policies[after.policy]
        texts.append(f"closed: policy {policy.name} is asked, {describe(policy.requirement)}")
    elif before.policy is not None and after.policy is None:
        name = old.policies[before.policy].name
        texts.append(f"opened: everyone is let through, policy {name} is asked no longer")
    elif before.policy is not None and after.policy is not None:
        texts += _differences(old.policies[before.policy], new.policies[after.policy], _OF_POLICY)
    return texts + _differences(before, after, _OF_ROUTE if isinstance(after, Route) else _OF_INCLUDED)


def _issuer(before: Issuer | None, after: Issuer | None) -> list[str]:
    if before is None and after is not None:
        return [f"trusted now: {after.issuer}"]
    if before is not None and after is None:
        return [f"trusted no longer: {before.issuer}"]
    texts = _differences(before, after, _OF_ISSUER)
    # A secret has no words.
    if not texts and before is not None and after is not None and before.keys != after.keys:
        texts.append("other keys")
    return texts


def _differences(before: Any, after: Any, facts: Mapping[str, Callable[[Any], str]]) -> list[str]:
    told = ((name, fact(before), fact(after)) for name, fact in facts.items())
    return [f"{name}: {now}, formerly {was}" for name, was, now in told if was != now]


def _list(names: Iterable[str] | None) -> str:
    return "any" if names is None else ", ".join(names) or "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _source(source: TokenSource) -> str:
    match source:
        case AuthorizationHeader():
            return "Authorization"
        case RequestHeader(name):
            return f"header {name}"
        case Cookie(name):
            return f"cookie {name}"
        case QueryParameter(name):
            return f"query parameter {name}"
        case WebsocketProtocol(name):
            return f"websocket protocol {name}"


def _identity(header: IdentityHeader) -> str:
    return f"{header.header} from {shown_path(header.claim) if header.claim else 'the payload'}"


def _keys(keys: KeySource) -> str:
    match keys:
        case JwksUrl(url):
            return url
        case Discovery(issuer):
            return f"discovered at {issuer}"
        case JwksFile(path):
            return f"file {path}"
        case InlineJwks():
            return "in gateway.yaml"
        case SharedSecret():
            return "a shared secret"


def _cors(cors: Cors) -> str:
    return "passed on" if cors.pass_on else _list(cors.origins) + ", with credentials" * cors.credentials


_OF_GATEWAY: Mapping[str, Callable[[Plan], str]] = {
    "deny list": lambda plan: str(plan.deny_list or "none"),
}

_OF_POLICY: Mapping[str, Callable[[Policy], str]] = {
    "policy": lambda policy: policy.name,
    "requirements": lambda policy: describe(policy.requirement),
    "issuers": lambda policy: _list(policy.issuers),
    "shadow policy": lambda policy: policy.shadow.name if policy.shadow else "none",
    "a token is": lambda policy: {
        "required": "required",
        "optional": "optional: who sends none passes as anonymous",
    }.get(policy.presence, "optional, and an invalid one passes as anonymous"),
    "token from": lambda policy: _list(map(_source, policy.sources)),
    "token without a scheme": lambda policy: _yes(policy.bare_token),
    "staleness": lambda policy: f"{policy.staleness} s",
    "identity headers": lambda policy: _list(map(_identity, policy.identity)),
    "tokens pass while their status list cannot be had": lambda policy: _yes(policy.unsafe_allow_stale_status),
}

_OF_INCLUDED: Mapping[str, Callable[[Included], str]] = {
    "the service gets the token": lambda included: _yes(not included.strip_token),
}

_OF_ROUTE: Mapping[str, Callable[[Route], str]] = {
    "paths": lambda route: "this one alone" if route.match == "exact" else "this one and all below it",
    "service": lambda route: route.upstream,
    "the service gets the token": lambda route: _yes(not route.strip_token),
    "rate limit": lambda route: route.rate_limit or "none",
    "encoded slashes are passed on": lambda route: _yes(route.allow_encoded_slashes),
    "websockets": lambda route: _yes(route.websocket),
    "login page": lambda route: route.login or "none",
    "metadata": lambda route: "none" if route.resource is None else route.resource.metadata_url,
    "cors": lambda route: "none" if route.cors is None else _cors(route.cors),
}

_OF_ISSUER: Mapping[str, Callable[[Issuer], str]] = {
    "iss": lambda issuer: issuer.issuer,
    "keys": lambda issuer: _keys(issuer.keys),
    "audience": lambda issuer: "any" if issuer.audience is None else " or ".join(issuer.audience),
    "audience in": lambda issuer: issuer.audience_claim,
    "claims with one value": lambda issuer: _list(f"{name} {value}" for name, value in issuer.fixed_claims),
    "algorithms": lambda issuer: _list(issuer.algorithms),
    "types": lambda issuer: _list(issuer.types),
    "required claims": lambda issuer: _list(issuer.required_claims),
    "longest lifetime": lambda issuer: "any" if issuer.max_lifetime is None else f"{issuer.max_lifetime} s",
    "leeway": lambda issuer: f"{issuer.leeway} s",
    "largest token": lambda issuer: f"{issuer.max_token_bytes} bytes",
    "scopes in": lambda issuer: shown_path(issuer.claim_names.scopes or ("scope",)),
    "roles in": lambda issuer: shown_path(issuer.claim_names.roles),
    "groups in": lambda issuer: shown_path(issuer.claim_names.groups),
    "status lists": lambda issuer: "none" if issuer.status_lists is None else _list(issuer.status_lists.uris),
    "tokens pass whose status is not looked at": lambda issuer: _yes(issuer.unsafe_ignore_status),
}
