"""When each key last verified a token.

Written for every token that Python sees, so it is one entry in a dictionary by the key itself. A token whose
decision NGINX repeats is not seen: the time is exact to the route's staleness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.jwks.view import identity

if TYPE_CHECKING:
    from jwtgate.keys import Key, KeySet


class LastUsed(dict["Key", float]):
    """Key → Unix time."""

    def move(self, before: KeySet | None, after: KeySet | None) -> None:
        """A set was read anew: its keys are other objects, and those that are gone are forgotten."""
        times = {identity(key): self.pop(key) for key in (before.keys if before else ()) if key in self}
        for key in after.keys if after else ():
            if identity(key) in times:
                self[key] = times[identity(key)]
