"""Client secrets: made, hashed, checked.

A secret is 256 random bits and is shown once. What is kept is its argon2id hash. Checking costs a tenth of a
second and 64 MiB on purpose, so a secret that was right is remembered, as a digest under a key that this process
alone has and for as long as the hash in the database stays the same: a client that asks for many tokens pays once.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jwtgate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HASHER: Final = PasswordHasher()  # RFC 9106, section 4: the second recommended option
_AT_ONCE: Final = 2  # checks that may run at a time: each takes 64 MiB
_PATIENCE: Final = 5.0  # seconds that a check waits for the others
_REMEMBERED: Final = 4096  # clients


def new_secret() -> str:
    """A secret that needs no escaping anywhere."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """The argon2id hash, in PHC form."""
    return _HASHER.hash(secret)


# A stranger's client id costs as much as a client's: whether it exists cannot be told by the time.
_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5cyBzYWx0ICA$DWdMuT4uSY0pZ6rjAOvdmN2k0f9IsaAdPwrDT6qyLkU"


class SecretChecker:
    """Checks secrets, and remembers those that were right. Safe in threads."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def remembers(self, hashes: Sequence[str], secret: str) -> bool:
        """Whether the secret was found right before, for one of these hashes."""
        return any(
            hmac.compare_digest(self._right[hashed], self._digest(hashed, secret))
            for hashed in hashes
            if hashed in self._right
        )

    def check(self, hashes: Sequence[str], secret: str) -> bool:
        """Whether one of the hashes is the secret's. Raises StoreError when too many wait."""
        if not self._room.acquire(timeout=_PATIENCE):
            raise StoreError("too many secrets are being checked")
        try:
            right = next((hashed for hashed in hashes or (_NOBODY,) if _is_right(hashed, secret)), None)
        finally:
            self._room.release()
        if right is None or right == _NOBODY:
            return False
        with self._lock:
            self._right[right] = self._digest(right, secret)
            while len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return True

    def _digest(self, hashed: str, secret: str) -> bytes:
        return hmac.digest(self._key, f"{hashed}\n{secret}".encode(), "sha256")


def _is_right(hashed: str, secret: str) -> bool:
    try:
        return _HASHER.verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False
