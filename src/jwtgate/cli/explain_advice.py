"""What to do about a denial, for whoever runs the gateway or calls it: a line for each reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.policy import describe, walk
from jwtgate.reasons import Reason

if TYPE_CHECKING:
    from jwtgate.authenticate import Deny
    from jwtgate.plan import Policy

ADVICE: dict[Reason, str] = {
    Reason.TOKEN_MISSING: "send `Authorization: Bearer TOKEN`",
    Reason.CREDENTIALS_AMBIGUOUS: "send one token, in one Authorization header",
    Reason.TOKEN_MALFORMED: "a token is header.payload.signature, each base64url without padding (RFC 7515, 7.1)",
    Reason.TOKEN_TOO_LARGE: "ask for a smaller token, or raise `max_token_bytes` of the issuer",
    Reason.HEADER_INVALID: "check the scheme (`Bearer`), and the token's header; a token without a scheme needs "
    "`bare_token: true` on the route; what else the policy reads of the request must be UTF-8",
    Reason.CRIT_UNSUPPORTED: "the token's `crit` asks for extensions that are not implemented (RFC 7515, 4.1.11)",
    Reason.CLAIMS_UNREADABLE: "the payload must be a JSON object whose registered claims have their types "
    "(RFC 7519, 4.1), and identity headers must fit",
    Reason.ISSUER_UNKNOWN: "the token's `iss` must be, to the letter, the `issuer` of one that the policy names",
    Reason.KEY_UNKNOWN: "the issuer publishes no key that fits the token: was it signed by a key that is gone, or "
    "by another environment's issuer?",
    Reason.KEY_AMBIGUOUS: "several of the issuer's keys fit: let its tokens name one (`kid`)",
    Reason.ALGORITHM_NOT_ALLOWED: "add the algorithm to `algorithms` of the issuer, if you mean to trust it",
    Reason.SIGNATURE_INVALID: "the token was altered, or signed by another key under the same name",
    Reason.TOKEN_EXPIRED: "get a new token; if it is new, compare the clocks",
    Reason.TOKEN_NOT_YET_VALID: "compare the clocks of issuer and gateway, or raise `leeway`",
    Reason.TOKEN_TOO_OLD: "the token holds for longer than `max_lifetime` of the issuer allows",
    Reason.TOKEN_REVOKED: "get a new token",
    Reason.TOKEN_INACTIVE: "get a new token",
    Reason.STATUS_UNKNOWN: "the token's `status` names a list or an index that the gateway does not know: add its "
    "`uri` to `status_lists` of the issuer",
    Reason.AUDIENCE_MISMATCH: "ask the issuer for a token for this audience, or correct `audience` of the issuer",
    Reason.TYPE_MISMATCH: "the token's `typ` is not among `types` of the issuer: is it an ID token?",
    Reason.CLAIM_MISSING: "the token lacks `exp`, or one of `required_claims` of the issuer",
    Reason.PROOF_MISSING: "the token is bound to a key (`cnf`), and this route cannot check the proof",
    Reason.SCOPE_MISSING: "ask for a token with the scope that the route requires",
    Reason.ROLE_MISSING: "the subject lacks the role that the route requires",
    Reason.REQUIREMENT_FAILED: "the token does not meet what the route requires",
    Reason.STEP_UP_REQUIRED: "authenticate again, or more strongly (RFC 9470)",
    Reason.POLICY_ERROR: "the policy could not be evaluated",
    Reason.POLICY_UNKNOWN: "NGINX and validator run different configurations: restart both",
    Reason.INTERNAL_ERROR: "see NGINX's error log",
    Reason.INTROSPECTION_FAILED: "the issuer's introspection endpoint gave no usable answer",
    Reason.ISSUER_UNAVAILABLE: "the issuer's keys cannot be had: see the error above; a running gateway may hold "
    "older ones, and lets their tokens through",
    Reason.STATUS_UNAVAILABLE: "the issuer's status list cannot be had, or is too old: see the error above",
    Reason.VALIDATOR_UNAVAILABLE: "are the validators running?",
}


def advice(policy: Policy, outcome: Deny) -> str:
    """What to do about a denial, with the requirement that was not met."""
    failed = [
        each for each in walk(policy.requirement) if each.position == outcome.position
    ] if policy.requirement is not None and outcome.position else []  # fmt: skip
    return ADVICE[outcome.reason] + (f": {describe(failed[0])}" if failed else "")
