"""Rules about the locations that services stand behind: who is asked, what is passed on, what is remembered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jwtgate.lint.findings import Finding, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.lint.effective import Directive
    from jwtgate.lint.scope import Location, Scope, Server

# A module's lines that replace those of the level around: where a request's headers or parameters are set.
_SETTERS = {
    "proxy_pass": "proxy_set_header",
    "grpc_pass": "grpc_set_header",
    "fastcgi_pass": "fastcgi_param",
    "uwsgi_pass": "uwsgi_param",
    "scgi_pass": "scgi_param",
}
_CACHES = {"proxy_pass": "proxy", "fastcgi_pass": "fastcgi", "uwsgi_pass": "uwsgi", "scgi_pass": "scgi"}
_REFUSED = {"401", "403", "500"}  # by NGINX, when an auth service refused, or answered what it does not know
# What is there with every request that got through: `jwtgate render --include` sets the second.
_ALWAYS_ASKED = {"$http_authorization", "$jwtgate_policy"}
_SUBJECT = re.compile(r"\$\{?(http_authorization|http_cookie|cookie_|remote_user|ssl_client_|jwt_)")


def unprotected(server: Server) -> Iterator[Finding]:
    """A service that anyone reaches. `auth_request off;` in the location says that this is meant."""
    gates, inside = server.gates, _reached_unasked(server)
    for location in server.locations:
        way = next(((scope, lines) for scope, lines in location.ways if lines and not scope.protected), None)
        if way is None or id(location.node) in gates:
            continue
        if not location.reachable and id(location.node) not in inside:
            continue
        if any(each.args == ("off",) for each in location.scope.own("auth_request")):
            continue
        scope, (line, *_) = way
        methods = (
            f" for methods other than {', '.join(scope.node.args)}" if scope.node.name == "limit_except" else ""
        )
        yield at(
            line if not methods else scope.node,
            "unprotected",
            "warning" if gates else "note",
            f"nothing protects `{location}`{methods}: everyone reaches {_service(line)}",
            "write `auth_request` in the location or the server; if it is meant so, say it: auth_request off;",
        )


def _reached_unasked(server: Server) -> set[int]:
    """Internal locations to which a request goes on that nobody was asked about, by the identity of their line.

    From an open location by `try_files` or `error_page`; from a protected one by an `error_page` for its refusal,
    when that leads to a service that is protected elsewhere (a login page, which it leads to mostly, is not).
    """
    kept = {line.args for each in server.locations if each.protected for line in each.passes}
    found = set()
    for location in server.locations:
        if not location.reachable or any(each.args == ("off",) for each in location.scope.own("auth_request")):
            continue
        pages = [
            (each.args[-1], {code for code in each.args[:-1] if code.isdigit()})
            for each in location.scope.effective("error_page")
        ]
        if location.protected:
            refused = [server.find(target) for target, codes in pages if codes & _REFUSED]
            found |= {id(each.node) for each in refused if each and any(x.args in kept for x in each.passes)}
        else:
            targets = [target for target, codes in pages if codes - _REFUSED]
            targets += [each.args[-1] for each in location.scope.own("try_files")]
            found |= {id(each.node) for each in map(server.find, targets) if each}
    return found


def satisfy_any(server: Server) -> Iterator[Finding]:
    """`satisfy any`: one of the conditions will do, so a good address needs no token."""
    for location in server.locations:
        if location.ask is None or location.scope.value("satisfy", "all") != "any":
            continue
        others = [name for name in ("auth_basic", "auth_jwt") if location.scope.value(name, "off") != "off"]
        if any(each.name == "allow" for each in location.scope.effective("access")):
            others.insert(0, "allow")
        if others:
            yield at(
                location.scope.effective("satisfy")[-1],
                "satisfy-any",
                "warning",
                f"in `{location}` {' or '.join(others)} is enough: auth_request does not matter then",
                "write `satisfy all;`",
            )


def lost_headers(server: Server) -> Iterator[Finding]:
    """One `proxy_set_header` in a location, and none of those around it is inherited."""
    gates = server.gates
    for location in server.locations:
        if id(location.node) in gates:
            continue
        for setter in dict.fromkeys(_SETTERS[line.name] for line in location.passes if line.name in _SETTERS):
            for scope in (location.scope, *location.ifs):
                yield from _lost(scope, setter)


def _lost(scope: Scope, setter: str) -> Iterator[Finding]:
    own = scope.own(setter)
    around = scope.outer.effective(setter) if own and scope.outer else ()
    kept = {each.args[0].lower() for each in own}
    lost = list(dict.fromkeys(each.args[0] for each in around if each.args[0].lower() not in kept))
    if lost:
        yield at(
            own[0],
            "lost-headers",
            "warning",
            f"the {setter} lines of {around[0].file}:{around[0].line} no longer hold here: {', '.join(lost)} "
            "go as the client sent them, or not at all",
            f"repeat them in `{scope.node.name} {' '.join(scope.node.args)}`",
        )


def spoofable_identity(server: Server) -> Iterator[Finding]:
    """A header that says who somebody is in one location, and is the client's own in another."""
    gates = server.gates
    passing = [
        each
        for each in server.locations
        if each.passes and id(each.node) not in gates and not each.scope.own("internal")
    ]
    for setter in ("proxy_set_header", "grpc_set_header"):
        named = {}
        for location in passing:
            decided = {each.args[0] for each in location.scope.effective("auth_request_set")}
            for line in location.scope.effective(setter):
                if location.ask is not None and decided & set(line.args[1:]):
                    named[line.args[0].lower()] = line.args[0]
        for location in passing:
            pass_line = location.passes[0]
            if _SETTERS.get(pass_line.name) != setter:
                continue
            kept = {line.args[0].lower() for line in location.scope.effective(setter)}
            open_names = [name for key, name in sorted(named.items()) if key not in kept]
            if open_names:
                yield at(
                    pass_line,
                    "spoofable-identity",
                    "warning",
                    f"in `{location}` clients can send {', '.join(open_names)} themselves, which elsewhere in "
                    "this server says who they are",
                    "clear them: " + " ".join(f'{setter} {name} "";' for name in open_names),
                )


def shared_cache(server: Server) -> Iterator[Finding]:
    """An answer that was made for one caller, given to the next."""
    gates = server.gates
    for location in server.locations:
        if location.ask is None or id(location.node) in gates:
            continue
        for module in dict.fromkeys(_CACHES[line.name] for line in location.passes if line.name in _CACHES):
            cache = location.scope.effective(f"{module}_cache")
            if not cache or cache[-1].args == ("off",) or _knows_the_caller(location, module):
                continue
            yield at(
                cache[-1],
                "shared-cache",
                "error",
                f"it holds in the protected `{location}`, and the caller is not in the "
                "key: what the service says to one is given to another",
                f"write `{module}_cache off;` in the location, or put $http_authorization into {module}_cache_key",
            )


def _knows_the_caller(location: Location, module: str) -> bool:
    """Whether the key says who asks, or answers to requests with a credential are neither kept nor looked for."""
    keys = location.scope.effective(f"{module}_cache_key")
    key = " ".join(keys[-1].args) if keys else ""
    decided = {each.args[0] for each in location.scope.effective("auth_request_set")}
    if _SUBJECT.search(key) or any(variable in key for variable in decided):
        return True
    exceptions = [location.scope.effective(f"{module}_{name}") for name in ("no_cache", "cache_bypass")]
    return all(any(_ALWAYS_ASKED & set(line.args) for line in lines) for lines in exceptions)


def unasked_return(server: Server) -> Iterator[Finding]:
    """`return` answers in the rewrite phase, before `auth_request` is asked."""
    for location in server.locations:
        if location.ask is None or not location.reachable:
            continue
        for scope in (location.scope, *location.ifs):
            for line in scope.own("return"):
                status = line.args[0] if line.args and line.args[0].isdigit() else "302"
                if status < "400":
                    yield at(
                        line,
                        "unasked-return",
                        "warning" if status < "300" else "note",
                        f"`{location}` seems protected, and is not: return answers before auth_request is asked",
                        "let a service (proxy_pass) or a file answer; or say that it is public: auth_request off;",
                    )


def off_by_slash(server: Server) -> Iterator[Finding]:
    """`location /a` with `/a/` replaced: `/a../secret` becomes `/dir/../secret`."""
    for location in server.locations:
        if location.modifier not in ("", "^~") or location.path.endswith("/"):
            continue
        for alias in location.scope.own("alias"):
            if alias.args and alias.args[0].endswith("/"):
                yield at(
                    alias,
                    "off-by-slash",
                    "error",
                    f"`location {location.path}` also matches {location.path}../: files beside "
                    f"{alias.args[0]} can be read",
                    f"write `location {location.path}/`",
                )
        for line in location.scope.own("proxy_pass"):
            if re.match(r"https?://[^/$]+/(.*/)?$", line.args[0] if line.args else ""):
                yield at(
                    line,
                    "off-by-slash",
                    "warning",
                    f"`location {location.path}` also matches {location.path}anything and {location.path}../: "
                    "the service gets a path beside the one that was meant",
                    f"write `location {location.path}/`",
                )


def open_upgrade(server: Server) -> Iterator[Finding]:
    """`Upgrade: h2c` passed on opens a connection in which NGINX sees no requests any more."""
    for location in server.locations:
        if not any(line.name == "proxy_pass" for line in location.passes):
            continue
        headers = {each.args[0].lower(): each for each in location.scope.effective("proxy_set_header")}
        upgrade, connection = headers.get("upgrade"), headers.get("connection")
        if upgrade is None or connection is None or upgrade.args[-1] not in ("$http_upgrade", "${http_upgrade}"):
            continue
        if "$" in connection.args[-1] or "upgrade" in connection.args[-1].lower():
            yield at(
                upgrade,
                "open-upgrade",
                "warning",
                "any protocol that a client names is passed on, h2c too: nobody asks about the requests inside it",
                'let a map choose: map $http_upgrade $upgrade { default ""; ~*^websocket$ websocket; }',
            )


def lenient_headers(server: Server) -> Iterator[Finding]:
    """`X_User` and `X-User` are one header to many services, and two to `proxy_set_header`."""
    if not server.gates:
        return
    for name, value in (("underscores_in_headers", "on"), ("ignore_invalid_headers", "off")):
        for line in server.scope.effective(name):
            if line.args == (value,):
                yield at(
                    line,
                    "lenient-headers",
                    "warning",
                    "a client's X_User reaches the service beside the X-User that is set here, and many services "
                    "take them for the same",
                    f"write `{name} {'off' if value == 'on' else 'on'};`",
                )


def unmerged_slashes(server: Server) -> Iterator[Finding]:
    """`//admin` is another location than `/admin` then, and the same page to most services."""
    if not server.gates:
        return
    for line in server.scope.effective("merge_slashes"):
        if line.args == ("off",):
            yield at(
                line,
                "unmerged-slashes",
                "warning",
                "//admin is not matched by `location /admin`, and is the same to most services",
                "write `merge_slashes on;`",
            )


def _service(line: Directive) -> str:
    return line.args[0] if line.args else line.name
