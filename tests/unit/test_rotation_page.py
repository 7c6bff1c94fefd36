"""What the page about rotation under load claims is what was counted."""

from __future__ import annotations

from bench.rotation import page

BEGAN = 1_000_000.0


def test_the_page_counts_apart_what_was_sent_before_the_first_rotation() -> None:
    times = [*(BEGAN + each / 10 for each in range(230)), *(BEGAN + 23 + each / 10 for each in range(100))]
    answers = {
        "took": [(at, 0.001) for at in times],
        "by_kind": {"fresh": 200, "old": 100, "forged": 30},
        "wrong": [(BEGAN + 22.9, "early"), (BEGAN + 23.0, "late"), (BEGAN + 30.0, "later")],
    }
    told = " ".join(page([answers], BEGAN, 2, 1, 7).split())
    assert "While keys rotate: 2 wrong answers of 100." in told
    assert "Before the first rotation: 1 of 230, warm-up included." in told
    assert "In all: 3 of 330" in told
    assert "- early - late - later" in told
