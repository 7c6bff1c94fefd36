"""What authentication costs: CPU time of the gateway for each request, beside what people would use instead."""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench import preflight
from bench.goals import Goal
from bench.interleaved import CONNECTIONS, Row, find, median
from bench.interleaved import measure as take_turns
from bench.load import run
from bench.markdown import LOAD_COLUMNS, load_cells, repeats, table, title
from bench.minting import ALGORITHMS
from bench.scenarios import known
from bench.systems import jwtgate

if TYPE_CHECKING:
    from bench.systems import Running
    from bench.workbench import Bench

TITLE = "What authentication costs"

NONE = "no authentication"
METRICS = "ES256, repeated, counted for metrics"

# So many new tokens show how many a gateway takes in a second; a run gets more than that by the margin, and ends
# when they are used up.
_TRIAL, _MARGIN = 6_000, 1.3

_SYSTEMS = (
    *("nginx", "jwtgate", "nginx-1.31", "jwtgate-1.31"),
    *("c-module", "njs", "envoy", "envoy-cache", "haproxy"),
)


def repeated(algorithm: str) -> str:
    """The label of a row with 100 tokens in turn."""
    return f"{algorithm}, repeated"


def new(algorithm: str) -> str:
    """The label of a row with tokens that never came before."""
    return f"{algorithm}, new"


def passed_on(algorithm: str) -> str:
    """The label of a row with the same requests as `repeated`, to a location that looks at no token."""
    return f"{algorithm}, token passed on"


def measure(bench: Bench) -> dict[str, Any]:
    """`rows` as of `interleaved.measure`; `checks`: what each system lets through, as of `preflight`."""
    algorithms = ("ES256",) if bench.quick else ALGORITHMS
    setting = bench.setting()
    counting = jwtgate.serve(jwtgate.configuration(setting), setting.directory("metrics"), metrics=True)
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(bench.systems(["nginx", "jwtgate"] if bench.quick else _SYSTEMS))
        checks = {
            name: preflight.differences(system.address, bench.keys["ES256"])
            for name, system in running.items()
            if name not in preflight.WITHOUT_AUTHENTICATION
        }
        rates = {algorithm: _new_a_second(bench, algorithm, running["jwtgate"]) for algorithm in algorithms}
        rows = [
            Row(system, NONE, running[system], "/public/", bench.no_token())
            for system in ("nginx", "jwtgate", "nginx-1.31", "envoy", "haproxy")
            if system in running
        ]
        for algorithm in algorithms:
            rows += _rows(bench, running, algorithm, rates[algorithm])
        if not bench.quick:
            counted = stack.enter_context(counting)
            rows.append(Row("jwtgate", METRICS, counted, "/es256/", bench.repeated("ES256"), warm=1))
            rows += stack.enter_context(known.rows(bench, rates["ES256"]))
        measured = take_turns(rows, rounds=bench.rounds, seconds=bench.seconds, step=bench.step, saved=bench.saved)
    return {"rows": measured, "checks": checks}


def _new_a_second(bench: Bench, algorithm: str, system: Running) -> float:
    tokens = bench.fresh(algorithm, _TRIAL, 1)
    bench.step(f"{algorithm}: how many new tokens a second")
    url = f"http://{system.address}/{algorithm.lower()}/"
    return run(url, tokens, connections=CONNECTIONS, seconds=1).per_second


def _rows(bench: Bench, running: dict[str, Running], algorithm: str, new_a_second: float) -> list[Row]:
    path = f"/{algorithm.lower()}/"
    again = bench.repeated(algorithm)
    a_run = int(new_a_second * bench.seconds * _MARGIN)
    fresh = bench.fresh(algorithm, a_run, bench.rounds, first=_TRIAL)
    # The others remember no token, so that theirs may come again.
    any_token = replace(fresh, fresh=False)
    return [
        Row(system, label, running[system], at, tokens, warm=warm)
        for system, label, at, tokens, warm in (
            ("nginx", passed_on(algorithm), "/public/", again, 0),
            ("nginx-1.31", passed_on(algorithm), "/public/", again, 0),
            ("jwtgate", repeated(algorithm), path, again, 1),
            ("jwtgate-1.31", repeated(algorithm), path, again, 1),
            ("envoy-cache", repeated(algorithm), path, again, 1),
            ("jwtgate", new(algorithm), path, fresh, 0),
            ("jwtgate-1.31", new(algorithm), path, fresh, 0),
            ("c-module", new(algorithm), path, any_token, 0),
            ("envoy", new(algorithm), path, any_token, 0),
            ("haproxy", new(algorithm), path, any_token, 0),
            *([("njs", new(algorithm), path, any_token, 0)] if algorithm == "ES512" else []),
        )
        if system in running
    ]


def goals(data: dict[str, Any]) -> list[Goal]:
    """The goals that these figures are about."""
    rows = data["rows"]

    def ratio(ours: tuple[str, str], theirs: tuple[str, str]) -> float:
        return median(find(rows, *ours)) / median(find(rows, *theirs))

    wanted: list[tuple[str, tuple[str, str], tuple[str, str], float | None]] = []
    plain = ("nginx", NONE)
    for algorithm, beside_c in (("ES256", 0.35), ("RS256", 0.55), ("ES512", 0.08)):
        again, passed = repeated(algorithm), passed_on(algorithm)
        wanted += [
            (f"{again} ÷ plain NGINX", ("jwtgate", again), plain, 1.5),
            (f"{again} ÷ plain NGINX that passes the tokens on", ("jwtgate", again), ("nginx", passed), None),
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
    wanted += [
        (f"{label} ÷ plain NGINX", ("jwtgate", label), plain, 2.5) for label in (known.ENDED, known.KEPT_ANEW)
    ]
    found = []
    for what, ours, theirs, bound in wanted:
        try:
            found.append(Goal(what, ratio(ours, theirs), bound))
        except KeyError:  # a short run has no peers
            continue
    return found


def markdown(data: dict[str, Any]) -> str:
    """The rows as a table, where their time goes, and what each system checks."""
    rows = data["rows"]
    return "\n\n".join(
        [
            "Access logs are off, and so is the admin address (`admin: off`) but where metrics are named. "
            "Repeated: 100 tokens in turn; our gateway repeats a decision for 60 s (its default is 10 s), Envoy "
            "remembers verified tokens where it says so. New: no token comes twice. The C module, HAProxy, njs "
            "and Envoy without its cache verify each token each time, so one row stands for both. Requests "
            "without authentication have no token; token passed on: the same requests as repeated, and NGINX "
            "hands the token on without looking at it, as it does any header.",
            "Known: the token was verified before. Decision ended: it was not seen for so long that its decision "
            "is not kept anew. Kept anew: it comes back in time, and all decisions are written again "
            "(the files of the cache are counted after each run: none, all).",
            table(
                ("system", "tokens", *LOAD_COLUMNS),
                [(title(row["system"]), row["label"], *load_cells(row)) for row in rows],
                left=2,
            ),
            repeats(rows),
            "Where the time goes, for each request (medians): in user and in system mode, and how often another "
            "process came in its place.",
            _parts_table(rows),
            "Every system refuses requests without a token, a signature of another token or by another key, "
            "another `iss` or `aud` or none, and an `exp` an hour ago: that was tried before measuring, and the "
            "benchmark ends where it is not so. What they make of other tokens, as it was found then:",
            _checks_table(data["checks"]),
        ]
    )


def _checks_table(checks: dict[str, dict[str, bool]]) -> str:
    kinds = list(dict.fromkeys(kind for found in checks.values() for kind in found))
    return table(
        ("system", *kinds),
        [
            (title(name), *("passes" if found[kind] else "refused" for kind in kinds))
            for name, found in checks.items()
        ],
    )


def _parts_table(rows: list[dict[str, Any]]) -> str:
    """Where the time goes in NGINX, with and without a module, and in our validator."""

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
            if row["system"] in ("nginx", "jwtgate", "nginx-1.31", "jwtgate-1.31", "c-module")
        ],
        left=2,
    )
