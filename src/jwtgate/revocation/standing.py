"""Whether a verified token still stands, as of now: the deny-list first, then its issuer's status list.

It is asked on every request, also for a token whose signature was checked before. What cannot be checked denies:
a `status` that the gateway was not told how to check, a list that is not at hand or too old, an index beyond its
end. gateway.yaml can relax the first (`unsafe_ignore_status`) and the second (`unsafe_allow_stale_status`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from jwtgate.reasons import Reason
from jwtgate.revocation.status_list import VALID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.plan import Issuer
    from jwtgate.revocation.deny_list import DenyList
    from jwtgate.revocation.status_list import StatusList


class HeldList(msgspec.Struct):
    """A list that was verified; or, without `statuses`, one that was asked for in vain.

    It holds before `until` (Unix time). `used`: whether a token has asked for it.
    """

    statuses: StatusList | None
    until: float
    used: bool = False


class NeedList(msgspec.Struct, frozen=True):
    """The list at `uri` was never asked for."""

    uri: str


class Standing:
    """What is known about tokens beside what they say themselves. Others keep it up to date.

    `lists`: by issuer's name and URI. `denied`: replaced as a whole, or added to; None when nothing is denied.
    """

    __slots__ = ("denied", "lists")

    def __init__(self) -> None:
        self.denied: DenyList | None = None
        self.lists: dict[tuple[str, str], HeldList] = {}

    def of(
        self, issuer: Issuer, claims: Mapping[str, Any], now: float, *, allow_stale: bool
    ) -> float | Reason | NeedList:
        """Until when the token with these claims stands (Unix time), or why it does not.

        TOKEN_REVOKED, STATUS_UNKNOWN, STATUS_UNAVAILABLE or CLAIMS_UNREADABLE.
        """
        if self.denied is not None and self.denied.denies(issuer.issuer, claims, now):
            return Reason.TOKEN_REVOKED
        if "status" not in claims or issuer.unsafe_ignore_status:
            return inf
        reference = _reference(claims["status"])
        if isinstance(reference, Reason):
            return reference
        uri, index = reference
        if issuer.status_lists is None or not issuer.status_lists.permits(uri):
            return Reason.STATUS_UNKNOWN
        held = self.lists.get((issuer.name, uri))
        if held is None:
            return NeedList(uri)
        held.used = True
        if held.statuses is not None:
            status = held.statuses.status(index)
            # Section 8.3: "Fail if the provided index is out of bounds"; any status but VALID is not valid.
            if status != VALID:
                return Reason.STATUS_UNKNOWN if status is None else Reason.TOKEN_REVOKED
            if now < held.until:
                return held.until
        # The background asks for a new one all the time: no request waits for that.
        return inf if allow_stale else Reason.STATUS_UNAVAILABLE


def _reference(status: object) -> tuple[str, int] | Reason:
    """`uri` and `idx` of a `status` claim (Token Status List, section 6.2)."""
    if not isinstance(status, dict):
        return Reason.CLAIMS_UNREADABLE
    if "status_list" not in status:  # another mechanism, which is not known here
        return Reason.STATUS_UNKNOWN
    reference = status["status_list"]
    if not isinstance(reference, dict):
        return Reason.CLAIMS_UNREADABLE
    uri, index = reference.get("uri"), reference.get("idx")
    if not isinstance(uri, str) or type(index) is not int or index < 0:
        return Reason.CLAIMS_UNREADABLE
    return uri, index
