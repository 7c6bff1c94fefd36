"""Why a request is denied: a closed enum, and the one table that turns each reason into an answer.

The precise reason goes to the log and to `jwtgate explain`. The stranger who sent the request gets the public
code, which is stable and tells no more than the RFCs ask for. gateway.yaml can change each answer (`denials:`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """Each way in which a request can fail to be let through."""

    # The credential itself.
    TOKEN_MISSING = "token_missing"
    CREDENTIALS_AMBIGUOUS = "credentials_ambiguous"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_TOO_LARGE = "token_too_large"
    HEADER_INVALID = "header_invalid"
    CRIT_UNSUPPORTED = "crit_unsupported"
    # Who signed it.
    CLAIMS_UNREADABLE = "claims_unreadable"
    ISSUER_UNKNOWN = "issuer_unknown"
    KEY_UNKNOWN = "key_unknown"
    KEY_AMBIGUOUS = "key_ambiguous"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    SIGNATURE_INVALID = "signature_invalid"
    # When and for whom it holds.
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_TOO_OLD = "token_too_old"
    TOKEN_REVOKED = "token_revoked"
    TOKEN_INACTIVE = "token_inactive"
    STATUS_UNKNOWN = "status_unknown"
    AUDIENCE_MISMATCH = "audience_mismatch"
    TYPE_MISMATCH = "type_mismatch"
    CLAIM_MISSING = "claim_missing"
    PROOF_MISSING = "proof_missing"
    # What it permits.
    SCOPE_MISSING = "scope_missing"
    ROLE_MISSING = "role_missing"
    REQUIREMENT_FAILED = "requirement_failed"
    STEP_UP_REQUIRED = "step_up_required"
    # Our own side.
    POLICY_ERROR = "policy_error"
    POLICY_UNKNOWN = "policy_unknown"
    INTERNAL_ERROR = "internal_error"
    INTROSPECTION_FAILED = "introspection_failed"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    STATUS_UNAVAILABLE = "status_unavailable"
    VALIDATOR_UNAVAILABLE = "validator_unavailable"


@dataclass(frozen=True, slots=True)
class Denial:
    """The default answer to a reason.

    `code` is the public code. `error` is the error of the `WWW-Authenticate` challenge (RFC 6750, section 3.1;
    RFC 9470, section 3), or None for a challenge without one; `challenge` says whether there is a challenge
    at all. `title` is the sentence that goes into the body and into `error_description`.
    """

    code: str
    status: int
    title: str
    challenge: bool = True
    error: str | None = None
    retry_after: int | None = None  # seconds


_MISSING = Denial("token_missing", 401, "This resource needs an access token.")
# RFC 6750, section 3.1: more than one method for including an access token is an invalid_request.
_AMBIGUOUS = Denial("invalid_request", 400, "The request is malformed.", error="invalid_request")
_INVALID = Denial("invalid_token", 401, "The access token is not valid here.", error="invalid_token")
_SCOPE = Denial("insufficient_scope", 403, "The access token does not permit this.", error="insufficient_scope")
_STEP_UP = Denial(
    "insufficient_user_authentication",
    401,
    "A more recent or a stronger authentication is needed.",
    error="insufficient_user_authentication",
)
_SERVER = Denial("server_error", 500, "The gateway could not decide about this request.", challenge=False)
_UNAVAILABLE = Denial(
    "temporarily_unavailable",
    503,
    "The gateway cannot check access tokens at the moment.",
    challenge=False,
    retry_after=5,
)

DENIALS: dict[Reason, Denial] = {
    Reason.TOKEN_MISSING: _MISSING,
    Reason.CREDENTIALS_AMBIGUOUS: _AMBIGUOUS,
    Reason.TOKEN_MALFORMED: _INVALID,
    Reason.TOKEN_TOO_LARGE: _INVALID,
    Reason.HEADER_INVALID: _INVALID,
    Reason.CRIT_UNSUPPORTED: _INVALID,
    Reason.CLAIMS_UNREADABLE: _INVALID,
    Reason.ISSUER_UNKNOWN: _INVALID,
    Reason.KEY_UNKNOWN: _INVALID,
    Reason.KEY_AMBIGUOUS: _INVALID,
    Reason.ALGORITHM_NOT_ALLOWED: _INVALID,
    Reason.SIGNATURE_INVALID: _INVALID,
    Reason.TOKEN_EXPIRED: _INVALID,
    Reason.TOKEN_NOT_YET_VALID: _INVALID,
    Reason.TOKEN_TOO_OLD: _INVALID,
    Reason.TOKEN_REVOKED: _INVALID,
    Reason.TOKEN_INACTIVE: _INVALID,
    Reason.STATUS_UNKNOWN: _INVALID,
    Reason.AUDIENCE_MISMATCH: _INVALID,
    Reason.TYPE_MISMATCH: _INVALID,
    Reason.CLAIM_MISSING: _INVALID,
    Reason.PROOF_MISSING: _INVALID,
    Reason.SCOPE_MISSING: _SCOPE,
    Reason.ROLE_MISSING: _SCOPE,
    Reason.REQUIREMENT_FAILED: _SCOPE,
    Reason.STEP_UP_REQUIRED: _STEP_UP,
    Reason.POLICY_ERROR: _SERVER,
    Reason.POLICY_UNKNOWN: _SERVER,
    Reason.INTERNAL_ERROR: _SERVER,
    Reason.INTROSPECTION_FAILED: _UNAVAILABLE,
    Reason.ISSUER_UNAVAILABLE: _UNAVAILABLE,
    Reason.STATUS_UNAVAILABLE: _UNAVAILABLE,
    Reason.VALIDATOR_UNAVAILABLE: _UNAVAILABLE,
}
