"""A goal is met or missed, and by how much is said in words that hold."""

# ruff: noqa: RUF001 -- the report's own sign for "times"

from __future__ import annotations

import pytest
from bench.goals import Goal

CASES = [
    (Goal("ratio", 1.2, 1.5), True, ("≤ 1.50 ×", "1.20 ×", "met by 20%")),
    (Goal("ratio", 1.58, 1.5), False, ("≤ 1.50 ×", "1.58 ×", "**missed** by 5.3%")),
    (Goal("ratio below a tenth", 0.0351, 0.04), True, ("≤ 0.040 ×", "0.035 ×", "met by 12%")),
    (Goal("hardly met", 0.4999, 0.5), True, ("≤ 0.50 ×", "0.50 ×", "met by less than 0.1%")),
    (Goal("exactly met", 0.5, 0.5), True, ("≤ 0.50 ×", "0.50 ×", "met")),
    (Goal("per cent", -5.33, 10, "%"), True, ("≤ 10 %", "-5.33 %", "met by 15 points")),
    (Goal("per cent", 13.8, 10, "%"), False, ("≤ 10 %", "13.8 %", "**missed** by 3.8 points")),
    (Goal("at least", 100, 90, "%", at_least=True), True, ("≥ 90 %", "100 %", "met by 10 points")),
    (Goal("at least", 18_845, 20_000, "", at_least=True), False, ("≥ 20,000", "18,845", "**missed** by 5.8%")),
    (Goal("none may be", 0, 0, ""), True, ("≤ 0", "0", "met")),
    (Goal("none may be", 13, 0, ""), False, ("≤ 0", "13", "**missed** by 13")),
    (Goal("no goal", 1.4), True, ("", "1.40 ×", "")),
]


@pytest.mark.parametrize(("goal", "met", "cells"), CASES, ids=[f"{goal.what} {goal.value}" for goal, *_ in CASES])
def test_a_goal_says_whether_it_is_met_and_by_how_much(goal: Goal, met: bool, cells: tuple[str, ...]) -> None:
    assert goal.met is met
    assert goal.cells() == (goal.what, *cells)
