"""A rotation in a copy: would any verifier meet a key that it has not seen?

What a verifier holds and when it fetches next is what it says itself (`jwtgate keys`); when the next key would
sign is what the keys' life says. Nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.keys.lifecycle import KeyState, Make, next_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwtgate.keys.lifecycle import KeyTimes, RotationRules


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a verifier holds. `next_fetch` is seconds from now; None: it fetches nothing by itself."""

    name: str
    kids: frozenset[str]
    next_fetch: float | None
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verifier would meet. `trouble` is None when there is none; else what happens, and what to do."""

    verifier: str
    what: str
    trouble: str | None


def rehearse(
    keys: Sequence[KeyTimes], rules: RotationRules, verifiers: Sequence[Verifier], now: float
) -> tuple[Finding, ...]:
    """What each verifier has of the keys that sign now, and would have of each next one when that signs."""
    return tuple(
        finding
        for verifier in verifiers
        for finding in (
            *(_now(verifier, key) for key in keys if key.state(now) is KeyState.SIGNING),
            *(_next(verifier, next_key(keys, algorithm, rules, now), now) for algorithm in rules.algorithms),
        )
    )


def _now(verifier: Verifier, key: KeyTimes) -> Finding:
    what = f"{key.kid} ({key.algorithm}), which signs now"
    if key.kid in verifier.kids:
        return Finding(verifier.name, what, None)
    return Finding(verifier.name, what, "it has not seen this key: jwtgate keys refresh")


def _next(verifier: Verifier, key: Make | KeyTimes, now: float) -> Finding:
    wait = key.signs_from - now
    what = f"the next {key.algorithm} key, which would sign in {wait:.0f} s"
    if not isinstance(key, Make) and key.kid in verifier.kids:
        return Finding(verifier.name, what, None)
    if verifier.next_fetch is None:
        trouble = "it fetches no keys by itself: give it the new set while the key is announced"
        return Finding(verifier.name, what, trouble)
    if verifier.failing:
        return Finding(verifier.name, what, "its fetches fail: jwtgate keys says why")
    if verifier.next_fetch >= wait:
        trouble = (
            f"it fetches in {verifier.next_fetch:.0f} s only, or when the first token names the key: "
            "give the signer a longer jwks_max_age, or the gateway a shorter refresh"
        )
        return Finding(verifier.name, what, trouble)
    return Finding(verifier.name, what, None)
