"""A reason's default answer, changed by what gateway.yaml says → the `Answer` that NGINX gives. Pure.

A default body is `application/problem+json` (RFC 9457). `{request_id}` in a body stands for the request's id;
the NGINX renderer puts its variable there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jwtgate.plan import Answer, ChallengeParameter
from jwtgate.reasons import DENIALS, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwtgate.plan import Answers
    from jwtgate.reasons import Denial

REQUEST_ID = "{request_id}"

# The gateway cannot answer: 503 says "try again", which no answer for "all other reasons" may hide.
NEVER_BY_DEFAULT = frozenset({Reason.ISSUER_UNAVAILABLE, Reason.STATUS_UNAVAILABLE, Reason.VALIDATOR_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Content:
    """A body and its media type."""

    content_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Override:
    """What replaces a part of an answer. None: not replaced. A header whose value is None is removed."""

    status: int | None = None
    content: Content | None = None
    headers: tuple[tuple[str, str | None], ...] = ()

    def over(self, below: Override) -> Override:
        """This override laid over another one."""
        names = {name.lower() for name, _ in self.headers}
        kept = tuple(header for header in below.headers if header[0].lower() not in names)
        return Override(
            below.status if self.status is None else self.status,
            self.content or below.content,
            kept + self.headers,
        )


@dataclass(frozen=True, slots=True)
class Overrides:
    """The `denials:` of the gateway or of a route."""

    by_reason: tuple[tuple[Reason, Override], ...] = ()
    default: Override | None = None

    def over(self, below: Overrides) -> Overrides:
        """A route's overrides laid over the gateway's, reason by reason."""
        merged = dict(below.by_reason)
        for reason, override in self.by_reason:
            merged[reason] = override.over(merged[reason]) if reason in merged else override
        if self.default and below.default:
            default: Override | None = self.default.over(below.default)
        else:
            default = self.default or below.default
        return Overrides(tuple(merged.items()), default)


def json_content(value: object) -> Content:
    """A body in JSON, its members in the order of the file. Raises ValueError for what JSON cannot say."""
    return Content("application/json", json.dumps(value, ensure_ascii=False, allow_nan=False))


def answers(realm: str, overrides: Overrides) -> Answers:
    """An answer for each reason, in the order of the enum."""
    named: Mapping[Reason, Override] = dict(overrides.by_reason)
    plain = Override()
    others = overrides.default or plain
    return tuple(
        (
            reason,
            answer(DENIALS[reason], realm, named.get(reason, plain if reason in NEVER_BY_DEFAULT else others)),
        )
        for reason in Reason
    )


def answer(denial: Denial, realm: str, override: Override) -> Answer:
    """The answer to one reason."""
    status = denial.status if override.status is None else override.status
    content = override.content or _problem_content(denial, status)
    replaced = {name.lower() for name, _ in override.headers}
    own = tuple(header for header in _own_headers(denial, realm, status) if header[0].lower() not in replaced)
    given = tuple((name, value) for name, value in override.headers if value is not None)
    is_ours = any(name == "WWW-Authenticate" for name, _ in own)
    challenge = _PARAMETERS.get(denial.error, _ALWAYS) if is_ours else ()
    return Answer(status, content.content_type, content.body, own + given, challenge=challenge)


_ALWAYS: tuple[ChallengeParameter, ...] = ("resource_metadata",)
_PARAMETERS: Mapping[str | None, tuple[ChallengeParameter, ...]] = {
    "insufficient_scope": ("scope", *_ALWAYS),
    "insufficient_user_authentication": ("step_up", *_ALWAYS),
}

# gRPC status codes (grpc/grpc, doc/statuscodes.md) by public code; anything else is 13, INTERNAL.
_GRPC_STATUS: Mapping[str, int] = {
    "token_missing": 16,  # UNAUTHENTICATED
    "invalid_request": 16,
    "invalid_token": 16,
    "insufficient_user_authentication": 16,
    "insufficient_scope": 7,  # PERMISSION_DENIED
    "temporarily_unavailable": 14,  # UNAVAILABLE
}
_GRPC_INTERNAL = 13

# Denials that a person can do something about by signing in. A missing permission is none: it would go in circles.
_LOGIN_HELPS = frozenset(("token_missing", "invalid_token", "insufficient_user_authentication"))


def as_grpc(answered: Answers) -> Answers:
    """The same denials as gRPC clients read them: 200, and what happened in the trailers.

    Source: grpc/grpc, doc/PROTOCOL-HTTP2.md, "Responses".
    """
    return tuple(
        (
            reason,
            replace(
                answer,
                status=200,
                content_type="application/grpc",
                body="",
                trailers=(
                    ("grpc-status", str(_GRPC_STATUS.get(DENIALS[reason].code, _GRPC_INTERNAL))),
                    ("grpc-message", DENIALS[reason].title),
                ),
            ),
        )
        for reason, answer in answered
    )


def with_login(answered: Answers, login: str) -> Answers:
    """The same denials, and browsers are sent to `login` where that helps."""
    return tuple(
        (reason, replace(answer, login=login) if DENIALS[reason].code in _LOGIN_HELPS else answer)
        for reason, answer in answered
    )


def _problem_content(denial: Denial, status: int) -> Content:
    # RFC 9457, section 3.1, and section 3.2 for the two members that are ours.
    members = {
        "type": "about:blank",
        "title": denial.title,
        "status": status,
        "code": denial.code,
        "request_id": REQUEST_ID,
    }
    return Content("application/problem+json", json.dumps(members))


def _own_headers(denial: Denial, realm: str, status: int) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    # RFC 9110, section 15.5.2: a 401 MUST have a challenge. RFC 6750, section 3.1: a 400 and a 403 may.
    if status == 401 or (denial.challenge and status == denial.status):
        headers.append(("WWW-Authenticate", _challenge(denial, realm)))
    # RFC 9110, section 10.2.3
    if denial.retry_after is not None and status in (denial.status, 503):
        headers.append(("Retry-After", str(denial.retry_after)))
    headers.append(("Cache-Control", "no-store"))
    return tuple(headers)


def _challenge(denial: Denial, realm: str) -> str:
    # RFC 6750, section 3: without credentials in the request, the challenge tells no error.
    if denial.error is None:
        return f'Bearer realm="{realm}"'
    return f'Bearer realm="{realm}", error="{denial.error}", error_description="{denial.title}"'
