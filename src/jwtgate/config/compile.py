"""gateway.yaml → Plan. All mistakes at once, those of shape and those of meaning, in the order of the file.

Nothing but the file's text, the environment, the number of processors and the files that it names has an
influence: the same gives an equal Plan.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from jwtgate.config.answers import answers
from jwtgate.config.denials import compile_denials
from jwtgate.config.document import read_document
from jwtgate.config.files import Files
from jwtgate.config.issuers import compile_issuers
from jwtgate.config.problems import Problem
from jwtgate.config.report import Report, in_order
from jwtgate.config.routes import compile_policies, compile_routes
from jwtgate.config.tenants import issuer_names
from jwtgate.config.validate import validate
from jwtgate.errors import ConfigError
from jwtgate.plan import DecisionCache, Listener, Plan, Server, SignerSettings, Tls, Upstream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from jwtgate.config.schema import ListenerSection, SignerSection, UpstreamSection
    from jwtgate.config.validate import Validated

_MIN_WORKERS = 2  # one may be restarted while the other answers


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Plan, and what a person should know about it."""

    plan: Plan
    warnings: tuple[Problem, ...]


def load(path: Path, environ: Mapping[str, str], *, cpu_count: int | None = None) -> Loaded:
    """Read a configuration file. Raises ConfigError with all of its problems.

    `cpu_count` is for `workers: auto`; None asks the machine.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        hint = "name the gateway.yaml to use, or make one from the example in the README"
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {reason}", hint)]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = "the file is not UTF-8 text"
        hint = f"byte 0x{error.object[error.start]:02x} is no UTF-8: save the file in that encoding"
        raise ConfigError([Problem(str(path), line, 1, message, hint)]) from None
    return load_text(text, str(path), environ, cpu_count=cpu_count)


def load_text(text: str, filename: str, environ: Mapping[str, str], *, cpu_count: int | None = None) -> Loaded:
    """Like `load`, for text. Relative paths in it are relative to the directory of `filename`."""
    with _collector_paused():
        document = read_document(text, filename, environ)
        validated = validate(document)
        report = Report(document)
        files = Files(Path(filename).absolute().parent)
        plan = _compile(validated, environ, files, cpu_count or os.cpu_count() or 1, report)
        problems = in_order([*document.problems, *validated.problems, *report.problems])
        if problems:
            raise ConfigError(problems)
        return Loaded(plan, in_order(report.warnings))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's collector of cycles: a load makes a great many objects, and no cycles.

    With it, 10,000 routes take more than twice as long.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _compile(
    validated: Validated, environ: Mapping[str, str], files: Files, cpu_count: int, report: Report
) -> Plan:
    gateway = validated.gateway
    issuers = compile_issuers(gateway.issuers, environ, files, report)
    named = compile_policies(validated, report)
    stands_for = issuer_names(gateway.issuers)
    policies = {
        policy: tuple(chain.from_iterable(stands_for.get(name, (name,)) for name in names))
        for policy, names in named.items()
    }
    overrides = compile_denials(gateway.denials, ("denials",), report)
    compiled = compile_routes(validated, policies, issuers, overrides, report)
    upstreams = _upstreams(gateway.upstreams, report)
    _warn_of_unused(validated, named, report)
    used_issuers = {name for policy in compiled.policies.values() for name in policy.issuers}
    used_upstreams = {route.upstream for route in compiled.routes}
    _warn_of_trust_in_everyone(gateway.trusted_proxies, report)
    return Plan(
        listeners=_listeners(gateway.listen, files, report),
        run_dir=files.path(gateway.run_dir) if gateway.run_dir is not None else None,
        state_dir=files.path(gateway.state_dir) if gateway.state_dir is not None else None,
        trusted_proxies=tuple(gateway.trusted_proxies),
        realm=gateway.realm,
        access_log=_access_log(gateway.access_log, files),
        issuers={name: issuer for name, issuer in issuers.items() if name in used_issuers},
        policies=compiled.policies,
        upstreams={name: upstream for name, upstream in upstreams.items() if name in used_upstreams},
        routes=compiled.routes,
        answers=answers(gateway.realm, overrides),
        cache=DecisionCache(gateway.cache.max_size),
        workers=gateway.workers or max(_MIN_WORKERS, cpu_count),
        signer=_signer(gateway.signer, files) if gateway.signer else None,
    )


def _listeners(sections: list[ListenerSection], files: Files, report: Report) -> tuple[Listener, ...]:
    listeners: dict[str, Listener] = {}
    for index, section in enumerate(sections):
        path = ("listen", index)
        if section.address in listeners:
            message = f"a second listener on {section.address}"
            report.error((*path, "address"), message, "remove one of them")
        tls = None
        if section.tls:
            certificate = files.readable((*path, "tls", "certificate"), section.tls.certificate, report)
            key = files.readable((*path, "tls", "key"), section.tls.key, report)
            tls = Tls(certificate, key) if certificate and key else None
            first = next((listener.tls for listener in listeners.values() if listener.tls), None)
            if tls and first and tls != first:
                # They stand in one server block of NGINX, and that has one certificate.
                message = "this listener has another certificate than the one before it"
                report.error((*path, "tls"), message, "give all TLS listeners the same certificate and key")
        listeners.setdefault(section.address, Listener(section.address, tls))
    return tuple(listeners.values())


def _upstreams(sections: Mapping[str, UpstreamSection], report: Report) -> dict[str, Upstream]:
    upstreams: dict[str, Upstream] = {}
    names: dict[str, str] = {}
    for name, section in sections.items():
        first = names.setdefault(name.lower(), name)
        if first != name:
            # ngx_http_upstream_add compares names without case.
            message = f'the upstream "{name}" differs from "{first}" in case only'
            report.error(("upstreams", name), message, "NGINX takes them for one: rename it", at_key=True)
        if name.lower().startswith("jwtgate"):
            message = f'the upstream name "{name}" begins with jwtgate'
            report.error(("upstreams", name), message, "such names are the gateway's own: rename it", at_key=True)
        if not section.servers:
            message, hint = f'upstream "{name}" has no servers', "write http://host:3000"
            report.error(("upstreams", name), message, hint, at_key=True)
            continue
        tls = section.servers[0].tls
        for index, server in enumerate(section.servers):
            if server.tls != tls:
                message = f'upstream "{name}" mixes http and https'
                hint = "NGINX speaks to all servers of an upstream alike: make two upstreams"
                report.error(("upstreams", name, "servers", index), message, hint)
        servers = tuple(Server(server.address) for server in section.servers)
        upstreams[name] = Upstream(name, servers, tls, section.keepalive)
    return upstreams


def _access_log(value: str | None, files: Files) -> str | None:
    if value is None:
        return None
    return "/dev/stdout" if value == "stdout" else str(files.path(value))


def _signer(section: SignerSection, files: Files) -> SignerSettings:
    return SignerSettings(
        issuer=section.issuer,
        audience=tuple(section.audience),
        algorithm=section.algorithm,
        listen=section.listen,
        key_dir=files.path(section.key_dir),
        token_lifetime=section.token_lifetime,
        jwks_max_age=section.jwks_max_age,
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """Names of a section, and those of them that others use."""

    noun: str
    user: str
    section: str
    names: Iterable[str]
    used: Collection[str | None]


def _warn_of_unused(validated: Validated, policies: Mapping[str, tuple[str, ...]], report: Report) -> None:
    gateway = validated.gateway
    issuers = {name for names in policies.values() for name in names}
    uses = (
        _Use("policy", "route", "policies", gateway.policies, {route.policy for route in gateway.routes}),
        _Use("upstream", "route", "upstreams", gateway.upstreams, {route.upstream for route in gateway.routes}),
        _Use("issuer", "policy", "issuers", gateway.issuers, issuers),
    )
    for use in uses:
        for name in use.names:
            if name not in use.used:
                message = f'{use.noun} "{name}" is used by no {use.user}, and left out'
                report.warn((use.section, name), message, at_key=True)


def _warn_of_trust_in_everyone(networks: list[str], report: Report) -> None:
    for index, network in enumerate(networks):
        if network.endswith("/0"):
            report.warn(
                ("trusted_proxies", index),
                f"{network} believes every client about its own address",
                "name the proxies in front of this gateway only",
            )
