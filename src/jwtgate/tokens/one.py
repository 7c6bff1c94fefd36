"""The straight line for one issuer whose keys are at hand: a string becomes a token that holds, or a Reason.

A gateway, which knows several issuers and fetches their keys, has a line of its own: `jwtgate.authenticate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jwtgate.keys.jwk import Key
from jwtgate.reasons import Reason
from jwtgate.tokens.claims import ClaimRules, check_claims
from jwtgate.tokens.parse import UnverifiedToken, parse, unverified_issuer
from jwtgate.tokens.verify import VerifiedToken, verify

if TYPE_CHECKING:
    from collections.abc import Collection

    from jwtgate.keys.keyset import KeySet

MAX_TOKEN_BYTES: Final = 8192
"""What NGINX takes as one header line by default."""


def verify_token(
    token: str,
    keys: KeySet,
    *,
    algorithms: Collection[str],
    rules: ClaimRules,
    now: float,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> VerifiedToken | Reason:
    """The verified token, when one of `keys` signed it by one of `algorithms` and its claims hold at `now`.

    `now` is Unix time in seconds. What is wrong with the token is returned, never raised. Raises TypeError when
    `algorithms` is a string, which has parts that are names too: "ES256K" holds "ES256".
    """
    if isinstance(algorithms, str):
        raise TypeError(f'algorithms is a string: expected several, as in ("{algorithms}",)')
    parsed = parse(token, max_bytes=max_bytes)
    if not isinstance(parsed, UnverifiedToken):
        return parsed
    if rules.issuer is not None:
        issuer = unverified_issuer(parsed)
        if isinstance(issuer, Reason):
            return issuer
        if issuer != rules.issuer:
            return Reason.ISSUER_UNKNOWN
    # RFC 8725, section 3.1: the caller names the algorithms.
    if parsed.header.algorithm not in algorithms:
        return Reason.ALGORITHM_NOT_ALLOWED
    header = parsed.header
    key = keys.select(algorithm=header.algorithm, kid=header.kid, x5t_s256=header.x5t_s256)
    if not isinstance(key, Key):
        return key
    verified = verify(parsed, key)
    if not isinstance(verified, VerifiedToken):
        return verified
    # A key that names its issuer signs for no other.
    if key.issuer is not None and not key.signs_for(verified.claims.get("iss")):
        return Reason.KEY_UNKNOWN
    return check_claims(verified, rules, now) or verified
