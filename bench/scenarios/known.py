"""Tokens whose signature was verified before, and whose decision NGINX does not hold: three rows of `costs`.

Each sends so many tokens once in a run, of which all have come before, and says by the files of the decision cache
whether the run was what its label says.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.interleaved import CONNECTIONS, Row
from bench.load import run
from bench.systems import jwtgate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.load import Load
    from bench.workbench import Bench

UNCACHED: Final = "ES256, known, `staleness: 0`"
ENDED: Final = "ES256, known, decision ended"
KEPT_ANEW: Final = "ES256, known, decision ended and kept anew"

# The validator's memory of verified tokens, 64 MiB, holds more.
_MOST = 50_000
_AS_NEW = 3  # a known token takes no more than a third of the time of a new one

# A validator calls a decision worth keeping when its token was seen not longer ago than twice the staleness, and
# NGINX keeps it from the second time on that it sees the token in so long a time as it remembers tokens.
_SHORT, _PAUSE = 1, 3  # seconds: nobody comes back in time
_LONG, _BACK_AFTER = 5, 7  # all come back in time, and none too early
_ROUTE = "  - {{path: /{}/, upstream: service, policy: es256, identity: {{X-User: sub}}, staleness: {}}}"


@contextlib.contextmanager
def rows(bench: Bench, new_a_second: float) -> Iterator[list[Row]]:
    """The rows, while their gateways run. `new_a_second`: how many new tokens a gateway takes here."""
    number = min(_MOST, int(_AS_NEW * new_a_second * bench.seconds))
    tokens = replace(bench.repeated("ES256", number), once=True)
    short, long = bench.setting(staleness=_SHORT), bench.setting(staleness=_LONG)
    ended = jwtgate.configuration(short, routes=_ROUTE.format("uncached", 0))
    # NGINX remembers tokens for as long as the longest staleness: with this route for the whole run.
    kept = jwtgate.configuration(long, routes=_ROUTE.format("lasting", "1h"))
    directories = short.directory("ended"), long.directory("kept-anew")
    with jwtgate.serve(ended, directories[0]) as forgetful, jwtgate.serve(kept, directories[1]) as lasting:
        seldom = Row("jwtgate", ENDED, forgetful, "/es256/", tokens)
        again = Row("jwtgate", KEPT_ANEW, lasting, "/es256/", tokens)
        files = decision_files(directories[0]), decision_files(directories[1])
        yield [
            Row("jwtgate", UNCACHED, forgetful, "/uncached/", tokens, warm=30),
            replace(seldom, prepare=partial(_let_end, seldom), check=partial(_none_kept, files[0])),
            replace(again, prepare=partial(_keep, again), check=partial(_all_kept, files[1])),
        ]


def _send_all(row: Row) -> None:
    """Each token once. Wrk ends when it has sent them."""
    run(row.url, row.tokens, connections=CONNECTIONS, seconds=30)


def _let_end(row: Row) -> None:
    """All tokens are known, and no decision about them is left."""
    _send_all(row)
    time.sleep(_PAUSE)


def _keep(row: Row) -> None:
    """Decisions about all tokens are kept, and have ended when the first comes again."""
    _send_all(row)
    begin = time.monotonic()
    _send_all(row)
    time.sleep(max(0, begin + _BACK_AFTER - time.monotonic()))


def _none_kept(files: Path, since: float, load: Load) -> str:
    kept = _written(files, since)
    return (
        f"{kept:,} decisions of {load.requests:,} were kept, none should be" if kept > load.requests / 100 else ""
    )


def _all_kept(files: Path, since: float, load: Load) -> str:
    kept = _written(files, since)
    return (
        f"{kept:,} decisions of {load.requests:,} were kept, all should be" if kept < load.requests * 0.95 else ""
    )


def decision_files(directory: Path) -> Path:
    """Where the NGINX of the gateway in this directory keeps decisions."""
    found = re.search(r'proxy_cache_path "?([^"\s]+/decisions)', (directory / "run" / "nginx.conf").read_text())
    if not found:
        raise SystemExit(f"{directory}: its nginx.conf has no cache of decisions")
    return Path(found[1])


def _written(files: Path, since: float) -> int:
    """How many decisions were written, and are still there. `since`: seconds since the epoch."""
    number = 0
    for directory in os.scandir(files):
        if directory.is_dir():
            for file in os.scandir(directory):
                with contextlib.suppress(FileNotFoundError):
                    number += file.stat().st_mtime >= since
    return number
