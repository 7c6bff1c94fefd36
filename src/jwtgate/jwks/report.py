"""The log lines about issuers' keys. Names of keys come from strangers and are escaped; keys are never logged,
and what stands for one is its thumbprint (RFC 7638)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import structlog

from jwtgate.jwks.printable import printable
from jwtgate.jwks.view import identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwtgate.keys import Key, KeySet

_MANY = 20  # of more keys than this, the first ones are named
_FAULTS = 8  # of an outage with more faults than this, the first ones are told

_log = structlog.get_logger("jwtgate.jwks")


def changed(issuer: str, before: KeySet | None, after: KeySet, origin: str, *, elsewhere: bool = False) -> None:
    """A set was replaced. Says nothing if the same keys are in it under the same names.

    `elsewhere`: by another worker, which has said so already. What each worker finds on disk when it starts is
    no change either.
    """
    old = {} if before is None else _by_identity(before)
    new = _by_identity(after)
    if old.keys() != new.keys():
        log = _log.debug if elsewhere or (before is None and origin == "snapshot") else _log.info
        log(
            "keys_changed",
            issuer=issuer,
            added=_names(key for what, key in new.items() if what not in old),
            removed=_names(key for what, key in old.items() if what not in new),
            held=len(new),
            origin=origin,
        )
    if after.notes and (before is None or before.notes != after.notes) and not elsewhere:
        _log.warning("keys_ignored", issuer=issuer, ignored=[printable(note) for note in after.notes[:_MANY]])


def dropped(issuer: str, gone: KeySet, error: str | None) -> None:
    """The last good set is no longer used."""
    _log.error("keys_dropped", issuer=issuer, removed=_names(gone.keys), error=error)


class Outage:
    """Which faults have been told since a fetch last succeeded: there may be several in turn (an empty set, then
    500)."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def is_new(self, error: str) -> bool:
        """Whether this fault is still to be told. It counts as told from now on."""
        if error in self._told or len(self._told) == _FAULTS:
            return False
        self._told.add(error)
        return True

    def ends(self) -> None:
        """A fetch has succeeded."""
        self._told.clear()


def failed(issuer: str, error: str, *, new: bool, serving: bool) -> None:
    """A fetch failed. A new fault is a warning; that it still fails is for those who look closely."""
    level = _log.warning if new else _log.debug
    level("keys_fetch_failed", issuer=issuer, error=error, serving="the last good set" if serving else "none")


def recovered(issuer: str, error: str) -> None:
    """A fetch succeeded after failures, of which `error` was the last."""
    _log.info("keys_fetch_recovered", issuer=issuer, after=error)


def snapshot_ignored(issuer: str, why: str) -> None:
    """There is a set on disk that is not used."""
    _log.warning("keys_snapshot_ignored", issuer=issuer, error=printable(why))


def snapshot_unwritable(issuer: str, why: str) -> None:
    """The set that is held could not be written to disk."""
    _log.warning("keys_snapshot_unwritable", issuer=issuer, error=printable(why))


def bug(issuer: str, error: Exception) -> None:
    """Something that must not happen. Without a traceback, whose values may be somebody's secret."""
    _log.error("keys_fetch_bug", issuer=issuer, error=printable(repr(error)))


def _by_identity(keyset: KeySet) -> dict[str, Key]:
    return {identity(key): key for key in keyset.keys}


def _names(keys: Iterable[Key]) -> list[dict[str, str | None]]:
    return [_name(key) for key in islice(keys, _MANY)]


def _name(key: Key) -> dict[str, str | None]:
    """Which key it is. The thumbprint of a secret is a digest of it, and shown to nobody."""
    return {
        "kid": None if key.kid is None else printable(key.kid),
        "thumbprint": None if key.kty == "oct" else key.thumbprint,
    }
