"""The benchmark's harness works, and caching decisions is worth it. Ratios within one run, with wide margins."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench.processes import tree

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_repeated_token_costs_little_and_a_new_one_more(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(output)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = {(row["system"], row["label"]): row["samples"] for row in json.loads(output.read_text())["rows"]}
    cost = {row: statistics.median(sample["cpu"] for sample in samples) for row, samples in rows.items()}
    plain = cost["nginx", "no authentication"]
    repeated, new = cost["jwtgate", "ES256, repeated"], cost["jwtgate", "ES256, new"]
    assert 0 < plain < 10 * repeated
    assert repeated < 5 * plain
    assert repeated < new < 60 * plain
    # NGINX repeats decisions without a validator; about each new token one is asked, in every run.
    assert all(_validators_part(sample) < 0.15 * sample["cpu"] for sample in rows["jwtgate", "ES256, repeated"])
    assert all(_validators_part(sample) > 0.4 * sample["cpu"] for sample in rows["jwtgate", "ES256, new"])


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_who_stops_it_gets_a_line_and_nothing_stays() -> None:
    command = [sys.executable, "-m", "bench", "--quick"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "jwtgate: ES256" in line:  # all systems run, and so does wrk
                break
        started = tree(process.pid) - {process.pid}
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert len(started) > 5
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "stopped."
    assert "Traceback" not in said
    deadline = time.monotonic() + 30
    while (left := [pid for pid in started if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def _validators_part(sample: dict[str, Any]) -> float:
    """CPU time of validators for each request, in microseconds."""
    part = sample["parts"]["validator"]
    return float(part["user"] + part["system"])
