"""The life of a signing key, as a table over `now`: announced → signing → retiring → gone.

A key is announced (published, not yet signing) for longer than any verifier may keep the key set, so that no
verifier that obeys `Cache-Control` meets a token whose key it has not seen. It stays published after it stopped
signing until the last token that it signed has expired everywhere.

Two figures drive it: how long the key set may be cached, and how long the longest token lasts. The state of a key
follows from its row and the time alone; nothing has to be written at the moment in which it changes, so several
signers change over together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERIFIER_LEEWAY: Final = 60
"""Seconds that a verifier may go on accepting a token after its `exp`: the clocks of two machines differ."""


class KeyState(StrEnum):
    """Where a key is in its life."""

    ANNOUNCED = "announced"
    SIGNING = "signing"
    RETIRING = "retiring"
    GONE = "gone"


PUBLISHED: Final = (KeyState.SIGNING, KeyState.ANNOUNCED, KeyState.RETIRING)
"""The states in which the public key is in the key set, in its order there."""


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """A key's row. Times are Unix time in seconds.

    `signs_until` is None until there is a successor. `longest_lifetime` is that of any token that it signs,
    `jwks_max_age` the longest for which a key set with it may be cached, both in seconds.
    """

    kid: str
    algorithm: str
    announced: float
    signs_from: float
    signs_until: float | None
    longest_lifetime: int
    jwks_max_age: int

    @property
    def gone_at(self) -> float | None:
        """From when it need not be published any more; None while that is open."""
        return None if self.signs_until is None else self.signs_until + self.longest_lifetime + VERIFIER_LEEWAY

    def state(self, now: float) -> KeyState:
        """The table."""
        if now < self.signs_from:
            return KeyState.ANNOUNCED
        if self.signs_until is None or now < self.signs_until:
            return KeyState.SIGNING
        if self.gone_at is None or now < self.gone_at:
            return KeyState.RETIRING
        return KeyState.GONE


@dataclass(frozen=True, slots=True)
class RotationRules:
    """What the signer is told: its algorithms (the first signs by default), and durations in seconds.

    `interval` is how long a key signs before the next one takes over; None: until somebody says `rotate`.
    """

    algorithms: tuple[str, ...]
    jwks_max_age: int
    token_lifetime: int
    interval: int | None


@dataclass(frozen=True, slots=True)
class Make:
    """A new key has to be made; `replaces` stops signing when it begins."""

    algorithm: str
    signs_from: float
    replaces: str | None


@dataclass(frozen=True, slots=True)
class Retire:
    """A key whose algorithm is no longer wanted stops signing at `at`."""

    kid: str
    at: float


@dataclass(frozen=True, slots=True)
class Drop:
    """A key is gone: its row can be deleted."""

    kid: str


@dataclass(frozen=True, slots=True)
class Hasten:
    """An announced key signs from `at` on: there is nothing left that could."""

    kid: str
    at: float


Step = Make | Retire | Drop | Hasten


def margin(jwks_max_age: int) -> int:
    """Seconds beyond the max-age, in which every signer learns of a new key, and by which clocks may differ."""
    return max(2, jwks_max_age // 10)


def lead_time(keys: Sequence[KeyTimes], rules: RotationRules) -> int:
    """How long a new key is announced before it signs: a key set from before it is then nowhere cached."""
    # A max-age that was lowered a moment ago still holds where the set was fetched before.
    longest = max((rules.jwks_max_age, *(key.jwks_max_age for key in keys)))
    return longest + margin(longest)


def due(keys: Sequence[KeyTimes], rules: RotationRules, now: float) -> tuple[Step, ...]:
    """What has to be done at `now` so that the keys keep to the rules. Empty nearly always."""
    return (*_drops(keys, now), *_makes(keys, rules, now), *_retires(keys, rules, now))


def next_key(keys: Sequence[KeyTimes], algorithm: str, rules: RotationRules, now: float) -> Make | KeyTimes:
    """A rotation that somebody asks for: the key to make, or the one that is announced already."""
    current, successor = _live(keys, algorithm, now)
    if successor is not None:
        return successor
    return Make(algorithm, now + lead_time(keys, rules), current.kid if current else None)


def in_emergency(
    keys: Sequence[KeyTimes], rules: RotationRules, now: float, *, kid: str | None = None
) -> tuple[Step, ...]:
    """Drop keys this moment: the one named, or all. What is left signs, or a new key does, at once."""
    dropped = {key.kid for key in keys if kid in (None, key.kid)}
    return (
        *(Drop(one) for one in sorted(dropped)),
        *(step for algorithm in rules.algorithms for step in _replacement(keys, algorithm, dropped, rules, now)),
    )


def _replacement(
    keys: Sequence[KeyTimes], algorithm: str, dropped: set[str], rules: RotationRules, now: float
) -> Iterator[Step]:
    current, successor = _live(keys, algorithm, now)
    signs = current is not None and current.kid not in dropped
    follows = successor is not None and successor.kid not in dropped
    if not signs:
        yield Hasten(successor.kid, now) if successor is not None and follows else Make(algorithm, now, None)
    elif current is not None and successor is not None and not follows:
        # The key that signs would stop when the dropped one was to begin.
        yield Make(algorithm, now + lead_time(keys, rules), current.kid)


def _live(keys: Sequence[KeyTimes], algorithm: str, now: float) -> tuple[KeyTimes | None, KeyTimes | None]:
    """The key that signs by `algorithm`, and the one that is announced to."""
    by_state = {key.state(now): key for key in keys if key.algorithm == algorithm}
    return by_state.get(KeyState.SIGNING), by_state.get(KeyState.ANNOUNCED)


def _makes(keys: Sequence[KeyTimes], rules: RotationRules, now: float) -> Iterator[Make]:
    lead = lead_time(keys, rules)
    # A signer that never published a key set has no verifier that could hold an old one.
    first = now + lead if any(key.state(now) is not KeyState.GONE for key in keys) else now
    for algorithm in rules.algorithms:
        current, successor = _live(keys, algorithm, now)
        if successor is not None:
            continue
        if current is None:
            yield Make(algorithm, first, None)
        elif rules.interval is not None and now >= current.signs_from + rules.interval - lead:
            yield Make(algorithm, max(now + lead, current.signs_from + rules.interval), current.kid)


def _retires(keys: Sequence[KeyTimes], rules: RotationRules, now: float) -> Iterator[Retire]:
    wanted_signs = any(key.algorithm in rules.algorithms and key.state(now) is KeyState.SIGNING for key in keys)
    for key in keys:
        if wanted_signs and key.algorithm not in rules.algorithms and key.state(now) is KeyState.SIGNING:
            yield Retire(key.kid, now)


def _drops(keys: Sequence[KeyTimes], now: float) -> Iterator[Drop]:
    return (Drop(key.kid) for key in keys if key.state(now) is KeyState.GONE)
