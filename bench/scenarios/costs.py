"""What authentication costs: CPU time of the gateway for each request, beside what people would use instead."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.goals import Goal
from bench.interleaved import Row, find, median
from bench.interleaved import measure as take_turns
from bench.markdown import LOAD_COLUMNS, load_cells, table, title
from bench.minting import ALGORITHMS
from bench.systems import jwtgate

if TYPE_CHECKING:
    from bench.load import Tokens
    from bench.systems import Running
    from bench.workbench import Bench

TITLE = "What authentication costs"

NONE = "no authentication"
EXPIRED = "ES256, known, decision ended"
KEPT_AGAIN = "ES256, known, decision ended and kept anew"
METRICS = "ES256, repeated, counted for metrics"
UNCACHED = "ES256, known, `staleness: 0`"

# Tokens enough for a second's run of new ones.
_A_SECOND = {"ES256": 10_000, "RS256": 12_000, "ES512": 2_500}

# Decisions of 1 s. A run is as long as these tokens last, so each comes once in a round: too seldom to be kept.
_SELDOM = 18_000  # a second of the run
# These come again when their decision has just ended, and it is kept anew.
_SOON = 20_000

_ROUTES = """
  - {path: /uncached/, upstream: service, policy: es256, identity: {X-User: sub}, staleness: 0}"""

_PEERS = ("nginx-1.31", "jwtgate-1.31", "c-module", "njs", "envoy", "envoy-cache", "haproxy")


def repeated(algorithm: str) -> str:
    """The label of a row with 100 tokens in turn."""
    return f"{algorithm}, repeated"


def new(algorithm: str) -> str:
    """The label of a row with tokens that never came before."""
    return f"{algorithm}, new"


def measure(bench: Bench) -> list[dict[str, Any]]:
    """A dictionary for each row."""
    setting = bench.setting()
    ours = jwtgate.serve(jwtgate.configuration(setting), setting.directory("jwtgate"))
    seldom = bench.setting(staleness=1)
    forgetting = jwtgate.serve(jwtgate.configuration(seldom, routes=_ROUTES), seldom.directory("ended"))
    counting = jwtgate.serve(jwtgate.configuration(setting), setting.directory("metrics"), metrics=True)
    with (
        ours as gateway,
        counting as counted,
        forgetting as forgetful,
        bench.systems(["nginx"] if bench.quick else ["nginx", *_PEERS]) as running,
    ):
        rows = _rows(
            bench, {"jwtgate": gateway, "jwtgate-metrics": counted, "jwtgate-ended": forgetful, **running}
        )
        return take_turns(rows, rounds=bench.rounds, seconds=bench.seconds, step=bench.step, saved=bench.saved)


def _rows(bench: Bench, running: dict[str, Running]) -> list[Row]:
    algorithms = ("ES256",) if bench.quick else ALGORITHMS
    again = {algorithm: bench.repeated(algorithm) for algorithm in algorithms}
    fresh = {algorithm: _fresh(bench, algorithm) for algorithm in algorithms}
    rows = [
        Row(system, NONE, running[system], "/public/", bench.no_token())
        for system in ("nginx", "jwtgate", "nginx-1.31", "envoy", "haproxy")
        if system in running
    ]
    for algorithm in algorithms:
        path = f"/{algorithm.lower()}/"
        rows += [
            Row(system, repeated(algorithm), running[system], path, again[algorithm], warm=1)
            for system in ("jwtgate", "jwtgate-1.31", "envoy-cache")
            if system in running
        ]
        # The others remember no token, so that theirs may come again.
        any_token = replace(fresh[algorithm], fresh=False)
        rows += [
            Row(system, new(algorithm), running[system], path, tokens)
            for system, tokens in (
                ("jwtgate", fresh[algorithm]),
                ("jwtgate-1.31", fresh[algorithm]),
                ("c-module", any_token),
                ("envoy", any_token),
                ("haproxy", any_token),
            )
            if system in running
        ]
        if algorithm == "ES512" and "njs" in running:
            rows.append(Row("njs", new(algorithm), running["njs"], path, any_token))
    if not bench.quick:
        often = again["ES256"]
        rows.append(Row("jwtgate", METRICS, running["jwtgate-metrics"], "/es256/", often, warm=1))
        ended = running["jwtgate-ended"]
        seldom = bench.repeated("ES256", _SELDOM * bench.seconds)
        soon = bench.repeated("ES256", _SOON)
        rows.append(Row("jwtgate", UNCACHED, ended, "/uncached/", seldom, warm=9))
        rows.append(Row("jwtgate", EXPIRED, ended, "/es256/", replace(seldom, once=True), warm=9))
        rows.append(Row("jwtgate", KEPT_AGAIN, ended, "/es256/", soon, warm=9))
    return rows


def _fresh(bench: Bench, algorithm: str) -> Tokens:
    return bench.fresh(algorithm, _A_SECOND[algorithm] * bench.seconds, bench.rounds)


def goals(rows: list[dict[str, Any]]) -> list[Goal]:
    """The goals that these figures are about."""

    def ratio(ours: tuple[str, str], theirs: tuple[str, str]) -> float:
        return median(find(rows, *ours)) / median(find(rows, *theirs))

    wanted = []
    plain = ("nginx", NONE)
    for algorithm, beside_c in (("ES256", 0.35), ("RS256", 0.55), ("ES512", 0.08)):
        again = repeated(algorithm)
        wanted += [
            (f"{again} ÷ plain NGINX", ("jwtgate", again), plain, 1.5),
            (f"{again} ÷ Envoy with its cache", ("jwtgate", again), ("envoy-cache", again), 0.5),
            (f"{again} ÷ C module", ("jwtgate-1.31", again), ("c-module", new(algorithm)), beside_c),
        ]
    wanted += [
        ("ES512, repeated ÷ njs", ("jwtgate-1.31", repeated("ES512")), ("njs", new("ES512")), 0.04),
        ("ES512, new ÷ njs", ("jwtgate-1.31", new("ES512")), ("njs", new("ES512")), 0.5),
    ]
    for algorithm, c_module, envoy, haproxy in (
        ("ES256", 1.15, 0.85, 0.25),
        ("RS256", 1.0, 0.8, 1.1),
        ("ES512", 0.92, 0.5, 1.05),
    ):
        label = new(algorithm)
        wanted += [
            (f"{label} ÷ C module", ("jwtgate-1.31", label), ("c-module", label), c_module),
            (f"{label} ÷ Envoy", ("jwtgate", label), ("envoy", label), envoy),
            (f"{label} ÷ HAProxy", ("jwtgate", label), ("haproxy", label), haproxy),
        ]
    wanted.append((f"{EXPIRED} ÷ plain NGINX", ("jwtgate", EXPIRED), plain, 2.5))
    found = []
    for what, ours, theirs, bound in wanted:
        try:
            found.append(Goal(what, ratio(ours, theirs), bound))
        except KeyError:  # a short run has no peers
            continue
    return found


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return "\n\n".join(
        [
            "Access logs are off, and so is the admin address (`admin: off`) but where metrics are named. "
            "Repeated: 100 tokens in turn; our gateway repeats a decision for 60 s (its default is 10 s), Envoy "
            "remembers verified tokens where it says so. New: no token comes twice. The C module, HAProxy, njs "
            "and Envoy without its cache verify each token each time, so one row stands for both.",
            table(
                ("system", "tokens", *LOAD_COLUMNS),
                [(title(row["system"]), row["label"], *load_cells(row)) for row in rows],
                left=2,
            ),
            "Where the time goes, for each request (medians): in user and in system mode, and how often another "
            "process came in its place.",
            _parts_table(rows),
        ]
    )


def _parts_table(rows: list[dict[str, Any]]) -> str:
    """Where our gateway's time goes: for each kind of process that takes some."""

    def cell(row: dict[str, Any], kind: str, figure: str) -> str:
        taken = [sample["parts"].get(kind, {}).get(figure, 0.0) for sample in row["samples"]]
        return f"{statistics.median(taken):.{2 if figure == 'switches' else 0}f}"

    columns = [(kind, figure) for kind in ("nginx", "validator") for figure in ("user", "system", "switches")]
    return table(
        (
            "system",
            "tokens",
            *("NGINX, user µs", "system µs", "switches"),
            *("validator, user µs", "system µs", "switches"),
        ),
        [
            (title(row["system"]), row["label"], *(cell(row, *column) for column in columns))
            for row in rows
            if row["system"] in ("nginx", "jwtgate")
        ],
        left=2,
    )


def headline(rows: list[dict[str, Any]]) -> str:
    """The README's table."""
    plain = median(find(rows, "nginx", NONE))

    def cells(system: str, label: str) -> tuple[str, str]:
        value = median(find(rows, system, label))
        return f"{value:.0f}", f"{value / plain:.1f}"

    lines = [("NGINX without authentication", f"{plain:.0f}", "1.0")]
    for algorithm in ("ES256", "RS256"):
        lines += [
            (f"{algorithm}, repeated", *cells("jwtgate", repeated(algorithm))),
            *([(EXPIRED, *cells("jwtgate", EXPIRED))] if EXPIRED.startswith(algorithm) else []),
            (f"{algorithm}, new", *cells("jwtgate", new(algorithm))),
            (f"Envoy with its JWT cache, {algorithm}, repeated", *cells("envoy-cache", repeated(algorithm))),
            (f"Envoy, {algorithm}, any token", *cells("envoy", new(algorithm))),
            (f"C module, {algorithm}, any token (NGINX 1.31)", *cells("c-module", new(algorithm))),
            (f"HAProxy, {algorithm}, any token", *cells("haproxy", new(algorithm))),
        ]
    return table(("", "CPU µs", "÷ no authentication"), lines)
