"""What stands after an identity header: `X-User: sub`, `X-Roles: {claim: realm_access.roles, arrays: comma}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jwtgate.config.claim_paths import claim_path
from jwtgate.config.problems import Fault, nearest

if TYPE_CHECKING:
    from jwtgate.policy import ClaimPath


@dataclass(frozen=True, slots=True)
class IdentityValue:
    """What a header says; see `plan.IdentityHeader`."""

    claim: ClaimPath | None
    comma_list: bool = False
    omit: bool = False


_KEYS: Final = ("claim", "payload", "arrays", "omit")


def identity_value(value: Any) -> IdentityValue | Fault:
    """A claim by its path, or a mapping that says more."""
    if not isinstance(value, dict):
        path = claim_path(value)
        return path if isinstance(path, Fault) else IdentityValue(path)
    for key in value:
        if key not in _KEYS:
            return Fault(f'unknown key "{key}" in an identity header', nearest(str(key), _KEYS))
    omit, arrays = value.get("omit", False), value.get("arrays", "json")
    if not isinstance(omit, bool):
        return Fault('"omit" must be true or false', "true leaves the header out when there is no room for it")
    if "payload" in value:
        if value["payload"] != "base64url" or "claim" in value or "arrays" in value:
            return Fault("the whole payload is written in one way only", "write {payload: base64url}")
        return IdentityValue(None, omit=omit)
    if arrays not in ("json", "comma"):
        return Fault('"arrays" must be json or comma', "write arrays: comma for a list with commas")
    if "claim" not in value:
        return Fault("an identity header needs a claim", "write {claim: roles, arrays: comma}")
    path = claim_path(value["claim"])
    return path if isinstance(path, Fault) else IdentityValue(path, arrays == "comma", omit)
