"""The benchmark's harness works, and caching decisions is worth it. Ratios within one run, with wide margins."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_repeated_token_costs_little_and_a_new_one_more(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(output)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    cost = {
        (row["system"], row["label"]): statistics.median(sample["cpu"] for sample in row["samples"])
        for row in json.loads(output.read_text())
    }
    plain = cost["nginx", "no authentication"]
    repeated, new = cost["jwtgate", "ES256, repeated"], cost["jwtgate", "ES256, new"]
    assert 0 < plain < 10 * repeated
    assert repeated < 5 * plain
    assert repeated < new < 60 * plain
