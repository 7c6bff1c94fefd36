"""All processes of a system are found, however deep."""

from __future__ import annotations

import subprocess
import sys

from bench.interleaved import usage

# Each process starts the next, and the last works for a while.
_DEEP = """
import subprocess, sys, time
depth = int(sys.argv[1])
if depth:
    command = [sys.executable, "-c", sys.argv[2], str(depth - 1), sys.argv[2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as below:
        sys.stdin.read()
        below.stdin.close()
else:
    while time.process_time() < 0.3:
        pass
    print("worked", flush=True)
    sys.stdin.read()
"""


def test_what_a_grandchild_has_used_is_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DEEP, "2", _DEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        used = usage(process.pid)
        process.stdin.close()
    assert len(used) == 3
    assert sum(each.user + each.system for each in used.values()) >= 0.3
