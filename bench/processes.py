"""CPU time and memory of a process and all its children, from /proc."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> set[int]:
    """A process and everything below it."""
    found = {pid}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found |= tree(int(child))
    return found


def listens(pid: int, address: str) -> bool:
    """Whether a process, or one below it, listens on `host:port` (IPv4), and nobody else in its place."""
    port = int(address.rpartition(":")[2])
    listening = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and int(local.rpartition(":")[2], 16) == port:
            listening.add(f"socket:[{inode}]")
    return any(file in listening for each in tree(pid) for file in _open_files(each))


def _open_files(pid: int) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the process has just ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just been closed
                yield str(file.readlink())


def cpu_seconds(pids: set[int]) -> float:
    """User and system time that these processes have used, in seconds; those that have ended are left out."""
    return sum(used.user + used.system for used in usage_by_process(pids).values())


class Usage(NamedTuple):
    """What a process has used: seconds in user and in system mode, and how often another came in its place."""

    name: str  # of 15 characters at most
    user: float
    system: float
    switches: int


def usage_by_process(pids: set[int]) -> dict[int, Usage]:
    """What each of them that still lives has used."""
    found = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            fields = rest.split()  # behind the name, which may contain anything but ends with `)`: proc(5)
            switches = sum(
                int(number)
                for number in re.findall(r"ctxt_switches:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            )
            name = head.partition("(")[2]
            found[pid] = Usage(name, int(fields[11]) / _TICKS, int(fields[12]) / _TICKS, switches)
    return found


def memory_bytes(pids: set[int]) -> int:
    """Their proportional share of memory (Pss): what two of them share is counted once."""
    total = 0
    for pid in pids:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total
