"""What `jwtgate up` shows on a terminal: routes, decisions, keys, and the last lines of the log.

The view is a process of its own and asks the control socket like any other command. Everything else that runs
writes into a file in memory instead of the terminal; the view shows its end, and cuts it before it grows.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from jwtgate.control.client import ask_gateway
from jwtgate.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

INTERVAL = 1.0  # seconds between two pictures
_MAX_LOG_BYTES = 1 << 20
_TAIL_BYTES = 1 << 14
_SAID_AT_THE_END = 20  # lines

_NOTHING = "-"

# What a terminal needs after a view that could not say good-bye: the first screen, the cursor.
_RESTORE = "\x1b[?1049l\x1b[?25h"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the gateway said, and when (monotonic seconds)."""

    at: float
    said: dict[str, Any]

    def counts(self, key: Callable[[dict[str, Any]], str | None]) -> Counter[str]:
        """Requests by something that they have in common; those without it are left out."""
        found: Counter[str] = Counter()
        for kind in self.said["kinds"]:
            name = key(kind)
            if name is not None:
                found[name] += kind["count"]
        return found


class Terminal:
    """The terminal, taken from everybody but the view for as long as a `with` lasts."""

    def __init__(self) -> None:
        self.log = os.memfd_create("jwtgate-log")

    @contextlib.contextmanager
    def taken(self) -> Iterator[TextIO]:
        """Yields the terminal. Whatever else writes to standard output or error meanwhile goes to the log."""
        sys.stdout.flush()
        sys.stderr.flush()
        log = os.open(f"/proc/self/fd/{self.log}", os.O_RDWR | os.O_APPEND)
        kept = os.dup(1), os.dup(2)
        for number in (1, 2):
            os.dup2(log, number)
        with os.fdopen(os.dup(kept[1]), "w") as terminal:
            try:
                yield terminal
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                for number, saved in zip((1, 2), kept, strict=True):
                    os.dup2(saved, number)
                terminal.write(_RESTORE)
                terminal.flush()
                warnings = [line for line in self.tail() if not is_access(line)]
                sys.stderr.write("".join(f"{line}\n" for line in warnings[-_SAID_AT_THE_END:]))

    def tail(self) -> list[str]:
        """The last lines of the log."""
        size = os.fstat(self.log).st_size
        text = os.pread(self.log, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if size > _MAX_LOG_BYTES:
            os.ftruncate(self.log, 0)
        return text.decode("utf-8", "replace").splitlines()[1 if size > _TAIL_BYTES else 0 :]


def readable(line: str) -> str:
    """A line of the access log in a few words; any other as it is."""
    try:
        entry = json.loads(line) if is_access(line) else {}
        words = (
            entry["time"][11:19],
            str(entry["status"]),
            entry["method"],
            entry["path"],
            entry["reason"],
            entry["decision_cache"].lower(),
            f"{float(entry['duration']) * 1000:.0f} ms",
        )
    except (ValueError, KeyError):
        return line
    return " ".join(filter(None, words))


def is_access(line: str) -> bool:
    """Whether it is a line of the access log."""
    return line.startswith('{"time":')


def show(run_dir: Path, headline: str, terminal: TextIO, tail: Callable[[], list[str]]) -> None:
    """Draw until SIGTERM. Call it in the main thread of a process."""
    over = False

    def stop(*_: object) -> None:
        nonlocal over
        over = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    console = Console(file=terminal, force_terminal=True)
    began, before = time.monotonic(), None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not over:
            now = _ask(run_dir)
            lines = tail()
            live.update(
                picture(headline, time.monotonic() - began, before, now, lines, console.height), refresh=True
            )
            before = now or before
            time.sleep(INTERVAL)


def _ask(run_dir: Path) -> Sample | None:
    try:
        return Sample(time.monotonic(), ask_gateway(run_dir, "view"))
    except ControlError:
        return None


def picture(
    headline: str, uptime: float, before: Sample | None, now: Sample | None, log: list[str], height: int
) -> Group:
    """One picture. Without two samples there are no rates yet; without any, the gateway is starting."""
    title = Text.assemble((headline, "bold"), f" · {duration(uptime)} · ", _state(now))
    parts: list[Any] = [title, ""]
    rows = 6
    if now is not None:
        parts += [_routes(before, now), "", _reasons(before, now), "", _issuers(now)]
        rows += 8 + len(now.said["routes"]) + len(_reason_rows(now)) + len(now.said["issuers"])
    lines = Text.from_ansi(
        "\n".join(map(readable, log[-max(3, height - rows) :])), overflow="ellipsis", no_wrap=True
    )
    parts += ["", Panel(lines, title="log", title_align="left")]
    return Group(*parts)


def _state(now: Sample | None) -> Text:
    if now is None:
        return Text("starting", "yellow")
    if now.said["ready"]:
        return Text("ready", "green")
    missing = ", ".join(now.said["missing_issuers"])
    return Text(f"not ready: no keys of {missing}" if missing else "not ready", "red")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _routes(before: Sample | None, now: Sample) -> Table:
    table = _table("route", "requests/s", "denied/s", "requests", "from the decision cache")
    if not now.said["counted"]:
        table.add_row("requests are not counted: admin is off")
        return table
    total, denied = (
        _both(before, now, _route),
        _both(before, now, lambda kind: _route(kind) if kind["reason"] else None),
    )
    hits = now.counts(lambda kind: _route(kind) if kind["cache"] == "HIT" else None)
    asked = now.counts(lambda kind: _route(kind) if kind["cache"] else None)
    for route in [*now.said["routes"], *([""] if total[1][""] else [])]:
        share = f"{hits[route] / asked[route]:.0%}" if asked[route] else _NOTHING
        name = route or "(none: 404)"
        table.add_row(name, _rate(total, route), _rate(denied, route), f"{total[1][route]:,}", share)
    return table


def _reason_rows(now: Sample) -> list[str]:
    return [reason for reason, _ in now.counts(_reason).most_common(8)]


def _reasons(before: Sample | None, now: Sample) -> Table:
    table = _table("decision", "a second", "all")
    both = _both(before, now, _reason)
    for reason in _reason_rows(now):
        style = "green" if reason == "allowed" else "red"
        table.add_row(Text(reason, style), _rate(both, reason), f"{both[1][reason]:,}")
    return table


# By whether they are available; None: nobody has asked yet.
_KEYS = {True: None, False: Text("none", "red"), None: Text("not yet", "yellow")}


def _issuers(now: Sample) -> Table:
    table = _table("issuer", "keys", "confirmed")
    for issuer in now.said["issuers"]:
        age = _NOTHING if issuer["age"] is None else f"{duration(issuer['age'])} ago"
        state = _KEYS[issuer["available"]] or str(issuer["keys"])
        table.add_row(issuer["name"], state, age)
    return table


def _route(kind: dict[str, Any]) -> str:
    route: str = kind["route"]
    return route


def _reason(kind: dict[str, Any]) -> str | None:
    reason: str = kind["reason"] or ("allowed" if kind["policy"] else "")
    return reason or None


Both = tuple[Counter[str], Counter[str], float]


def _both(before: Sample | None, now: Sample, key: Callable[[dict[str, Any]], str | None]) -> Both:
    """Counts before and now, and the seconds in between; 0: there is no before."""
    if before is None:
        return Counter(), now.counts(key), 0.0
    return before.counts(key), now.counts(key), now.at - before.at


def _rate(both: Both, name: str) -> str:
    before, now, seconds = both
    # Counters begin anew with a reload.
    return f"{max(0, now[name] - before[name]) / seconds:,.0f}" if seconds else _NOTHING


def duration(seconds: float) -> str:
    """`5 s`, `12 min`, `3 h`, `2 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
