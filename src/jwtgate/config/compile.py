"""gateway.yaml → Plan. All mistakes at once, those of shape and those of meaning, in the order of the file.

Nothing but the file's text, the environment, the number of processors and the files that it names has an
influence: the same gives an equal Plan.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from jwtgate.config.addresses import is_loopback_address
from jwtgate.config.answers import answers
from jwtgate.config.denials import compile_denials
from jwtgate.config.document import read_document
from jwtgate.config.files import Files
from jwtgate.config.issuers import compile_issuers
from jwtgate.config.policies import compile_policies, warn_of_query_tokens
from jwtgate.config.report import Report, in_order
from jwtgate.config.routes import compile_routes
from jwtgate.config.signer import compile_signer
from jwtgate.config.tenants import issuer_names
from jwtgate.config.text import read_text
from jwtgate.config.transport import (
    compile_hosts,
    compile_listeners,
    compile_rate_limits,
    compile_resolver,
    compile_upstreams,
)
from jwtgate.config.validate import validate
from jwtgate.errors import ConfigError, DenyListError
from jwtgate.plan import DecisionCache, Plan
from jwtgate.revocation import read_deny_list

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from jwtgate.config.policies import NamedPolicy
    from jwtgate.config.problems import Problem
    from jwtgate.config.schema import AdminSection, Gateway
    from jwtgate.config.validate import Validated

_LEAST_BETWEEN_RELOADS = 5  # seconds
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
    return load_text(read_text(path), str(path), environ, cpu_count=cpu_count)


def load_text(text: str, filename: str, environ: Mapping[str, str], *, cpu_count: int | None = None) -> Loaded:
    """Like `load`, for text. Relative paths in it are relative to the directory of `filename`."""
    with _collector_paused():
        return _load_text(text, filename, environ, cpu_count or os.cpu_count() or 1)


def _load_text(text: str, filename: str, environ: Mapping[str, str], cpu_count: int) -> Loaded:
    """Its own function: when it returns, the document is gone, and the collector has nothing to look at."""
    document = read_document(text, filename, environ)
    validated = validate(document)
    report = Report(document)
    files = Files(Path(filename).absolute().parent)
    plan = _compile(validated, environ, files, cpu_count, report)
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
        name: replace(
            policy,
            issuers=tuple(chain.from_iterable(stands_for.get(issuer, (issuer,)) for issuer in policy.issuers)),
        )
        for name, policy in named.items()
    }
    overrides = compile_denials(gateway.denials, ("denials",), report)
    compiled = compile_routes(validated, policies, issuers, overrides, report)
    upstreams = compile_upstreams(gateway.upstreams, files, report)
    _warn_of_unused(validated, named, report)
    used_issuers = {
        name
        for policy in compiled.policies.values()
        for each in (policy, policy.shadow)
        if each is not None
        for name in each.issuers
    }
    used_upstreams = {route.upstream for route in compiled.routes}
    warn_of_query_tokens(gateway, report)
    _warn_of_trust_in_everyone(gateway.trusted_proxies, report)
    return Plan(
        listeners=compile_listeners(gateway.listen, files, report),
        run_dir=files.path(gateway.run_dir) if gateway.run_dir is not None else None,
        deny_list=_deny_list(gateway.deny_list, files, report),
        state_dir=files.path(gateway.state_dir) if gateway.state_dir is not None else None,
        trusted_proxies=tuple(gateway.trusted_proxies),
        realm=gateway.realm,
        access_log=_access_log(gateway.access_log, files),
        admin=_admin(gateway.admin, report),
        issuers={name: issuer for name, issuer in issuers.items() if name in used_issuers},
        policies=compiled.policies,
        upstreams={name: upstream for name, upstream in upstreams.items() if name in used_upstreams},
        routes=compiled.routes,
        included=compiled.included,
        answers=answers(gateway.realm, overrides),
        cache=DecisionCache(gateway.cache.max_size),
        workers=gateway.workers or max(_MIN_WORKERS, cpu_count),
        identity_bytes=gateway.identity_bytes,
        signer=compile_signer(gateway.signer, files, report) if gateway.signer else None,
        hosts=compile_hosts(gateway, files, report),
        rate_limits=compile_rate_limits(gateway.rate_limits),
        resolver=compile_resolver(gateway.resolver),
        traceparent=gateway.traceparent,
        nginx_scheduling=gateway.nginx_scheduling,
        shutdown_timeout=gateway.shutdown_timeout,
        max_connection_age=_max_connection_age(gateway, report),
        drain_timeout=gateway.drain_timeout,
    )


def _deny_list(name: str | None, files: Files, report: Report) -> Path | None:
    """The deny-list, which must be right when the gateway starts: without it the gate would stand open."""
    file = None if name is None else files.readable(("deny_list",), name, report)
    if file is None:
        return None
    try:
        for _entry in read_deny_list(file.read_bytes(), str(file)):
            pass
    except DenyListError as error:
        report.error(("deny_list",), f"the deny-list cannot be used: {error}", "correct that line")
        return None
    return file


def _max_connection_age(gateway: Gateway, report: Report) -> int | None:
    age = gateway.max_connection_age
    name = "drain_timeout" if gateway.drain_timeout >= gateway.shutdown_timeout else "shutdown_timeout"
    least = max(gateway.drain_timeout, gateway.shutdown_timeout) + _LEAST_BETWEEN_RELOADS
    if age is not None and age < least:
        message = f'"max_connection_age" is not {_LEAST_BETWEEN_RELOADS} seconds longer than "{name}"'
        hint = f"NGINX is reloaded so often that what is open ends in time: write {least}s or more"
        report.error(("max_connection_age",), message, hint)
    return age


def _access_log(value: str | None, files: Files) -> str | None:
    if value is None:
        return None
    return "/dev/stdout" if value == "stdout" else str(files.path(value))


def _admin(section: AdminSection, report: Report) -> str | None:
    if section.address is not None and not is_loopback_address(section.address) and not section.insecure_remote:
        report.error(
            ("admin", "address"),
            f"the admin address {section.address} can be reached from other machines",
            f"write a loopback address, or admin: {{address: {section.address}, insecure_remote: true}}",
        )
    return section.address


@dataclass(frozen=True, slots=True)
class _Use:
    """Names of a section, and those of them that others use."""

    noun: str
    user: str
    section: str
    names: Iterable[str]
    used: Collection[str | None]


def _warn_of_unused(validated: Validated, policies: Mapping[str, NamedPolicy], report: Report) -> None:
    gateway = validated.gateway
    issuers = {name for policy in policies.values() for name in policy.issuers}
    uses = (
        _Use(
            "policy",
            "route",
            "policies",
            gateway.policies,
            {name for route in gateway.routes for name in (route.policy, route.shadow)}
            | {name for each in gateway.include.values() for name in (each.policy, each.shadow)},
        ),
        _Use("upstream", "route", "upstreams", gateway.upstreams, {route.upstream for route in gateway.routes}),
        _Use("issuer", "policy", "issuers", gateway.issuers, issuers),
        _Use(
            "rate limit",
            "route",
            "rate_limits",
            gateway.rate_limits,
            {route.rate_limit for route in gateway.routes},
        ),
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
