"""What `jwtgate keys` and the metrics show: where issuers' keys stand. Never a key, and no secret's digest.

Each worker sees its own part: what it fetched, and which keys it used. `merged` makes one picture of them.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jwtgate.keys import Key, KeySet

# Where a set came from. snapshot: from disk, and the issuer has not confirmed it since the start.
Origin = Literal["fetched", "snapshot", "file", "inline", "secret"]

# Why no set is held before anybody has asked for one: it is on disk and not read yet, or not fetched yet. A token
# does not wait for that.
Coming = Literal["kept", "pending"]


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """One key. Times are Unix seconds; `last_used` is None until a token has been verified with it."""

    kid: str | None
    algorithms: tuple[str, ...]
    thumbprint: str | None  # None: a shared secret
    first_seen: float
    last_used: float | None


class IssuerView(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer, or all tenants that have the same keys. Ages and waits are seconds; None: nothing to say."""

    name: str
    issuer: str  # with {tenant} in it for several tenants
    tenants: int  # how many have these keys; 0: it is no template
    source: str
    available: bool | None  # None: nobody has asked yet
    keys: tuple[KeyView, ...]
    origin: Origin | Coming | None  # None: no set is held
    age: float | None = None  # since the issuer last confirmed the set
    next_refresh: float | None = None
    fetches: int = 0
    failures: int = 0  # of the fetches, since the start
    failing: bool = False
    last_error: str | None = None  # it stays when the fetches succeed again
    last_error_at: float | None = None  # Unix seconds
    ignored: tuple[str, ...] = ()  # keys that the issuer publishes and that are not used, and why


def identity(key: Key) -> str:
    """What makes a key another one: its name, and what it is."""
    return f"{key.kid}|{key.thumbprint}"


def key_views(
    keyset: KeySet | None, first_seen: Mapping[str, float], last_used: Mapping[Key, float], otherwise: float
) -> tuple[KeyView, ...]:
    """The keys of a set. `first_seen` is by `identity`; `otherwise` stands in for what is not there."""
    return tuple(
        KeyView(
            kid=key.kid,
            algorithms=tuple(sorted(key.algorithms)),
            thumbprint=None if key.kty == "oct" else key.thumbprint,
            first_seen=first_seen.get(identity(key), otherwise),
            last_used=last_used.get(key),
        )
        for key in (() if keyset is None else keyset.keys)
    )


def merged(workers: Iterable[Sequence[IssuerView]]) -> tuple[IssuerView, ...]:
    """What several workers of one gateway see, as one. Issuers stay in their order."""
    by_name: dict[str, list[IssuerView]] = {}
    for views in workers:
        for view in views:
            by_name.setdefault(view.name, []).append(view)
    return tuple(_merge(views) for views in by_name.values())


def _merge(views: list[IssuerView]) -> IssuerView:
    """Who asked last knows best what there is; what they did is added up."""
    best = min(views, key=lambda view: (inf if view.age is None else view.age, view.available is None))
    erring = max(views, key=lambda view: view.last_error_at or 0)
    waits = [view.next_refresh for view in views if view.next_refresh is not None]
    return msgspec.structs.replace(
        best,
        available=_merge_available({view.available for view in views}),
        keys=_merge_keys(best.keys, views),
        next_refresh=min(waits, default=None),
        fetches=sum(view.fetches for view in views),
        failures=sum(view.failures for view in views),
        failing=best.failing,
        last_error=erring.last_error,
        last_error_at=erring.last_error_at,
    )


def _merge_available(said: set[bool | None]) -> bool | None:
    """A worker that has not asked yet finds what another has put on disk."""
    return next((each for each in (False, True) if each in said), None)


def _merge_keys(keys: tuple[KeyView, ...], views: list[IssuerView]) -> tuple[KeyView, ...]:
    seen: dict[tuple[str | None, str | None], list[KeyView]] = {}
    for view in views:
        for key in view.keys:
            seen.setdefault((key.kid, key.thumbprint), []).append(key)
    merged_keys = []
    for key in keys:
        same = seen[key.kid, key.thumbprint]
        used = [each.last_used for each in same if each.last_used is not None]
        first = min(each.first_seen for each in same)
        merged_keys.append(msgspec.structs.replace(key, first_seen=first, last_used=max(used, default=None)))
    return tuple(merged_keys)
