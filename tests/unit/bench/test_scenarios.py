"""What scenarios say about figures, as goals and in the report."""

from __future__ import annotations

import pytest
from bench.scenarios import flood, memory, start, storing


def test_a_storm_that_cannot_be_measured_is_left_out_with_a_word() -> None:
    data = {"left_out": "it mounts a file system of its own, as root may"}
    assert storing.goals(data) == []
    assert storing.markdown(data) == "Left out in this run: it mounts a file system of its own, as root may."


def test_both_nginxes_have_both_goals_of_a_reload() -> None:
    none = dict.fromkeys(start.ERRORS, 0)
    data = {
        "starts": [1.0],
        "reloads": {
            "jwtgate": {"seconds": [1.0, 1.0, 9.0], "requests": 100, "errors": none | {"read": 13}},
            "jwtgate-1.31": {"seconds": [3.0], "requests": 100, "errors": none | {"status": 1, "timeout": 2}},
        },
    }
    assert [(goal.value, goal.met) for goal in start.goals(data)] == [
        (1.0, True),
        (1.0, True),
        (13, False),
        (3.0, False),
        (3, False),
    ]
    assert "| jwtgate | 1.00 (1.00 to 9.00) | 100 | 0 | 13 | 0 | 0 | 0 |" in start.markdown(data)


def test_memory_is_told_with_the_real_numbers_of_tokens_and_with_the_files() -> None:
    row = {"nginx": 10e6, "validator": 40e6, "other": 50e6, "files": 0.0}
    data = [{**row, "tokens": step - 47.0 if step else 0.0} for step in memory.STEPS]
    data[-1]["files"] = 100e6
    (goal,) = memory.goals(data)
    assert goal.what == "memory: growth from 99,953 to 199,953 distinct tokens"
    assert (goal.value, goal.met) == (100, False)
    assert "| 199,953 | 10 | 40 | 50 | 100 | 200 |" in memory.markdown(data)


def test_a_floods_p99_is_told_in_milliseconds_beside_its_ratio() -> None:
    def load(requests: int, p99: int) -> dict[str, float]:
        return {"requests": requests, "seconds": 4.0, "p99": p99}

    rounds = [
        {"alone": load(1000, 1000), "flooded": load(950, 2500), "attack": load(80, 9000)},
        {"alone": load(1000, 500), "flooded": load(850, 2500), "attack": load(80, 9000)},
    ]
    data = {"recent": {"jwtgate": rounds}, "returning": {"jwtgate": rounds[:1]}, "plain": [load(9000, 400)]}
    kept, slower, p99 = flood.goals(data)
    assert kept.value == pytest.approx(90)
    assert (slower.value, p99.value, p99.bound) == (3.75, 2.5, None)
    told = flood.markdown(data)
    assert "| 0.8 (0.5 to 1.0) | 2.5 (2.5 to 2.5) | 3.75 (2.50 to 5.00) |" in told
    assert "a p99 of 0.4 ms here" in told
    assert "2 rounds of" in told
    assert "1 round of" in told
