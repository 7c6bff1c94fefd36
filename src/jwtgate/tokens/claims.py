"""What the claims of a verified token must say, right now (RFC 7519, section 4.1; RFC 9068, section 4).

Rules: `exp` must be there. A date is a finite number, with a fraction or without. What cannot be checked
denies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.tokens.verify import VerifiedToken


# RFC 7519, section 2: a NumericDate is a JSON number, which is never NaN or Infinity here. `true` is no number.
_NUMBERS: Final = (int, float)
_EVER: Final = float("-inf")

# Token Status List, section 5.1. An issuer signs it as it signs tokens, and everybody can have it.
_STATUS_LIST: Final = "statuslist+jwt"


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What an issuer's tokens must say. Times are seconds.

    `issuer`: the `iss`; None: not looked at. `audience`: one of these must be in `aud`; None: any or none.
    `required`: claims that must be there, not null. `max_lifetime`: `exp` - `iat` at most; `iat` is required then.
    `types`: `typ` values that are accepted, in lower case and without `application/`; None: any but that of a
    status list.
    `audience_claim`: where the audience stands. `fixed`: claims, each with the only value that is accepted.
    """

    issuer: str | None
    audience: tuple[str, ...] | None
    leeway: int = 0
    required: tuple[str, ...] = ()
    max_lifetime: int | None = None
    types: tuple[str, ...] | None = None
    audience_claim: str = "aud"
    fixed: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raises TypeError for a string where several are expected: `in` would look for a part of it."""
        for name in ("audience", "required", "types"):
            if isinstance(getattr(self, name), str):
                raise TypeError(
                    f'{name} is a string: expected a tuple of strings, as in ("{getattr(self, name)}",)'
                )


def check_claims(token: VerifiedToken, rules: ClaimRules, now: float) -> Reason | None:
    """None when the token holds at `now` (seconds since the epoch); else the first reason why not."""
    claims = token.claims
    # RFC 7519, section 4.1.1: compared whole, case-sensitive.
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        return Reason.ISSUER_UNKNOWN
    # RFC 8725, section 3.11: explicit typing.
    media_type = token.header.media_type
    if media_type == _STATUS_LIST if rules.types is None else media_type not in rules.types:
        return Reason.TYPE_MISMATCH
    if rules.fixed and any(claims.get(name) != value for name, value in rules.fixed):
        return Reason.TYPE_MISMATCH
    reason = _check_times(claims, rules, now)
    if reason is not None:
        return reason
    if rules.audience is not None and not _is_for(claims.get(rules.audience_claim), rules.audience):
        return Reason.AUDIENCE_MISMATCH
    # RFC 7519, sections 4.1.2 and 4.1.7: strings.
    if not isinstance(claims.get("sub", ""), str) or not isinstance(claims.get("jti", ""), str):
        return Reason.CLAIMS_UNREADABLE
    for name in rules.required:
        if claims.get(name) is None:
            return Reason.CLAIM_MISSING
    # RFC 7800, section 3.1: bound to a key whose possession has to be proved, which is not done here.
    if "cnf" in claims:
        return Reason.PROOF_MISSING
    return None


def _check_times(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> Reason | None:
    exp: Any = claims.get("exp")
    # Absent, these two are no condition.
    nbf, iat = claims.get("nbf", _EVER), claims.get("iat", _EVER)
    if type(exp) not in _NUMBERS:
        return Reason.CLAIMS_UNREADABLE if "exp" in claims else Reason.CLAIM_MISSING
    if type(nbf) not in _NUMBERS or type(iat) not in _NUMBERS:
        return Reason.CLAIMS_UNREADABLE
    # Only whole numbers are added to dates: a date of any size could overflow as a float.
    # RFC 7519, section 4.1.4: not "on or after" the expiration time.
    # Written so that a clock that is no number denies.
    if not now < exp + rules.leeway:
        return Reason.TOKEN_EXPIRED
    # RFC 7519, section 4.1.5: not before it. One that is to be issued in the future does not hold yet either.
    if not now >= nbf - rules.leeway or not now >= iat - rules.leeway:
        return Reason.TOKEN_NOT_YET_VALID
    if rules.max_lifetime is None:
        return None
    if "iat" not in claims:
        return Reason.CLAIM_MISSING
    return Reason.TOKEN_TOO_OLD if exp > iat + rules.max_lifetime else None


def _is_for(aud: object, accepted: tuple[str, ...]) -> bool:
    """RFC 7519, section 4.1.3: `aud` is a string or an array of strings; one of them must be ours."""
    if isinstance(aud, str):
        return aud in accepted
    if not isinstance(aud, list):
        return False
    ours = False
    for name in aud:
        if not isinstance(name, str):
            return False
        ours = ours or name in accepted
    return ours
