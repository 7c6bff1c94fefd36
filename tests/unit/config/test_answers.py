from __future__ import annotations

import json

import pytest

from jwtgate.config.answers import NEVER_BY_DEFAULT, Content, Override, Overrides, answer, answers, json_content
from jwtgate.reasons import DENIALS, Reason

CHALLENGE = 'Bearer realm="gate", error="invalid_token", error_description="The access token is not valid here."'


def test_there_is_an_answer_for_each_reason_in_the_order_of_the_enum() -> None:
    assert [reason for reason, _ in answers("gate", Overrides())] == list(Reason)


def test_the_default_answer_is_a_problem_document_with_a_challenge() -> None:
    given = answer(DENIALS[Reason.TOKEN_EXPIRED], "gate", Override())
    assert (given.status, given.content_type) == (401, "application/problem+json")
    assert json.loads(given.body) == {
        "type": "about:blank",
        "title": "The access token is not valid here.",
        "status": 401,
        "code": "invalid_token",
        "request_id": "{request_id}",
    }
    assert given.headers == (("WWW-Authenticate", CHALLENGE), ("Cache-Control", "no-store"))


def test_without_a_token_the_challenge_tells_no_error() -> None:
    given = answer(DENIALS[Reason.TOKEN_MISSING], "gate", Override())
    assert dict(given.headers)["WWW-Authenticate"] == 'Bearer realm="gate"'


@pytest.mark.parametrize(
    ("reason", "status", "challenged"),
    [
        (Reason.TOKEN_EXPIRED, None, True),
        (Reason.TOKEN_EXPIRED, 401, True),
        (Reason.TOKEN_EXPIRED, 403, False),
        (Reason.TOKEN_EXPIRED, 400, False),
        (Reason.CREDENTIALS_AMBIGUOUS, None, True),
        (Reason.SCOPE_MISSING, None, True),
        (Reason.SCOPE_MISSING, 401, True),
        (Reason.SCOPE_MISSING, 404, False),
        (Reason.POLICY_ERROR, None, False),
        (Reason.POLICY_ERROR, 401, True),  # RFC 9110: no 401 without a challenge
        (Reason.ISSUER_UNAVAILABLE, None, False),
    ],
)
def test_the_challenge_goes_with_the_status(reason: Reason, status: int | None, challenged: bool) -> None:
    given = answer(DENIALS[reason], "gate", Override(status=status))
    assert ("WWW-Authenticate" in dict(given.headers)) is challenged
    assert json.loads(given.body)["status"] == given.status


@pytest.mark.parametrize(("status", "kept"), [(None, True), (503, True), (500, False), (401, False)])
def test_retry_after_goes_with_503(status: int | None, kept: bool) -> None:
    given = answer(DENIALS[Reason.ISSUER_UNAVAILABLE], "gate", Override(status=status))
    assert (("Retry-After", "5") in given.headers) is kept


def test_every_denial_forbids_caching() -> None:
    given = answers("gate", Overrides(default=Override(status=500, content=Content("text/plain", "no"))))
    assert all(("Cache-Control", "no-store") in one.headers for _, one in given)


def test_an_override_sets_and_removes_headers_whatever_their_case() -> None:
    override = Override(headers=(("www-authenticate", None), ("X-Reason", "expired")))
    given = answer(DENIALS[Reason.TOKEN_EXPIRED], "gate", override)
    assert given.headers == (("Cache-Control", "no-store"), ("X-Reason", "expired"))


def test_json_keeps_the_order_and_the_separators_of_the_reference() -> None:
    content = json_content({"success": False, "error": "invalid signature"})
    assert content == Content("application/json", '{"success": false, "error": "invalid signature"}')


def test_json_keeps_text_as_it_is_written() -> None:
    assert json_content({"error": "né", "of": [1, None]}).body == '{"error": "né", "of": [1, null]}'


def test_the_default_answers_for_all_reasons_that_are_not_named() -> None:
    named = Override(status=418)
    given = dict(answers("gate", Overrides(((Reason.TOKEN_EXPIRED, named),), default=Override(status=500))))
    assert given[Reason.TOKEN_EXPIRED].status == 418
    for reason in set(Reason) - {Reason.TOKEN_EXPIRED} - NEVER_BY_DEFAULT:
        assert given[reason].status == 500


@pytest.mark.parametrize(
    "reason", [Reason.ISSUER_UNAVAILABLE, Reason.STATUS_UNAVAILABLE, Reason.VALIDATOR_UNAVAILABLE]
)
def test_what_may_be_tried_again_changes_by_its_own_name_only(reason: Reason) -> None:
    assert dict(answers("gate", Overrides(default=Override(status=500))))[reason].status == 503
    assert dict(answers("gate", Overrides(((reason, Override(status=500)),))))[reason].status == 500


def test_a_route_lays_its_overrides_over_the_gateways() -> None:
    below = Overrides(
        (
            (Reason.TOKEN_EXPIRED, Override(403, Content("text/plain", "gate"), (("X-A", "1"), ("X-B", "1")))),
            (Reason.TOKEN_MISSING, Override(400)),
        ),
        default=Override(500, Content("text/plain", "gate")),
    )
    over = Overrides(
        ((Reason.TOKEN_EXPIRED, Override(status=410, headers=(("x-a", "2"),))),), default=Override(status=501)
    )
    given = dict(answers("gate", over.over(below)))
    expired = given[Reason.TOKEN_EXPIRED]
    assert (expired.status, expired.body) == (410, "gate")
    assert expired.headers == (("Cache-Control", "no-store"), ("X-B", "1"), ("x-a", "2"))
    assert given[Reason.TOKEN_MISSING].status == 400
    assert (given[Reason.KEY_UNKNOWN].status, given[Reason.KEY_UNKNOWN].body) == (501, "gate")
