"""Rules about auth locations, those that an `auth_request` asks: what could turn a no into a yes.

Any 2xx of theirs lets the request through, so whatever can make one is an open gate: an inherited `error_page`
with a status of its own, a cached answer for somebody else, a cached no, an old yes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jwtgate.lint.findings import Finding, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.lint.effective import Directive
    from jwtgate.lint.scope import Location, Server

_OWN_FAULTS = {"500", "502", "503", "504"}  # what NGINX itself answers when the auth service does not
_REFUSALS = {
    "400",
    "401",
    "403",
    "404",
    "405",
    "429",
}  # what the auth service says, seen by intercept_errors only
_CREDENTIAL = re.compile(r"\$\{?(http_|cookie_|arg_|args|request_uri|query_string|ssl_client_)")


def open_auth_location(server: Server) -> Iterator[Finding]:
    """An `error_page` with a status of its own, where it holds in an auth location, is the decision."""
    for gate in server.gates.values():
        dangerous = _OWN_FAULTS | _own_refusals(gate) | (_REFUSALS if _intercepts(gate) else set())
        for page in gate.scope.effective("error_page"):
            *codes, target = page.args
            status = next((code for code in codes if code.startswith("=")), None)
            taken = sorted(dangerous & set(codes))
            if status is None or not taken or not (status == "=" or status.startswith("=2")):
                continue
            become = status[1:] if status != "=" else f"what {target} answers"
            yield at(
                page,
                "open-auth-location",
                "error",
                f"it holds in the auth location {gate.path}: {', '.join(taken)} become {become}, and any 2xx "
                "lets the request through",
                f"in `location {gate.path}` write `proxy_intercept_errors off;` and an error_page of its own that "
                "does nothing: error_page 599 /none;",
            )


def _own_refusals(gate: Location) -> set[str]:
    """The statuses by which NGINX itself refuses there, without a service."""
    returned = {line.args[0] for scope in (gate.scope, *gate.ifs) for line in scope.own("return") if line.args}
    return returned | (set() if gate.passes or returned else {"403", "404"})


def _intercepts(gate: Location) -> bool:
    """Whether `error_page` holds for what the service answers too."""
    modules = {line.name.removesuffix("_pass") for line in gate.passes}
    return any(gate.scope.value(f"{module}_intercept_errors", "off") == "on" for module in modules)


def auth_location_public(server: Server) -> Iterator[Finding]:
    """Whoever can ask the auth service directly can try credentials unseen."""
    for gate in server.gates.values():
        if gate.reachable:
            yield at(
                gate.node,
                "auth-location-public",
                "warning",
                f"clients can ask the auth location {gate.path} themselves",
                "write `internal;` in it",
            )


def auth_location_body(server: Server) -> Iterator[Finding]:
    """The subrequest has the client's Content-Length, never its body: the service waits for it, or says 413."""
    for gate in server.gates.values():
        if not list(gate.node.inner("proxy_pass")):
            continue
        missing = []
        if gate.scope.value("proxy_pass_request_body", "on") != "off":
            missing.append("proxy_pass_request_body off;")
        headers = {each.args[0].lower(): each.args[-1] for each in gate.scope.effective("proxy_set_header")}
        if headers.get("content-length") != "":
            missing.append('proxy_set_header Content-Length "";')
        if missing:
            yield at(
                gate.node,
                "auth-location-body",
                "warning",
                f"the auth location {gate.path} passes on the length of a body that it does not have: "
                "uploads hang or are refused",
                f"write {' and '.join(f'`{line}`' for line in missing)} in it",
            )


def auth_cache_key(server: Server) -> Iterator[Finding]:
    """A cached decision belongs to a credential: without it in the key it belongs to everyone."""
    for gate in server.gates.values():
        if gate.scope.value("proxy_cache", "off") == "off":
            continue
        key = gate.scope.effective("proxy_cache_key")
        if key and _CREDENTIAL.search(" ".join(key[-1].args)):
            continue
        yield at(
            key[-1] if key else gate.scope.effective("proxy_cache")[-1],
            "auth-cache-key",
            "error",
            f"decisions of the auth location {gate.path} are cached without the credential in the key: "
            "what one client may, everyone may",
            "write `proxy_cache_key` with the whole credential in it, such as $http_authorization",
        )


def auth_cache_refusals(server: Server) -> Iterator[Finding]:
    """What is cached for any status repeats a no, or a fault, after it has ended."""
    for gate in server.gates.values():
        if gate.scope.value("proxy_cache", "off") == "off":
            continue
        for valid in gate.scope.effective("proxy_cache_valid"):
            if set(valid.args[:-1]) & {"any", "401", "403", *_OWN_FAULTS}:
                yield at(
                    valid,
                    "auth-cache-refusals",
                    "warning",
                    f"it holds in the auth location {gate.path}: a no or a fault is repeated after it ended",
                    "name the statuses that allow: proxy_cache_valid 200 204 10s;",
                )


def auth_cache_stale(server: Server) -> Iterator[Finding]:
    """An old yes is a yes to a token that has expired since."""
    for gate in server.gates.values():
        if gate.scope.value("proxy_cache", "off") == "off":
            continue
        yield from _stale(gate, gate.scope.effective("proxy_cache_use_stale"))
        own = gate.scope.own("open_file_cache")  # who writes it here has thought of it
        for cache in () if own else gate.scope.effective("open_file_cache"):
            if cache.args[:1] != ("off",):
                yield at(
                    cache,
                    "auth-cache-stale",
                    "warning",
                    f"it holds in the auth location {gate.path}: decisions live on after they were deleted",
                    "write `open_file_cache off;` in the auth location",
                )


def _stale(gate: Location, lines: tuple[Directive, ...]) -> Iterator[Finding]:
    for line in lines:
        if line.args[:1] != ("off",):
            yield at(
                line,
                "auth-cache-stale",
                "warning",
                f"it holds in the auth location {gate.path}: a decision that has ended is given again",
                "write `proxy_cache_use_stale off;` in the auth location",
            )
