"""What a sample is made of, and which samples say nothing. Load and processes are doubles."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bench.interleaved import REPEATS, Row, measure
from bench.load import Load, Tokens
from bench.processes import Usage
from bench.results import Saved
from bench.systems import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NO_ERRORS = {"connect": 0, "read": 0, "write": 0, "timeout": 0}
GOOD = Load(requests=1000, seconds=2.0, p50=1, p99=2, p999=3, taken=1020, refused=0, errors=NO_ERRORS)

OFTEN = Tokens(Path("repeated"), 100)
FRESH = Tokens(Path("fresh"), 5000, fresh=True)
ONCE = Tokens(Path("repeated"), 5000, once=True)

ABOUT = {"commit": "abc", "rounds": 2, "seconds": 2, "machine": {"processor": "one"}}


def row(tokens: Tokens = OFTEN, system: str = "jwtgate", address: str = "127.0.0.1:1") -> Row:
    return Row(system, "a label", Running(address, 1), "/es256/", tokens)


def taken(
    rows: list[Row],
    loads: Iterable[Load] | Callable[..., Load] = (),
    usages: Iterable[Mapping[int, Usage]] | None = None,
    *,
    rounds: int = 1,
    saved: Saved | None = None,
) -> list[dict[str, Any]]:
    """`measure` with these loads, and processes that used so much, in turn; else good loads, and one NGINX."""
    each = iter(()) if callable(loads) else itertools.chain(loads, itertools.repeat(GOOD))
    used = itertools.repeat({1: Usage("nginx", 0, 0, 0)}) if usages is None else iter(usages)
    return measure(
        rows,
        rounds=rounds,
        seconds=2,
        step=lambda _: None,
        saved=saved,
        send=loads if callable(loads) else lambda *_, **__: next(each),
        used_by=lambda _: dict(next(used)),
    )


def test_the_cost_of_a_request_is_the_time_of_all_processes() -> None:
    before = {1: Usage("jwtgate", 1, 1, 5), 2: Usage("nginx", 2, 2, 5), 3: Usage("validator-0", 3, 3, 5)}
    after = {
        1: Usage("jwtgate", 1.01, 1, 5),
        2: Usage("nginx", 2.02, 2.03, 10),
        3: Usage("validator-0", 3.04, 3, 25),
    }
    (found,) = taken([row()], usages=[before, after])
    (sample,) = found["samples"]
    assert sample["cpu"] == pytest.approx(100)
    assert sample["rps"] == 500
    assert sample["parts"]["nginx"] == pytest.approx({"user": 20, "system": 30, "switches": 0.005})
    assert sample["parts"]["validator"] == pytest.approx({"user": 40, "system": 0, "switches": 0.02})
    assert sum(part["user"] + part["system"] for part in sample["parts"].values()) == pytest.approx(100)


BAD = [
    (OFTEN, replace(GOOD, refused=1), "1 refused"),
    (OFTEN, replace(GOOD, errors=NO_ERRORS | {"read": 2}), "2 failed"),
    (OFTEN, replace(GOOD, requests=0), "of 0 requests"),
    (FRESH, replace(GOOD, taken=5001), "5001 requests with 5000 tokens"),
    (ONCE, replace(GOOD, taken=5001), "5001 requests with 5000 tokens"),
    (FRESH, replace(GOOD, seconds=0.1), "used up after 0.10 s"),
]


@pytest.mark.parametrize(("tokens", "bad", "why"), BAD, ids=[why for *_, why in BAD])
def test_a_run_that_says_nothing_is_repeated(tokens: Tokens, bad: Load, why: str) -> None:
    (found,) = taken([row(tokens)], [bad, GOOD])
    assert [sample["requests"] for sample in found["samples"]] == [1000]
    (reason,) = found["repeated"]
    assert why in reason


@pytest.mark.parametrize(("tokens", "bad", "why"), BAD, ids=[why for *_, why in BAD])
def test_one_that_never_says_anything_is_no_figure(tokens: Tokens, bad: Load, why: str) -> None:
    with pytest.raises(SystemExit, match=f"jwtgate: a label.*{why}"):
        taken([row(tokens)], [bad] * (1 + REPEATS) + [GOOD])


@pytest.mark.parametrize("after", [{1, 2, 4}, {1, 2}, {1, 2, 3, 4}], ids=["another", "one less", "one more"])
def test_processes_that_end_or_begin_meanwhile_make_a_run_say_nothing(after: set[int]) -> None:
    one = Usage("nginx", 0, 0, 0)
    same = dict.fromkeys((1, 2, 3), one)
    (found,) = taken([row()], usages=[same, dict.fromkeys(after, one), same, same])
    assert len(found["samples"]) == len(found["repeated"]) == 1
    assert "processes" in found["repeated"][0]


def test_a_run_that_is_not_what_its_label_says_is_repeated() -> None:
    complaints = iter(["7 decisions were kept", ""])
    prepared: list[str] = []
    checked = replace(row(), prepare=lambda: prepared.append("yes"), check=lambda *_: next(complaints))
    (found,) = taken([checked])
    assert found["repeated"] == ["7 decisions were kept"]
    assert prepared == ["yes", "yes"]


def test_no_new_token_comes_twice_to_a_system() -> None:
    sent: dict[str, list[range]] = {}
    loads = itertools.cycle([replace(GOOD, taken=4321), replace(GOOD, taken=1234), replace(GOOD, refused=1)])

    def send(url: str, _: Tokens, *, offset: int, **__: int) -> Load:
        load = next(loads)
        sent.setdefault(url.partition("/es256")[0], []).append(range(offset, offset + load.taken))
        return load

    rows = [row(FRESH), replace(row(FRESH), label="another"), row(FRESH, "jwtgate-1.31", "127.0.0.1:2")]
    taken(rows, send, rounds=5)
    assert sent.keys() == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
    assert sum(map(len, sent.values())) > 15  # some were repeated
    for ranges in sent.values():
        assert ranges[0].start == 0
        assert all(before.stop <= after.start for before, after in itertools.pairwise(ranges))


def test_new_tokens_are_not_used_for_warming_up() -> None:
    runs: list[int] = []

    def send(*_: object, seconds: int, **__: int) -> Load:
        runs.append(seconds)
        return GOOD

    taken([replace(row(FRESH), warm=9), replace(row(), warm=9, label="often")], send)
    assert runs == [2, 9, 2]


def test_an_interrupted_scenario_loses_one_sample_and_goes_on(tmp_path: Path) -> None:
    rows = [row(), row(system="nginx")]
    numbered = (replace(GOOD, requests=number) for number in itertools.count(1))

    def interrupted(*_: object, **__: object) -> Load:
        load = next(numbered)
        if load.requests == 4:
            raise KeyboardInterrupt
        return load

    with pytest.raises(KeyboardInterrupt):
        taken(rows, interrupted, rounds=2, saved=Saved(tmp_path / "costs", ABOUT))
    found = taken(rows, interrupted, rounds=2, saved=Saved(tmp_path / "costs", ABOUT))
    assert [[sample["requests"] for sample in each["samples"]] for each in found] == [[1, 3], [2, 5]]


@pytest.mark.parametrize("other", ["commit", "rounds", "seconds", "machine"])
def test_samples_of_another_run_are_not_taken(tmp_path: Path, other: str) -> None:
    taken([row()], rounds=2, saved=Saved(tmp_path / "costs", ABOUT))
    elsewhere = Saved(tmp_path / "costs", ABOUT | {other: "else"})
    (found,) = taken([row()], itertools.repeat(replace(GOOD, requests=7)), rounds=2, saved=elsewhere)
    assert [sample["requests"] for sample in found["samples"]] == [7, 7]


@pytest.mark.parametrize("commit", ["abc+", "unknown"])
def test_samples_of_code_that_is_no_commit_are_not_taken(tmp_path: Path, commit: str) -> None:
    saved = Saved(tmp_path / "costs", ABOUT | {"commit": commit})
    taken([row()], rounds=2, saved=saved)
    (found,) = taken([row()], itertools.repeat(replace(GOOD, requests=7)), rounds=2, saved=saved)
    assert [sample["requests"] for sample in found["samples"]] == [7, 7]
