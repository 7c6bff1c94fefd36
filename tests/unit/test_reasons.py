"""Reasons: the table is complete, and says nothing that the RFCs forbid."""

from __future__ import annotations

import re

import pytest

from jwtgate.reasons import DENIALS, Reason

# RFC 6750, section 3: the characters of `error` and `error_description`.
QUOTABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+\Z")


def test_every_reason_has_a_denial() -> None:
    assert list(DENIALS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_name_that_nginx_and_the_log_can_carry(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", reason)
    assert reason.name == reason.upper()


@pytest.mark.parametrize("reason", Reason)
def test_a_denial_fits_the_rfcs(reason: Reason) -> None:
    denial = DENIALS[reason]
    assert denial.status in (400, 401, 403, 500, 503)
    assert QUOTABLE.match(denial.title)
    assert denial.error is None or QUOTABLE.match(denial.error)
    # RFC 9110, section 15.5.2: a 401 has a challenge. A fault of ours is none of the client's credentials'.
    assert denial.challenge == (denial.status < 500)
    assert denial.error is None or denial.challenge
    # RFC 6750, section 3.1: each error has its status.
    expected = {"invalid_request": 400, "invalid_token": 401, "insufficient_scope": 403}
    assert denial.error not in expected or denial.status == expected[denial.error]
    assert (denial.retry_after is not None) == (denial.status == 503)


def test_a_request_without_a_token_gets_a_challenge_without_an_error() -> None:
    missing = DENIALS[Reason.TOKEN_MISSING]
    assert (missing.status, missing.challenge, missing.error) == (401, True, None)
    assert [reason for reason in Reason if DENIALS[reason].challenge and DENIALS[reason].error is None] == [
        Reason.TOKEN_MISSING
    ]


def test_a_code_has_one_answer() -> None:
    by_code = {denial.code: denial for denial in DENIALS.values()}
    assert all(by_code[denial.code] == denial for denial in DENIALS.values())


def test_the_public_codes_are_stable() -> None:
    assert {denial.code for denial in DENIALS.values()} == {
        "token_missing",
        "invalid_request",
        "invalid_token",
        "insufficient_scope",
        "insufficient_user_authentication",
        "server_error",
        "temporarily_unavailable",
    }
