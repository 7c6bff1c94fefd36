"""The metrics of single keys.

A key's labels are what its issuer publishes, not what a token says. Their number is bounded: an issuer that makes
up keys costs neither Prometheus nor us more than these.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jwtgate.jwks import IssuerView, KeyView

KEY_LABELS = ("issuer", "kid", "alg", "thumbprint")

_OF_AN_ISSUER = 100  # keys; what `max_keys` is by default
_OF_ALL = 10_000  # 0.2 s of CPU more for a scrape, and 3.4 MB


def key_times(
    issuers: Sequence[IssuerView], time: Callable[[KeyView], float | None]
) -> Iterable[tuple[tuple[str, ...], float]]:
    """A time of each key that has one, by `KEY_LABELS`."""
    found: dict[tuple[str, ...], float] = {}
    for issuer, key in islice(_told(issuers), _OF_ALL):
        at = time(key)
        if at is not None:
            # Keys that differ in what no label says: one series, or Prometheus refuses them all.
            labels = (issuer.name, key.kid or "", ",".join(key.algorithms), key.thumbprint or "")
            found[labels] = max(at, found.get(labels, at))
    return found.items()


def keys_left_out(issuers: Sequence[IssuerView]) -> int:
    """How many keys are too many to be told one by one."""
    told = sum(1 for _ in islice(_told(issuers), _OF_ALL))
    return sum(len(issuer.keys) for issuer in issuers) - told


def _told(issuers: Sequence[IssuerView]) -> Iterator[tuple[IssuerView, KeyView]]:
    for issuer in issuers:
        for key in issuer.keys[:_OF_AN_ISSUER]:
            yield issuer, key
