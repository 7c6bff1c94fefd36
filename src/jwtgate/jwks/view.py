"""What `jwtgate keys` shows: where each issuer's keys stand, as data. Never a key, and no secret's digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys import Key, KeySet
    from jwtgate.keys.freshness import Freshness
    from jwtgate.plan import Issuer


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key. Times are Unix seconds; `last_used` is None until this worker has verified a token with it."""

    kid: str | None
    algorithms: tuple[str, ...]
    thumbprint: str | None  # None: a shared secret
    first_seen: float
    last_used: float | None


@dataclass(frozen=True, slots=True)
class IssuerView:
    """One issuer. Ages and waits are seconds; None where there is nothing to say."""

    name: str
    issuer: str
    source: str
    available: bool
    keys: tuple[KeyView, ...]
    age: float | None  # since the issuer last confirmed the set
    next_refresh: float | None
    failures: int
    last_error: str | None
    origin: str | None  # "issuer", "snapshot or another worker", "configuration"
    ignored: tuple[str, ...]  # keys that the issuer publishes and that are not used, and why


def configured(
    issuer: Issuer, keyset: KeySet | None, used: Mapping[tuple[str, str], float], started: float
) -> IssuerView:
    """An issuer whose keys stand in the configuration."""
    return IssuerView(
        name=issuer.name,
        issuer=issuer.issuer,
        source="the configuration",
        available=keyset is not None,
        keys=_keys(issuer, keyset, used, {}, started),
        age=None,
        next_refresh=None,
        failures=0,
        last_error=None,
        origin="configuration",
        ignored=() if keyset is None else keyset.notes,
    )


def fetched(
    issuer: Issuer,
    keyset: KeySet | None,
    used: Mapping[tuple[str, str], float],
    state: Freshness,
    now: float,
    *,
    source: str,
    origin: str | None,
    error: str | None,
    first_seen: Mapping[str, float],
) -> IssuerView:
    """An issuer whose keys are fetched. `first_seen` is by `identity`."""
    return IssuerView(
        name=issuer.name,
        issuer=issuer.issuer,
        source=source,
        available=keyset is not None,
        keys=_keys(issuer, keyset, used, first_seen, 0.0),
        age=None if state.confirmed_at is None else max(0.0, now - state.confirmed_at),
        next_refresh=None if state.due_at == float("inf") else max(0.0, state.due_at - now),
        failures=state.failures,
        last_error=error,
        origin=origin,
        ignored=() if keyset is None else keyset.notes,
    )


def identity(key: Key) -> str:
    """What makes a key another one: its name, and what it is."""
    return f"{key.kid}|{key.thumbprint}"


def _keys(
    issuer: Issuer,
    keyset: KeySet | None,
    used: Mapping[tuple[str, str], float],
    first_seen: Mapping[str, float],
    otherwise: float,
) -> tuple[KeyView, ...]:
    return tuple(
        KeyView(
            kid=key.kid,
            algorithms=tuple(sorted(key.algorithms)),
            thumbprint=None if key.kty == "oct" else key.thumbprint,
            first_seen=first_seen.get(identity(key), otherwise),
            last_used=used.get((issuer.name, key.thumbprint)),
        )
        for key in (() if keyset is None else keyset.keys)
    )
