"""When an issuer's keys are fetched, kept and given up: a table over `now`.

`on(state, event, now, pace)` is the whole of it. It returns the next state and what the caller has to do. It
reads no clock, throws no dice (`jitter` comes with the event) and fetches nothing: `jwtgate.jwks` does what
it says.

    event \\ what it leads to    no set is held              a set is held
    ─────────────────────────────────────────────────────────────────────────────────────────────────────
    Tick, before `due_at`       NOTHING                     NOTHING; DROP once it is older than max_stale
    Tick, from `due_at` on      FETCH                       FETCH (after a DROP, if that is due as well)
    KidUnknown, in flight       WAIT                        WAIT
    KidUnknown, else            FETCH, NOTHING within min_refetch of the last fetch that an unknown kid caused
    Refresh                     FETCH; WAIT if in flight    the same
    Confirmed                   USE, due before it is stale the same
    Emptied                     KEEP, retry in about 1 s    KEEP, back off; DROP once seen over all of empty_grace
    Failed                      KEEP, retry in about 1 s    KEEP, back off; what was seen empty before is forgotten
    Adopted                     USE; KEEP if older than max_stale or than what is held
    Deferred                    KEEP, due when the other worker says; DROP if that has seen what Emptied asks for
    Missed                      FETCH; NOTHING in flight    the same

The rules behind it:

- One fetch is in flight at a time.
- A failed fetch takes nothing away. The last good set stays until nobody has confirmed it for `max_stale`
  seconds; then the issuer is unavailable, which is not the same as a bad signature.
- Unknown key ids cause one fetch at once and then at most one per `min_refetch` seconds, whatever the ids
  are. A token that comes before there is any set does not count.
- A set without one usable key is doubted before it is obeyed. It is either a fault at the issuer (a
  deployment with an empty database, a truncated file) or the issuer's word that none of its keys holds any
  longer. A fault is over soon, and obeying it at once would deny everybody; not obeying it at all would keep
  a withdrawn key alive for a day. So the last good set stays until the issuer was seen to publish nothing else
  for `empty_grace` seconds: by answers of which the first and the last are that far apart, with no failure and
  no longer gap than that between them. The mere passing of time is no answer: after a failure, or a time in
  which nobody asked, it has to be seen anew.

All times are seconds on one clock that only moves forward (see `jwtgate.jwks.clock`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto, unique
from typing import assert_never

_FEW = 16  # issuers that are all asked at once
_FETCHES = 50.0  # a second, of more issuers than that
_START = 2.0  # seconds in which a gateway of more issuers than that starts, and asks none unasked


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an issuer is asked, in seconds.

    `least` and `most` bound what the issuer's own headers say about the lifetime of its set; `default` stands
    in when they say nothing.
    """

    least: float = 60.0
    most: float = 3600.0
    default: float = 300.0
    min_refetch: float = 10.0
    max_stale: float = 86_400.0
    retry_first: float = 1.0
    retry_most: float = 30.0
    empty_grace: float = 60.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """Where one issuer's key set stands.

    `confirmed_at`: when the issuer last said that the set we hold is the one; None: no set is held. `due_at`:
    when the next fetch is due. `forced_at`: when an unknown kid last caused one. `failures`: fetches that
    failed since one succeeded. `empty_since`, `empty_at`: when the issuer was first and last seen to publish no
    usable key, in answers without a failure between them; both or none.
    """

    due_at: float
    confirmed_at: float | None = None
    in_flight: bool = False
    forced_at: float | None = None
    failures: int = 0
    empty_since: float | None = None
    empty_at: float | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class KidUnknown:
    """A token names a key that the set does not hold, or there is no set."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """A person asks for a fetch now."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The issuer answered with a set, or with "unchanged". `lifetime` is what its headers say, None if
    nothing."""

    lifetime: float | None
    jitter: float  # in [0, 1)


@dataclass(frozen=True, slots=True)
class Emptied:
    """The issuer answered with a set that holds no usable key."""

    jitter: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The fetch failed. `retry_after` is the answer's Retry-After, None if it had none."""

    jitter: float
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A set that was fetched before we started, or by another worker: confirmed then, due again then."""

    confirmed_at: float
    due_at: float


@dataclass(frozen=True, slots=True)
class Deferred:
    """The flight ended without a fetch, because another worker made one; this is where its fetches stand."""

    due_at: float
    forced_at: float | None
    failures: int
    empty_since: float | None = None
    empty_at: float | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """Another worker no longer has the set that it kept for all: it knows something that we don't."""


Event = Tick | KidUnknown | Refresh | Confirmed | Emptied | Failed | Adopted | Deferred | Missed


@unique
class Do(Enum):
    """What the caller has to do."""

    NOTHING = auto()
    FETCH = auto()  # start a fetch; its end is the next Confirmed, Emptied or Failed
    WAIT = auto()  # wait for the fetch in flight
    USE = auto()  # the set that came with the event replaces the one that is held
    KEEP = auto()  # the one that is held stays
    DROP = auto()  # the one that is held goes: the issuer is unavailable


def on(state: Freshness, event: Event, now: float, pace: Pace) -> tuple[Freshness, Do]:
    """What `event` leads to."""
    match event:
        case Tick():
            return _tick(state, now, pace)
        case KidUnknown():
            return _kid_unknown(state, now, pace)
        case Refresh():
            return (state, Do.WAIT) if state.in_flight else (replace(state, in_flight=True), Do.FETCH)
        case Confirmed(lifetime, jitter):
            return Freshness(
                due_at=now + refresh_after(lifetime, jitter, pace),
                confirmed_at=now,
                forced_at=_budget(state),
            ), Do.USE
        case Emptied(jitter):
            return _emptied(state, jitter, now, pace)
        case Failed(jitter, retry_after):
            failed = _failed(state, jitter, retry_after, now, pace)
            return replace(failed, empty_since=None, empty_at=None), Do.KEEP
        case Adopted(confirmed_at, due_at):
            return _adopted(state, confirmed_at, due_at, now, pace)
        case Deferred():
            return _deferred(state, event, now, pace)
        case Missed():
            return (state, Do.NOTHING) if state.in_flight else (replace(state, in_flight=True), Do.FETCH)
    assert_never(event)


def withdrawn(state: Freshness, pace: Pace) -> bool:
    """Whether the issuer has published no usable key for so long that it is obeyed."""
    since, at = state.empty_since, state.empty_at
    return since is not None and at is not None and at - since >= pace.empty_grace


def doubted(state: Freshness, since: float | None, at: float | None) -> Freshness:
    """`state`, with what other workers have seen of an empty set. What was seen before the set that is held was
    confirmed says nothing against it, and what we have seen later ourselves we know better."""
    if at is not None and state.empty_at is not None and at <= state.empty_at:
        return state
    if since is None or at is None or (state.confirmed_at is not None and since < state.confirmed_at):
        since = at = None
    return replace(state, empty_since=since, empty_at=at)


def wake_at(state: Freshness, pace: Pace) -> float:
    """The next moment at which a Tick leads to something."""
    dropped = float("inf") if state.confirmed_at is None else state.confirmed_at + pace.max_stale
    return dropped if state.in_flight else min(dropped, state.due_at)


def spread(issuers: int) -> float:
    """Seconds over which the first fetches of so many issuers are spread, but for those that a token asks for.

    A few are all asked at once. With many, their answers would keep the first requests waiting. Issuers that
    fail are asked again no sooner than that.
    """
    return max(0, issuers - _FEW) / _FETCHES


def first_after(spread: float, jitter: float) -> float:
    """Seconds until the first fetch of an issuer that no token asks for, `spread` being that of all issuers."""
    return _START + spread * jitter if spread else 0.0


def refresh_after(lifetime: float | None, jitter: float, pace: Pace) -> float:
    """Seconds until the next fetch: 70 to 90 % of the lifetime, so that a slow fetch still ends before it
    does."""
    bounded = min(max(pace.default if lifetime is None else lifetime, pace.least), pace.most)
    return bounded * (0.7 + 0.2 * jitter)


def retry_after_failure(held: bool, failures: int, jitter: float, pace: Pace) -> float:
    """Seconds until the next try, after so many failures. Without a set nothing is gained by waiting long."""
    doublings = min(failures - 1, 30) if held else 0
    return min(pace.retry_first * 2.0**doublings, pace.retry_most) * (0.75 + 0.5 * jitter)


def _tick(state: Freshness, now: float, pace: Pace) -> tuple[Freshness, Do]:
    if state.confirmed_at is not None and now >= state.confirmed_at + pace.max_stale:
        return _given_up(state, now, pace), Do.DROP
    if state.in_flight or now < state.due_at:
        return state, Do.NOTHING
    return replace(state, in_flight=True), Do.FETCH


def _kid_unknown(state: Freshness, now: float, pace: Pace) -> tuple[Freshness, Do]:
    if state.in_flight:
        return state, Do.WAIT
    if state.forced_at is not None and now < state.forced_at + pace.min_refetch:
        return state, Do.NOTHING
    return replace(state, in_flight=True, forced_at=now), Do.FETCH


def _failed(state: Freshness, jitter: float, retry_after: float | None, now: float, pace: Pace) -> Freshness:
    failures = state.failures + 1
    pause = retry_after_failure(state.confirmed_at is not None, failures, jitter, pace)
    if retry_after is not None:
        pause = max(pause, min(retry_after, pace.retry_most))
    return replace(state, in_flight=False, due_at=now + pause, failures=failures)


def _emptied(state: Freshness, jitter: float, now: float, pace: Pace) -> tuple[Freshness, Do]:
    since, at = state.empty_since, state.empty_at
    if since is None or at is None or now - at > pace.empty_grace:
        since = now
    after = replace(_failed(state, jitter, None, now, pace), empty_since=since, empty_at=now)
    return _obeyed(after, now, pace)


def _deferred(state: Freshness, event: Deferred, now: float, pace: Pace) -> tuple[Freshness, Do]:
    after = replace(
        state,
        in_flight=False,
        due_at=event.due_at,
        forced_at=event.forced_at,
        failures=event.failures,
    )
    return _obeyed(doubted(after, event.empty_since, event.empty_at), now, pace)


def _obeyed(state: Freshness, now: float, pace: Pace) -> tuple[Freshness, Do]:
    """What an issuer that publishes no usable key leads to."""
    if state.confirmed_at is None or not withdrawn(state, pace):
        return state, Do.KEEP
    return _given_up(state, now, pace), Do.DROP


def _given_up(state: Freshness, now: float, pace: Pace) -> Freshness:
    """Without a set, the next try is soon."""
    return replace(state, confirmed_at=None, due_at=min(state.due_at, now + pace.retry_first))


def _adopted(state: Freshness, confirmed_at: float, due_at: float, now: float, pace: Pace) -> tuple[Freshness, Do]:
    too_old = now >= confirmed_at + pace.max_stale
    older = state.confirmed_at is not None and confirmed_at <= state.confirmed_at
    if too_old or older:
        return state, Do.KEEP
    # A due time beyond what we would have chosen ourselves is not believed.
    due_at = min(due_at, now + pace.most)
    forced_at = _budget(state)
    return Freshness(
        due_at=due_at, confirmed_at=confirmed_at, in_flight=state.in_flight, forced_at=forced_at
    ), Do.USE


def _budget(state: Freshness) -> float | None:
    """When an unknown kid last caused a fetch, once a set is held.

    A token that came before the first set asked for any key at all. It has not used up the fetch that the next
    rotation may need at once.
    """
    return None if state.confirmed_at is None else state.forced_at
