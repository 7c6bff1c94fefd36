"""CPU time and memory of a process and all its children, from /proc."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> set[int]:
    """A process and everything below it."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= tree(int(child))
    return found


def cpu_seconds(pids: set[int]) -> float:
    """User and system time that these processes have used, in seconds."""
    return sum(_cpu_seconds(pid) for pid in pids)


def cpu_by_process(pids: set[int]) -> dict[int, float]:
    """The same for each of them that still lives: NGINX's cache loader ends after a minute."""
    found = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = _cpu_seconds(pid)
    return found


def _cpu_seconds(pid: int) -> float:
    # After the name, which may contain anything but ends with `)`: fields 14 and 15 of proc(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_bytes(pids: set[int]) -> int:
    """Their proportional share of memory (Pss): what two of them share is counted once."""
    total = 0
    for pid in pids:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total
