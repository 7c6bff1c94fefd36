"""Where a claim stands in a token: a path of names, so that a name may hold dots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The names that lead to a claim, outermost first: ("realm_access", "roles"), ("https://shop.example/roles",).
ClaimPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Where an issuer's tokens say what their subject may do.

    `scopes`: None stands for `scope` (RFC 9068, section 2.2.3) and, where a token has none, `scp`.
    """

    roles: ClaimPath = ("roles",)
    groups: ClaimPath = ("groups",)
    scopes: ClaimPath | None = None


DEFAULT_CLAIM_NAMES: Final = ClaimNames()


def claim_at(path: ClaimPath) -> Callable[[Mapping[str, Any]], Any]:
    """A function that finds the claim; None when it is absent, null, or not inside objects all the way."""
    if len(path) == 1:
        name = path[0]
        return lambda claims: claims.get(name)
    *outer, last = path

    def find(claims: Mapping[str, Any]) -> Any:
        inside: Any = claims
        for step in outer:
            inside = inside.get(step)
            if type(inside) is not dict:
                return None
        return inside.get(last)

    return find


def shown_path(path: ClaimPath) -> str:
    """A path as a person writes it: `realm_access.roles`, `[a.b, c]` where a name holds a dot."""
    if len(path) == 1 or not any("." in name for name in path):
        return ".".join(path)
    return f"[{', '.join(path)}]"
