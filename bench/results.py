"""What a scenario has found, as it is kept in .bench/results: with all that one must know to compare it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


UNKNOWN: Final = "unknown"  # commit


def provenance(*, rounds: int, seconds: int, machine: Mapping[str, str]) -> dict[str, Any]:
    """Of a scenario that begins now: `made` (seconds since the epoch), `commit`, `rounds`, `seconds`, `machine`,
    `load_average` (of the last minute).
    """
    return {
        "made": time.time(),
        "commit": commit(),
        "rounds": rounds,
        "seconds": seconds,
        "machine": dict(machine),
        "load_average": os.getloadavg()[0],
    }


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are of one commit, from which no file differed, and of the same rounds, seconds and machine."""
    same = all(one[name] == other[name] for name in ("commit", "rounds", "seconds", "machine"))
    return same and not one["commit"].endswith(("+", UNKNOWN))


def commit() -> str:
    """The commit that is checked out, with `+` if files differ from it; UNKNOWN outside a repository."""
    try:
        found = _git("rev-parse", "--short=9", "HEAD").strip()
        return found + ("+" if _git("status", "--porcelain").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30).stdout


def write(path: Path, value: Any) -> None:
    """Write JSON so that a reader finds the former file or this one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value))
    new.replace(path)


class Saved:
    """The samples of a scenario that has not come to its end, in a file.

    They are used again only by a run of which `about`, its provenance, is alike.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self._path = path
        self._about = about

    def restore(self, rows: Sequence[dict[str, Any]]) -> None:
        """Give rows of `interleaved.measure` the samples that they have here."""
        if not self._path.exists():
            return
        kept = json.loads(self._path.read_text())
        if not alike(kept["about"], self._about):
            return
        known = {(row["system"], row["label"]): row for row in kept["rows"]}
        for row in rows:
            row.update(known.get((row["system"], row["label"]), {}))

    def save(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep what there is."""
        write(self._path, {"about": self._about, "rows": rows})

    def forget(self) -> None:
        """The scenario has ended, or is begun anew."""
        self._path.unlink(missing_ok=True)
