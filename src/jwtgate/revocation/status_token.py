"""The Status List Token: a JWT of the issuer that carries a status list (Token Status List, sections 5.1, 8.3).

It goes through the same parse, key selection and signature check as every other token, with the issuer's own
keys and algorithms, and no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from jwtgate.errors import StatusListRefusedError
from jwtgate.keys import SYMMETRIC
from jwtgate.reasons import Reason
from jwtgate.revocation.status_list import StatusList, read_status_list, write_status_list
from jwtgate.tokens import parse, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.keys import KeySet
    from jwtgate.plan import Issuer
    from jwtgate.tokens import VerifiedToken

TYP: Final = "statuslist+jwt"
MEDIA_TYPE: Final = f"application/{TYP}"


class StatusListToken(msgspec.Struct, frozen=True, gc=False):
    """A list, and how long it holds. Times are Unix time in seconds, `ttl` is seconds."""

    statuses: StatusList
    issued_at: float
    expires_at: float | None
    ttl: float | None


def status_claims(
    uri: str, issuer: str, statuses: StatusList, *, issued_at: int, lifetime: int, ttl: int
) -> dict[str, Any]:
    """The claims of a Status List Token, for `mint(claims, key, typ=TYP)`. Times in seconds."""
    return {
        "iss": issuer,
        "sub": uri,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "ttl": ttl,
        "status_list": write_status_list(statuses),
    }


def read_status_token(
    text: bytes, *, uri: str, issuer: Issuer, keys: KeySet, now: float, max_bytes: int
) -> StatusListToken:
    """The list that is published at `uri`, when one of the issuer's `keys` signed it and it holds at `now`.

    Raises StatusListRefusedError: its text says what is wrong, and `key_unknown` that the issuer may have a
    newer key.
    """
    token = parse(text.decode("latin-1").strip(), max_bytes=max_bytes)
    if isinstance(token, Reason):
        raise StatusListRefusedError(f"it is not a signed token ({token})")
    if token.header.media_type != TYP:
        raise StatusListRefusedError(f'its "typ" is not "{TYP}"')
    # Section 5.1: "Relying parties MUST reject the JWT if it is using a Message Authentication Code".
    if token.algorithm not in issuer.algorithms or token.algorithm in SYMMETRIC:
        raise StatusListRefusedError("its algorithm is none of the issuer's asymmetric ones")
    key = keys.select(algorithm=token.algorithm, kid=token.kid, x5t_s256=token.x5t_s256)
    if isinstance(key, Reason):
        unknown = key is Reason.KEY_UNKNOWN
        message = f"its key is not one of the issuer's ({key})"
        raise StatusListRefusedError(message, key_unknown=unknown, kid=token.kid)
    verified = verify(token, key)
    if isinstance(verified, Reason):
        message = f"it is not signed by the issuer ({verified})"
        # A key that is not named cannot be told from the one that came in its place.
        unnamed = token.kid is None and token.x5t_s256 is None and not keys.any_kid
        raise StatusListRefusedError(message, key_unknown=unnamed)
    return _read_claims(verified, uri, issuer, now)


def _read_claims(token: VerifiedToken, uri: str, issuer: Issuer, now: float) -> StatusListToken:
    claims = token.claims
    # Not required in the newest drafts; where it is, it must be right (an issuer may share its key set).
    if claims.get("iss", issuer.issuer) != issuer.issuer:
        raise StatusListRefusedError('its "iss" is another issuer')
    # Section 8.3, step 4.1: `sub` is the `uri` that the tokens refer to, so no list stands in for another.
    if claims.get("sub") != uri:
        raise StatusListRefusedError('its "sub" is another list than the one at this URI')
    issued_at, expires_at, ttl = _number(claims, "iat"), _number(claims, "exp"), _number(claims, "ttl")
    if issued_at is None or not now >= issued_at - issuer.leeway:
        raise StatusListRefusedError('its "iat" is missing or in the future')
    if expires_at is not None and not now < expires_at + issuer.leeway:
        raise StatusListRefusedError("it has expired")
    if ttl is not None and ttl <= 0:
        raise StatusListRefusedError('its "ttl" is not a positive number')
    return StatusListToken(read_status_list(claims.get("status_list")), issued_at, expires_at, ttl)


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    """A date or a duration (RFC 7519, section 2: a JSON number); None when it is absent."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int and type(value) is not float:
        raise StatusListRefusedError(f'its "{name}" is not a number')
    try:
        return float(value)
    except OverflowError:
        raise StatusListRefusedError(f'its "{name}" is out of range') from None
