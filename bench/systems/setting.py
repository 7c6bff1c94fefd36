"""What every system is given, and what it gives back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jwtgate.keys import SigningKey

AUDIENCE: Final = "services"


@dataclass(frozen=True, slots=True)
class Setting:
    """`work` is a directory for the systems' files; `service` the `host:port` of what they protect.

    `keys` are by algorithm, one issuer each.
    """

    work: Path
    service: str
    keys: Mapping[str, SigningKey]
    staleness: int = 60  # seconds; what our gateway may repeat a decision for

    def directory(self, name: str) -> Path:
        """A directory of this system's own. Workers that are not root pass through."""
        path = self.work / name
        path.mkdir(exist_ok=True, mode=0o711)
        return path

    def jwks_file(self, algorithm: str) -> Path:
        """The key set of an algorithm's issuer, as a file."""
        path = self.work / f"{algorithm}.jwks"
        if not path.exists():
            path.write_text(json.dumps({"keys": [self.keys[algorithm].public_jwk()]}))
        return path


@dataclass(frozen=True, slots=True)
class Running:
    """A system that answers at `address` (`host:port`); `pid` is the ancestor of all its processes."""

    address: str
    pid: int


def issuer_of(algorithm: str) -> str:
    """The `iss` of an algorithm's tokens."""
    return f"https://{algorithm.lower()}.example"
