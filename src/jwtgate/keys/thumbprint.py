"""RFC 7638: the name that a key has by itself, a SHA-256 over its required members in their one spelling."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from jwtgate.keys.encoding import encode_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

# RFC 7638, section 3.2; RFC 8037, section 2 (OKP); RFC 9964, section 4 (AKP).
REQUIRED_MEMBERS: Final[dict[str, tuple[str, ...]]] = {
    "oct": ("k", "kty"),
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),
}


def thumbprint(members: Mapping[str, str]) -> str:
    """The base64url SHA-256 thumbprint of a key, given at least the required members of its `kty`."""
    required = {name: members[name] for name in REQUIRED_MEMBERS[members["kty"]]}
    # RFC 7638, section 3: no white space, members ordered by name.
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return encode_base64url(hashlib.sha256(canonical.encode()).digest()).decode()
