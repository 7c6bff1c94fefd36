"""The table of `jwtgate.keys.freshness`, cell by cell, and its rules over longer stretches of time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jwtgate.keys.freshness import (
    Adopted,
    Confirmed,
    Deferred,
    Do,
    Emptied,
    Event,
    Failed,
    Freshness,
    KidUnknown,
    Missed,
    Pace,
    Refresh,
    Tick,
    on,
    refresh_after,
    retry_after_failure,
    wake_at,
)

PACE = Pace(
    least=60,
    most=3600,
    default=300,
    min_refetch=10,
    max_stale=1000,
    retry_first=1,
    retry_most=30,
    empty_grace=60,
)
NOW = 5000.0
# `jitter=0.5` makes a pause exactly what its rule says, and a refresh due at 80 % of the lifetime.
NONE = Freshness(due_at=NOW + 1)
HELD = Freshness(due_at=NOW + 50, confirmed_at=NOW - 100)
FLYING = replace(HELD, in_flight=True)


@pytest.mark.parametrize(
    ("state", "event", "after", "do"),
    [
        # Tick
        pytest.param(NONE, Tick(), NONE, Do.NOTHING, id="no set, not due"),
        pytest.param(HELD, Tick(), HELD, Do.NOTHING, id="set, not due"),
        pytest.param(
            replace(NONE, due_at=NOW),
            Tick(),
            Freshness(due_at=NOW, in_flight=True),
            Do.FETCH,
            id="no set, due: fetch",
        ),
        pytest.param(
            replace(HELD, due_at=NOW - 1),
            Tick(),
            replace(HELD, due_at=NOW - 1, in_flight=True),
            Do.FETCH,
            id="set, due: fetch",
        ),
        pytest.param(
            replace(FLYING, due_at=NOW - 1),
            Tick(),
            replace(FLYING, due_at=NOW - 1),
            Do.NOTHING,
            id="in flight: no second one",
        ),
        pytest.param(
            replace(HELD, confirmed_at=NOW - 1000),
            Tick(),
            replace(HELD, confirmed_at=None, due_at=NOW + 1),
            Do.DROP,
            id="unconfirmed for max_stale: drop",
        ),
        pytest.param(
            replace(HELD, confirmed_at=NOW - 999),
            Tick(),
            replace(HELD, confirmed_at=NOW - 999),
            Do.NOTHING,
            id="just younger than max_stale: keep",
        ),
        # KidUnknown
        pytest.param(
            NONE,
            KidUnknown(),
            replace(NONE, in_flight=True, forced_at=NOW),
            Do.FETCH,
            id="no set: fetch at once",
        ),
        pytest.param(
            HELD, KidUnknown(), replace(FLYING, forced_at=NOW), Do.FETCH, id="unknown kid: fetch at once"
        ),
        pytest.param(FLYING, KidUnknown(), FLYING, Do.WAIT, id="unknown kid, in flight: wait"),
        pytest.param(
            replace(HELD, forced_at=NOW - 9.9),
            KidUnknown(),
            replace(HELD, forced_at=NOW - 9.9),
            Do.NOTHING,
            id="unknown kid within min_refetch: nothing",
        ),
        pytest.param(
            replace(HELD, forced_at=NOW - 10),
            KidUnknown(),
            replace(FLYING, forced_at=NOW),
            Do.FETCH,
            id="unknown kid after min_refetch: fetch",
        ),
        # Refresh
        pytest.param(HELD, Refresh(), FLYING, Do.FETCH, id="a person asks: fetch"),
        pytest.param(
            replace(HELD, forced_at=NOW),
            Refresh(),
            replace(FLYING, forced_at=NOW),
            Do.FETCH,
            id="a person asks: no limit",
        ),
        pytest.param(FLYING, Refresh(), FLYING, Do.WAIT, id="a person asks, in flight: wait"),
        # Confirmed
        pytest.param(
            replace(FLYING, failures=3, empty_since=NOW - 5, empty_at=NOW - 1, forced_at=NOW - 2),
            Confirmed(100, 0.5),
            Freshness(due_at=NOW + 80, confirmed_at=NOW, forced_at=NOW - 2),
            Do.USE,
            id="confirmed: due before it is stale, failures forgotten",
        ),
        # Failed
        pytest.param(
            replace(NONE, in_flight=True, failures=7),
            Failed(0.5),
            replace(NONE, due_at=NOW + 1, failures=8),
            Do.KEEP,
            id="no set, failed again: retry soon",
        ),
        pytest.param(
            FLYING, Failed(0.5), replace(HELD, due_at=NOW + 1, failures=1), Do.KEEP, id="set, failed: keep it"
        ),
        pytest.param(
            replace(FLYING, failures=3),
            Failed(0.5),
            replace(HELD, due_at=NOW + 8, failures=4),
            Do.KEEP,
            id="failed again: back off",
        ),
        pytest.param(
            FLYING,
            Failed(0.5, 20),
            replace(HELD, due_at=NOW + 20, failures=1),
            Do.KEEP,
            id="Retry-After is obeyed",
        ),
        pytest.param(
            FLYING,
            Failed(0.5, 9999),
            replace(HELD, due_at=NOW + 30, failures=1),
            Do.KEEP,
            id="Retry-After is bounded",
        ),
        pytest.param(
            replace(FLYING, failures=3, empty_since=NOW - 90, empty_at=NOW - 20),
            Failed(0.5),
            replace(HELD, due_at=NOW + 8, failures=4),
            Do.KEEP,
            id="failed after an empty answer: that is forgotten",
        ),
        # Emptied
        pytest.param(
            FLYING,
            Emptied(0.5),
            replace(HELD, due_at=NOW + 1, failures=1, empty_since=NOW, empty_at=NOW),
            Do.KEEP,
            id="emptied: doubted first",
        ),
        pytest.param(
            replace(FLYING, empty_since=NOW - 59, empty_at=NOW - 30, failures=5),
            Emptied(0.5),
            replace(HELD, due_at=NOW + 30, failures=6, empty_since=NOW - 59, empty_at=NOW),
            Do.KEEP,
            id="still empty within the grace: keep",
        ),
        pytest.param(
            replace(FLYING, empty_since=NOW - 60, empty_at=NOW - 30, failures=5),
            Emptied(0.5),
            replace(HELD, confirmed_at=None, due_at=NOW + 1, failures=6, empty_since=NOW - 60, empty_at=NOW),
            Do.DROP,
            id="still empty after the grace: obeyed",
        ),
        pytest.param(
            replace(FLYING, empty_since=NOW - 99, empty_at=NOW - 61, failures=5),
            Emptied(0.5),
            replace(HELD, due_at=NOW + 30, failures=6, empty_since=NOW, empty_at=NOW),
            Do.KEEP,
            id="empty again after a time in which nobody asked: doubted anew",
        ),
        pytest.param(
            replace(NONE, in_flight=True),
            Emptied(0.5),
            replace(NONE, due_at=NOW + 1, failures=1, empty_since=NOW, empty_at=NOW),
            Do.KEEP,
            id="empty from the start: retry soon",
        ),
        # Adopted
        pytest.param(
            FLYING,
            Adopted(confirmed_at=NOW - 3, due_at=NOW + 70),
            Freshness(due_at=NOW + 70, confirmed_at=NOW - 3, in_flight=True),
            Do.USE,
            id="a newer set from elsewhere: use",
        ),
        pytest.param(FLYING, Adopted(NOW - 100, NOW + 70), FLYING, Do.KEEP, id="not newer: keep ours"),
        pytest.param(
            NONE,
            Adopted(NOW - 1000, NOW),
            NONE,
            Do.KEEP,
            id="older than max_stale: not used",
        ),
        pytest.param(
            NONE,
            Adopted(NOW - 3, NOW + 99_999),
            Freshness(due_at=NOW + 3600, confirmed_at=NOW - 3),
            Do.USE,
            id="a due time beyond `most` is not believed",
        ),
        # Deferred
        pytest.param(
            FLYING,
            Deferred(due_at=NOW + 4, forced_at=NOW - 6, failures=2),
            replace(HELD, due_at=NOW + 4, forced_at=NOW - 6, failures=2),
            Do.KEEP,
            id="another worker has just tried",
        ),
        pytest.param(
            FLYING,
            Deferred(due_at=NOW + 4, forced_at=None, failures=2, empty_since=NOW - 70, empty_at=NOW - 10),
            replace(HELD, confirmed_at=None, due_at=NOW + 1, failures=2, empty_since=NOW - 70, empty_at=NOW - 10),
            Do.DROP,
            id="another worker saw it empty for the whole grace",
        ),
        pytest.param(
            FLYING,
            Deferred(due_at=NOW + 4, forced_at=None, failures=2, empty_since=NOW - 99, empty_at=NOW - 40),
            replace(HELD, due_at=NOW + 4, failures=2, empty_since=NOW - 99, empty_at=NOW - 40),
            Do.KEEP,
            id="another worker saw it empty, but not for the whole grace: time alone proves nothing",
        ),
        pytest.param(
            FLYING,
            Deferred(due_at=NOW + 4, forced_at=None, failures=2, empty_since=NOW - 200, empty_at=NOW - 10),
            replace(HELD, due_at=NOW + 4, failures=2),
            Do.KEEP,
            id="what another worker saw before our set was confirmed says nothing against it",
        ),
        pytest.param(
            replace(FLYING, empty_since=NOW - 20, empty_at=NOW - 5),
            Deferred(due_at=NOW + 4, forced_at=None, failures=2, empty_since=NOW - 70, empty_at=NOW - 10),
            replace(HELD, due_at=NOW + 4, failures=2, empty_since=NOW - 20, empty_at=NOW - 5),
            Do.KEEP,
            id="what another worker saw is older than what we saw: the clock that it was written by has jumped",
        ),
        # Missed
        pytest.param(HELD, Missed(), FLYING, Do.FETCH, id="another worker gave the set up: look why"),
        pytest.param(FLYING, Missed(), FLYING, Do.NOTHING, id="another worker gave the set up, in flight"),
    ],
)
def test_an_event_leads_to_what_the_table_says(state: Freshness, event: Event, after: Freshness, do: Do) -> None:
    assert on(state, event, NOW, PACE) == (after, do)


@pytest.mark.parametrize(
    ("lifetime", "jitter", "expected"),
    [
        (100, 0.0, 70),
        (100, 0.5, 80),
        (100, 1.0, 90),
        (None, 0.5, 240),
        (0, 0.5, 48),
        (10, 0.5, 48),
        (1_000_000, 0.5, 2880),
    ],
)
def test_a_refresh_is_due_before_the_bounded_lifetime_ends(
    lifetime: float | None, jitter: float, expected: float
) -> None:
    assert refresh_after(lifetime, jitter, PACE) == pytest.approx(expected)


def test_the_back_off_doubles_up_to_its_most() -> None:
    pauses = [retry_after_failure(True, failures, 0.5, PACE) for failures in (1, 2, 3, 4, 5, 6, 7, 10_000)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_without_a_set_the_back_off_stays_short() -> None:
    assert {retry_after_failure(False, failures, 0.5, PACE) for failures in range(1, 100)} == {1}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (NONE, NOW + 1),
        (HELD, NOW + 50),
        (FLYING, NOW + 900),
        (replace(HELD, due_at=NOW + 5000), NOW + 900),
        (replace(NONE, in_flight=True), float("inf")),
    ],
)
def test_wake_at_names_the_next_moment_at_which_a_tick_acts(state: Freshness, expected: float) -> None:
    assert wake_at(state, PACE) == expected
    if expected != float("inf"):
        assert on(state, Tick(), expected - 0.001, PACE)[1] is Do.NOTHING
        assert on(state, Tick(), expected, PACE)[1] is not Do.NOTHING


def test_ten_thousand_unknown_kids_cause_one_fetch_per_min_refetch() -> None:
    state, fetches = HELD, 0
    for number in range(10_000):
        now = NOW + number / 250  # 250 a second, for 40 s
        state, do = on(state, KidUnknown(), now, PACE)
        if do is Do.FETCH:
            fetches += 1
            state, _ = on(state, Confirmed(300, 0.5), now, PACE)
    assert fetches == 4


def test_an_outage_keeps_the_last_good_set_for_max_stale_and_then_recovers_quickly() -> None:
    state, confirmed_at = HELD, NOW - 100
    now, dropped_at = NOW, 0.0
    while now < NOW + 2000:
        now = max(wake_at(state, PACE), now)
        state, do = on(state, Tick(), now, PACE)
        if do is Do.FETCH:
            state, do = on(state, Failed(0.5), now, PACE)
        if do is Do.DROP:
            dropped_at = now
    assert dropped_at == confirmed_at + PACE.max_stale
    assert wake_at(state, PACE) - now <= 2


@pytest.mark.parametrize("restarted", [False, True])
def test_one_empty_answer_and_an_outage_after_it_take_no_set_away(restarted: bool) -> None:
    """Not in the worker that asked, nor in one that hears of it from another or from before the start."""
    state, do = on(FLYING, Emptied(0.5), NOW, PACE)
    now = NOW
    while now < NOW + 800 and do is not Do.DROP:
        now = wake_at(state, PACE)
        state, do = on(state, Tick(), now, PACE)
        assert do is Do.FETCH
        if restarted:
            told = Deferred(now + 1, None, state.failures, state.empty_since, state.empty_at)
            assert on(FLYING, told, now, PACE)[1] is Do.KEEP
        state, do = on(state, Failed(0.5), now, PACE)
    assert do is Do.KEEP
    assert on(replace(state, in_flight=True), Emptied(0.5), now, PACE)[1] is Do.KEEP
