"""The life of a signing key: a table over `now`, and that no verifier ever meets a key that it has not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwtgate.keys.lifecycle import (
    VERIFIER_LEEWAY,
    Drop,
    Hasten,
    KeyState,
    KeyTimes,
    Make,
    Retire,
    RotationRules,
    Step,
    due,
    in_emergency,
    margin,
    next_key,
)

RULES = RotationRules(("ES256",), jwks_max_age=300, token_lifetime=3600, interval=86400)
LEAD = 330
KEY = KeyTimes(
    "old", "ES256", announced=0, signs_from=0, signs_until=None, longest_lifetime=3600, jwks_max_age=300
)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (99, KeyState.ANNOUNCED),
        (100, KeyState.SIGNING),
        (199, KeyState.SIGNING),
        (200, KeyState.RETIRING),
        (200 + 3600 + VERIFIER_LEEWAY - 1, KeyState.RETIRING),
        (200 + 3600 + VERIFIER_LEEWAY, KeyState.GONE),
    ],
)
def test_the_table(now: float, state: KeyState) -> None:
    assert replace(KEY, signs_from=100, signs_until=200).state(now) is state


def test_a_key_without_a_successor_signs_for_ever() -> None:
    assert KEY.state(10**10) is KeyState.SIGNING
    assert KEY.gone_at is None


@pytest.mark.parametrize(("max_age", "seconds"), [(1, 2), (19, 2), (300, 30), (3600, 360)])
def test_the_margin_follows_the_max_age(max_age: int, seconds: int) -> None:
    assert margin(max_age) == seconds


OTHER = replace(KEY, kid="other", algorithm="RS256")
NEXT = replace(KEY, kid="next", announced=1000, signs_from=1330)
LEAVING = replace(KEY, signs_until=1330)


@pytest.mark.parametrize(
    ("keys", "rules", "now", "steps"),
    [
        # The first key of all signs at once: nobody can hold an older set.
        ([], RULES, 1000, (Make("ES256", 1000, None),)),
        # The key of another algorithm has been published: the new one is announced first.
        ([OTHER], RULES, 1000, (Make("ES256", 1000 + LEAD, None),)),
        ([OTHER, NEXT], RULES, 1001, ()),
        # Then the algorithm that is not wanted any more retires.
        ([OTHER, NEXT], RULES, 1330, (Retire("other", 1330),)),
        ([replace(OTHER, signs_until=1330), NEXT], RULES, 1331, ()),
        # The interval.
        ([KEY], RULES, 86400 - LEAD - 1, ()),
        ([KEY], RULES, 86400 - LEAD, (Make("ES256", 86400, "old"),)),
        # A signer that was away when it was time.
        ([KEY], RULES, 200_000, (Make("ES256", 200_000 + LEAD, "old"),)),
        ([KEY], replace(RULES, interval=None), 10**9, ()),
        ([LEAVING, NEXT], RULES, 1001, ()),
        ([LEAVING, NEXT], RULES, 1330 + 3659, ()),
        ([LEAVING, NEXT], RULES, 1330 + 3660, (Drop("old"),)),
        # An announced key whose algorithm is no longer wanted: it lives its life, its predecessor counts on it.
        ([KEY, replace(NEXT, algorithm="RS256")], RULES, 1001, ()),
        ([KEY, replace(NEXT, algorithm="RS256")], RULES, 1330, (Retire("next", 1330),)),
        # Two algorithms at once.
        ([KEY], replace(RULES, algorithms=("ES256", "RS256")), 100, (Make("RS256", 100 + LEAD, None),)),
        # A max-age that was longer a moment ago still counts.
        ([replace(OTHER, jwks_max_age=3600)], RULES, 0, (Make("ES256", 3960, None),)),
    ],
)
def test_what_is_due(keys: list[KeyTimes], rules: RotationRules, now: float, steps: tuple[Step, ...]) -> None:
    assert due(keys, rules, now) == steps


def test_a_rotation_that_is_asked_for_is_announced_once() -> None:
    assert next_key([KEY], "ES256", RULES, 1000) == Make("ES256", 1000 + LEAD, "old")
    assert next_key([LEAVING, NEXT], "ES256", RULES, 1001) == NEXT


@pytest.mark.parametrize(
    ("keys", "kid", "steps"),
    [
        ([KEY], None, (Drop("old"), Make("ES256", 1001, None))),
        ([LEAVING, NEXT], None, (Drop("next"), Drop("old"), Make("ES256", 1001, None))),
        ([LEAVING, NEXT], "old", (Drop("old"), Hasten("next", 1001))),
        ([LEAVING, NEXT], "next", (Drop("next"), Make("ES256", 1001 + LEAD, "old"))),
        ([KEY, replace(KEY, kid="retired", signs_from=-9, signs_until=0)], "retired", (Drop("retired"),)),
    ],
)
def test_an_emergency_leaves_a_key_that_signs(
    keys: list[KeyTimes], kid: str | None, steps: tuple[Step, ...]
) -> None:
    assert in_emergency(keys, RULES, 1001, kid=kid) == steps


def play(keys: list[KeyTimes], steps: tuple[Step, ...], rules: RotationRules, now: float) -> list[KeyTimes]:
    """What the store does with the steps."""
    for step in steps:
        match step:
            case Make(algorithm, signs_from, replaces):
                kid = f"key-{now}-{algorithm}-{len(keys)}"
                keys = [replace(key, signs_until=signs_from) if key.kid == replaces else key for key in keys]
                keys.append(
                    KeyTimes(kid, algorithm, now, signs_from, None, rules.token_lifetime, rules.jwks_max_age)
                )
            case Retire(kid, at):
                keys = [replace(key, signs_until=at) if key.kid == kid else key for key in keys]
            case Drop(kid):
                keys = [key for key in keys if key.kid != kid]
            case Hasten(kid, at):
                keys = [replace(key, signs_from=at) if key.kid == kid else key for key in keys]
    return keys


ALGORITHMS = st.sampled_from([("ES256",), ("ES256", "RS256"), ("RS256", "ES256"), ("RS256",)])


@settings(max_examples=60, deadline=None)
@given(
    max_age=st.integers(1, 30),
    lifetime=st.integers(1, 60),
    interval=st.one_of(st.none(), st.integers(1, 60)),
    asked=st.sets(st.integers(0, 400), max_size=8),
    algorithms=st.lists(st.tuples(st.integers(0, 400), ALGORITHMS), max_size=3),
)
def test_no_verifier_that_obeys_cache_control_ever_meets_an_unknown_key(
    max_age: int,
    lifetime: int,
    interval: int | None,
    asked: set[int],
    algorithms: list[tuple[int, tuple[str, ...]]],
) -> None:
    rules = RotationRules(("ES256",), max_age, lifetime, interval)
    keys: list[KeyTimes] = []
    published: list[set[str]] = []  # by second
    last_signed: dict[str, int] = {}
    for now in range(500):
        rules = next((replace(rules, algorithms=given) for at, given in algorithms if at == now), rules)
        keys = play(keys, due(keys, rules, now), rules, now)
        if now in asked:
            asking = [next_key(keys, algorithm, rules, now) for algorithm in rules.algorithms]
            keys = play(keys, tuple(step for step in asking if isinstance(step, Make)), rules, now)
        published.append({key.kid for key in keys if key.state(now) is not KeyState.GONE})
        signing = [key.kid for key in keys if key.state(now) is KeyState.SIGNING]
        assert signing, "there is always a key that signs"
        last_signed |= dict.fromkeys(signing, now)
        needed = {kid for kid, at in last_signed.items() if now < at + lifetime + VERIFIER_LEEWAY}
        # A verifier that fetched the set up to max_age ago, from a signer that learned of a change a second late.
        for fetched in published[max(0, now - max_age - 1) :]:
            assert needed <= fetched, now
