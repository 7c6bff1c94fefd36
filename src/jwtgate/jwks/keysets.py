"""What a request reads: the last good set of each issuer, by its name.

A set that is common to several issuers is one object for all of them, unless keys in it name the issuer that they
are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwtgate.keys import KeySet
    from jwtgate.plan import Issuer


class KeySets:
    """`by_issuer` is always the same object; an issuer that is unavailable is absent."""

    def __init__(self) -> None:
        self.by_issuer: dict[str, KeySet] = {}

    def use(self, issuers: Iterable[Issuer], published: KeySet) -> None:
        """Give each issuer its keys of a set. An issuer that has none of them becomes unavailable."""
        made: dict[tuple[bool, ...], KeySet] = {}
        for issuer in issuers:
            fitting = tuple(key.signs_for(issuer.issuer) for key in published.keys)
            if fitting not in made:
                made[fitting] = published.of_issuer(issuer.issuer)
            own = made[fitting]
            if not usable(own, issuer):
                self.by_issuer.pop(issuer.name, None)
                continue
            held = self.by_issuer.get(issuer.name)
            # An equal set stays the same object: what was derived from it stays good.
            if held is None or (held.digest, held.notes) != (own.digest, own.notes):
                self.by_issuer[issuer.name] = own

    def drop(self, issuers: Iterable[Issuer]) -> None:
        """None of them has usable keys any longer."""
        for issuer in issuers:
            self.by_issuer.pop(issuer.name, None)

    def has(self, issuer: str, kid: str | None, tried: KeySet | None) -> bool:
        """Whether an issuer has a key of this name; None: another set than the one that was tried."""
        held = self.by_issuer.get(issuer)
        return held is not None and (held is not tried if kid is None else kid in held.kids)


def usable(keyset: KeySet, issuer: Issuer) -> bool:
    """Whether any key of the set could verify a token of the issuer."""
    return any(
        not key.algorithms.isdisjoint(issuer.algorithms) and key.signs_for(issuer.issuer) for key in keyset.keys
    )


def usable_by_any(keyset: KeySet, issuers: Iterable[Issuer]) -> bool:
    """Whether it is worth anything to one of them at least."""
    return any(usable(keyset, issuer) for issuer in issuers)
