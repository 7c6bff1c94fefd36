"""An UnverifiedToken and a Key become a VerifiedToken, or a Reason. Nothing else makes a VerifiedToken.

The key picks the verifier: a token's `alg` only has to name an algorithm that the key has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys.jwk import Key
    from jwtgate.tokens.parse import Header, UnverifiedToken


class VerifiedToken(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A token whose signature was checked. Its claims are the issuer's word; `check_claims` says if they
    hold.

    `key` is the key that signed it, `payload` the bytes that `claims` were read from.
    """

    header: Header
    payload: bytes
    claims: Mapping[str, Any]
    key: Key

    @property
    def algorithm(self) -> str:
        """`alg`, one that the key is for."""
        return self.header.algorithm

    @property
    def kid(self) -> str | None:
        """`kid`, at most 256 printable characters."""
        return self.header.kid

    @property
    def typ(self) -> str | None:
        """`typ` as it was sent."""
        return self.header.typ

    def __repr__(self) -> str:
        """Header and key only: the claims are the bearer's."""
        return f"VerifiedToken({self.header!r}, {self.key!r})"


def check_signature(token: UnverifiedToken, key: Key) -> Reason | None:
    """None when `key` signed the token; else ALGORITHM_NOT_ALLOWED or SIGNATURE_INVALID."""
    verifier = key.verifiers.get(token.header.algorithm)
    if verifier is None:
        return Reason.ALGORITHM_NOT_ALLOWED
    # RFC 7515, section 5.2, step 8.
    return None if verifier(token.signature, token.signing_input) else Reason.SIGNATURE_INVALID


def verify(token: UnverifiedToken, key: Key) -> VerifiedToken | Reason:
    """The verified token, or ALGORITHM_NOT_ALLOWED, SIGNATURE_INVALID, or CLAIMS_UNREADABLE.

    CLAIMS_UNREADABLE: rightly signed, but the payload is not a JSON object (RFC 7519, section 7.2, step 10).
    """
    reason = check_signature(token, key)
    if reason is not None:
        return reason
    if token.claims is None:
        return Reason.CLAIMS_UNREADABLE
    return VerifiedToken(token.header, token.payload, token.claims, key)
