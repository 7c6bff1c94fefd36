"""What `jwtgate keys` and the metrics show: where status lists stand. Never what is in one."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class StatusListView(msgspec.Struct, frozen=True, kw_only=True):
    """One list that is followed. `age` in seconds; None: it is not held."""

    issuer: str  # its name in gateway.yaml
    uri: str
    age: float | None  # since the issuer last confirmed it
    error: str | None  # of the last fetch; None: it succeeded, or is the first


def merged_lists(workers: Iterable[Sequence[StatusListView]]) -> tuple[StatusListView, ...]:
    """What several workers of one gateway see, as one: of each list the oldest copy, which is in use somewhere."""
    found: dict[tuple[str, str], StatusListView] = {}
    for views in workers:
        for view in views:
            found[view.issuer, view.uri] = max(found.get((view.issuer, view.uri), view), view, key=_staleness)
    return tuple(found.values())


def _staleness(view: StatusListView) -> tuple[float, bool]:
    return inf if view.age is None else view.age, view.error is not None
