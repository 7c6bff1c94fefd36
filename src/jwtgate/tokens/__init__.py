"""Tokens, the pure part: from a stranger's string to claims that hold.

    parse.py            str → UnverifiedToken; nothing is believed yet
    verify.py           UnverifiedToken, Key → VerifiedToken
    claims.py           VerifiedToken, ClaimRules, now → holds or not
    verified_tokens.py  a bounded memory that saves the signature check
    nested.py           encrypted tokens that hold a signed one (imported where it is needed: joserfc is large)
    one.py              the straight line for one issuer
    mint.py             claims, SigningKey → token

Every denial is a `jwtgate.reasons.Reason`.
"""

from __future__ import annotations

from jwtgate.tokens.claims import ClaimRules, check_claims
from jwtgate.tokens.mint import mint
from jwtgate.tokens.one import MAX_TOKEN_BYTES, verify_token
from jwtgate.tokens.parse import UnverifiedToken, parse, unverified_issuer
from jwtgate.tokens.verified_tokens import VerifiedTokens, token_digest
from jwtgate.tokens.verify import VerifiedToken, check_signature, verify

__all__ = [
    "MAX_TOKEN_BYTES",
    "ClaimRules",
    "UnverifiedToken",
    "VerifiedToken",
    "VerifiedTokens",
    "check_claims",
    "check_signature",
    "mint",
    "parse",
    "token_digest",
    "unverified_issuer",
    "verify",
    "verify_token",
]
