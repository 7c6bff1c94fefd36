"""The metrics, as Prometheus reads them. A table; docs/metrics.md lists them for people.

No label's value comes from a token or from a client: routes, policies and issuers are names in gateway.yaml,
reasons, sources and states of the cache are enumerations, statuses are NGINX's own, keys are those that issuers
publish.

Counters begin at zero when the gateway starts and with each reload, as Prometheus expects of a restarted process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from jwtgate.control.key_metrics import KEY_LABELS, key_times, keys_left_out
from jwtgate.control.parts import Said
from jwtgate.control.revocation import revocation_view
from jwtgate.jwks import IssuerView, merged
from jwtgate.validator import BOUNDS, KEYS_PATH, METRICS_PATH, Measurements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.core import Metric

    from jwtgate.control.commands import Running
    from jwtgate.control.counts import Kind
    from jwtgate.control.parts import Readiness
    from jwtgate.jwks import KeyView, StatusListView
    from jwtgate.validator import DeniedAnswer, RevocationAnswer


_PATIENCE = 1.0  # seconds for a worker to answer

Values = Iterable[tuple[tuple[str, ...], float]]  # of labels, and the number


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is to tell, at one moment."""

    readiness: Readiness
    kinds: Sequence[tuple[Kind, int]]
    workers: Sequence[Measurements]
    issuers: Sequence[IssuerView]
    revocation: RevocationAnswer
    connections: dict[str, int]  # NGINX's own words → how many; empty when it cannot tell


Measure = Callable[[Snapshot], Values]


@dataclass(frozen=True, slots=True)
class Row:
    """A counter or a gauge: its name without `_total`, what it says, its labels, its values."""

    family: Callable[..., CounterMetricFamily | GaugeMetricFamily]
    name: str
    text: str
    labels: tuple[str, ...]
    values: Measure


def _counted(snapshot: Snapshot, name: Callable[[Kind], tuple[str, ...] | None]) -> Values:
    sums: Counter[tuple[str, ...]] = Counter()
    for kind, count in snapshot.kinds:
        labels = name(kind)
        if labels is not None:
            sums[labels] += count
    return sums.items()


def _requests(snapshot: Snapshot) -> Values:
    return _counted(snapshot, lambda kind: (kind.route, kind.status))


def _decisions(snapshot: Snapshot) -> Values:
    return _counted(
        snapshot,
        lambda kind: (
            (kind.route, kind.policy, kind.issuer, kind.reason or "allowed")
            if kind.policy or kind.reason
            else None
        ),
    )


def _cache(snapshot: Snapshot) -> Values:
    return _counted(snapshot, lambda kind: (kind.route, kind.cache.lower()) if kind.cache else None)


def _issuers(
    value: Callable[[IssuerView], float | None],
) -> Measure:
    def values(snapshot: Snapshot) -> Values:
        for view in snapshot.issuers:
            found = value(view)
            if found is not None:
                yield (view.name,), found

    return values


def _sources(snapshot: Snapshot) -> Values:
    return [((view.name, view.origin or "none"), 1) for view in snapshot.issuers]


def _keys(time: Callable[[KeyView], float | None]) -> Measure:
    return lambda snapshot: key_times(snapshot.issuers, time)


def _status_lists(value: Callable[[Sequence[StatusListView]], float | None]) -> Measure:
    def values(snapshot: Snapshot) -> Values:
        lists = snapshot.revocation.status_lists
        for name in dict.fromkeys(each.issuer for each in lists):
            found = value([each for each in lists if each.issuer == name])
            if found is not None:
                yield (name,), found

    return values


def _deny_list(value: Callable[[DeniedAnswer], float]) -> Measure:
    def values(snapshot: Snapshot) -> Values:
        denied = snapshot.revocation.deny_list
        return [((), value(denied))] if denied.file is not None else []

    return values


def _workers(
    value: Callable[[Measurements], float],
) -> Measure:
    return lambda snapshot: [((), sum(map(value, snapshot.workers)))]


def _one(value: Callable[[Snapshot], float]) -> Measure:
    return lambda snapshot: [((), value(snapshot))]


def _nginx(word: str) -> Measure:
    return lambda snapshot: [((), snapshot.connections[word])] if word in snapshot.connections else []


def _shadows(snapshot: Snapshot) -> Values:
    sums: Counter[tuple[str, ...]] = Counter()
    for worker in snapshot.workers:
        for each in worker.shadows:
            sums[each.policy, each.shadow, each.enforced, each.would_be] += each.count
    return sums.items()


COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily

ROWS = (
    Row(COUNTER, "jwtgate_requests", "Requests, by what NGINX answered.", ("route", "status"), _requests),
    Row(
        COUNTER,
        "jwtgate_decisions",
        "Decisions about requests; reason is `allowed`, or why not. Those from NGINX's cache count too.",
        ("route", "policy", "issuer", "reason"),
        _decisions,
    ),
    Row(
        COUNTER,
        "jwtgate_decision_cache",
        "What NGINX's cache of decisions had: hit, miss, expired.",
        ("route", "state"),
        _cache,
    ),
    Row(
        COUNTER,
        "jwtgate_verified_token_hits",
        "Decisions of validators about a token whose signature they had checked before.",
        (),
        _workers(lambda worker: worker.remembered),
    ),
    Row(
        GAUGE,
        "jwtgate_verified_tokens",
        "Tokens that validators remember as verified.",
        (),
        _workers(lambda worker: worker.verified_tokens),
    ),
    Row(
        GAUGE,
        "jwtgate_decision_cache_full",
        "Validators that call no decision cacheable, because the cache is over its share.",
        (),
        _workers(lambda worker: worker.cache_is_full),
    ),
    Row(
        COUNTER,
        "jwtgate_shadow_decisions",
        "Decisions of validators that a shadow policy was asked about too, by what both said.",
        ("policy", "shadow", "enforced", "would_be"),
        _shadows,
    ),
    Row(GAUGE, "jwtgate_ready", "1: ready.", (), _one(lambda now: now.readiness.is_ready)),
    Row(
        GAUGE,
        "jwtgate_validators",
        "Validators that should run.",
        (),
        _one(lambda now: now.readiness.validators),
    ),
    Row(
        GAUGE,
        "jwtgate_validators_answering",
        "Validators that answer.",
        (),
        _one(lambda now: now.readiness.answering),
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_available",
        "1: there are usable keys of this issuer.",
        ("issuer",),
        _issuers(lambda view: view.available),
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_keys",
        "Usable keys.",
        ("issuer",),
        _issuers(lambda view: None if view.available is None else len(view.keys)),
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_keys_source",
        "1: its keys are from there.",
        ("issuer", "source"),
        _sources,
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_key_age_seconds",
        "Since the issuer last confirmed its keys.",
        ("issuer",),
        _issuers(lambda view: view.age),
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_next_refresh_seconds",
        "Until its keys are fetched again.",
        ("issuer",),
        _issuers(lambda view: view.next_refresh),
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_failing",
        "1: the last fetch of its keys failed.",
        ("issuer",),
        _issuers(lambda view: view.failing),
    ),
    Row(
        GAUGE,
        "jwtgate_issuer_last_error_timestamp_seconds",
        "When fetches of its keys last began to fail, or to fail otherwise.",
        ("issuer",),
        _issuers(lambda view: view.last_error_at),
    ),
    Row(
        GAUGE,
        "jwtgate_key_first_seen_timestamp_seconds",
        "When the key was first seen.",
        KEY_LABELS,
        _keys(lambda key: key.first_seen),
    ),
    Row(
        GAUGE,
        "jwtgate_key_last_used_timestamp_seconds",
        "When a validator last allowed a token of the key.",
        KEY_LABELS,
        _keys(lambda key: key.last_used),
    ),
    Row(
        GAUGE,
        "jwtgate_keys_left_out",
        "Keys that are too many to be told one by one.",
        (),
        _one(lambda now: keys_left_out(now.issuers)),
    ),
    Row(COUNTER, "jwtgate_issuer_fetches", "Fetches of keys.", ("issuer",), _issuers(lambda view: view.fetches)),
    Row(
        COUNTER,
        "jwtgate_issuer_fetch_failures",
        "Fetches of keys that failed.",
        ("issuer",),
        _issuers(lambda view: view.failures),
    ),
    Row(GAUGE, "jwtgate_status_lists", "Status lists that are followed.", ("issuer",), _status_lists(len)),
    Row(
        GAUGE,
        "jwtgate_status_lists_failing",
        "Status lists whose last fetch failed.",
        ("issuer",),
        _status_lists(lambda lists: sum(each.error is not None for each in lists)),
    ),
    Row(
        GAUGE,
        "jwtgate_status_list_age_seconds",
        "Since the issuer last confirmed the oldest of its status lists.",
        ("issuer",),
        _status_lists(lambda lists: max((each.age for each in lists if each.age is not None), default=None)),
    ),
    Row(
        GAUGE,
        "jwtgate_deny_list_entries",
        "Entries of the deny-list that are in use.",
        (),
        _deny_list(lambda denied: denied.entries),
    ),
    Row(
        GAUGE,
        "jwtgate_deny_list_failing",
        "1: the deny-list is not as its file says, since that cannot be read.",
        (),
        _deny_list(lambda denied: denied.error is not None),
    ),
    Row(GAUGE, "jwtgate_nginx_connections", "Open connections of clients.", (), _nginx("active")),
    Row(COUNTER, "jwtgate_nginx_connections_accepted", "Connections accepted.", (), _nginx("accepts")),
    Row(COUNTER, "jwtgate_nginx_connections_handled", "Connections handled.", (), _nginx("handled")),
    Row(COUNTER, "jwtgate_nginx_requests", "Requests, as NGINX counts.", (), _nginx("requests")),
)

LATENCY = "jwtgate_validator_decision_seconds"


class _Collector:
    """What prometheus-client asks for families."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for row in ROWS:
            family = row.family(row.name, row.text, labels=row.labels)
            for labels, value in row.values(self._snapshot):
                family.add_metric(labels, value)
            yield family
        yield _latency(self._snapshot.workers)


def _latency(workers: Sequence[Measurements]) -> HistogramMetricFamily:
    counts = (
        accumulate(map(sum, zip(*(worker.buckets for worker in workers), strict=True))) if workers else iter(())
    )
    bounds = [*map(str, BOUNDS), "+Inf"]
    family = HistogramMetricFamily(LATENCY, "How long validators took for a decision.")
    if workers:
        family.add_metric(
            (), list(zip(bounds, counts, strict=True)), sum_value=sum(worker.seconds for worker in workers)
        )
    return family


def write(snapshot: Snapshot) -> bytes:
    """The text format, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(snapshot))
    return generate_latest(registry)


async def look(running: Running) -> Snapshot:
    """Ask everybody. Who does not answer is left out."""
    running.counts.look()
    measured = await running.parts.ask_validators(METRICS_PATH)
    keys = await running.parts.ask_validators(KEYS_PATH)
    status = await running.parts.ask_nginx("/status")
    return Snapshot(
        readiness=await running.parts.readiness(),
        kinds=list(running.counts.kinds()),
        workers=[
            msgspec.json.decode(said.body, type=Measurements)
            for said in measured.values()
            if isinstance(said, Said)
        ],
        issuers=merged(
            msgspec.json.decode(said.body, type=tuple[IssuerView, ...])
            for said in keys.values()
            if isinstance(said, Said)
        ),
        revocation=await revocation_view(running.parts, _PATIENCE),
        connections=_connections(status.body.decode()) if isinstance(status, Said) else {},
    )


def _connections(text: str) -> dict[str, int]:
    """What `stub_status` says."""
    found = re.search(r"Active connections: (\d+)\s+server accepts handled requests\s+(\d+) (\d+) (\d+)", text)
    return (
        dict(zip(("active", "accepts", "handled", "requests"), map(int, found.groups()), strict=True))
        if found
        else {}
    )
