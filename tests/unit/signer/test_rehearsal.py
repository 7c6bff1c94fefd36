"""A rotation in a copy, against what verifiers say that they hold."""

from __future__ import annotations

import pytest

from jwtgate.keys.lifecycle import KeyTimes, RotationRules
from jwtgate.signer.rehearsal import Verifier, rehearse

RULES = RotationRules(("ES256",), jwks_max_age=300, token_lifetime=3600, interval=None)
OLD = KeyTimes("old", "ES256", 0, 0, None, 3600, 300)
LEAVING = KeyTimes("old", "ES256", 0, 0, 1330, 3600, 300)
NEXT = KeyTimes("next", "ES256", 1000, 1330, None, 3600, 300)
HOLDS = frozenset({"old"})


@pytest.mark.parametrize(
    ("keys", "verifier", "troubles"),
    [
        ([OLD], Verifier("idp", HOLDS, 270), [None, None]),
        ([OLD], Verifier("idp", HOLDS, 329), [None, None]),
        ([OLD], Verifier("idp", HOLDS, 330), [None, "it fetches in 330 s only"]),
        ([OLD], Verifier("idp", HOLDS, None), [None, "it fetches no keys by itself"]),
        ([OLD], Verifier("idp", HOLDS, 10, failing=True), [None, "its fetches fail"]),
        ([OLD], Verifier("idp", frozenset(), 10), ["it has not seen this key", None]),
        # Announced already.
        ([LEAVING, NEXT], Verifier("idp", HOLDS, 200), [None, None]),
        ([LEAVING, NEXT], Verifier("idp", HOLDS, 260), [None, "it fetches in 260 s only"]),
        ([LEAVING, NEXT], Verifier("idp", HOLDS | {"next"}, 3600, failing=True), [None, None]),
    ],
)
def test_who_would_meet_an_unknown_key(
    keys: list[KeyTimes], verifier: Verifier, troubles: list[str | None]
) -> None:
    now = 1000 if len(keys) == 1 else 1100
    found = rehearse(keys, RULES, [verifier], now)
    assert [(finding.trouble or "")[: len(want or "")] for finding, want in zip(found, troubles, strict=True)] == [
        want or "" for want in troubles
    ]
    assert [finding.trouble is None for finding in found] == [want is None for want in troubles]
