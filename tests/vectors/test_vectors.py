"""The examples of the RFCs, accepted or refused as they say. Each data line names its section.

`rfc*.jsonl` are lines for `jwtgate verify --batch`, with the verdict that is expected. `keys.jsonl` are key sets,
with the keys of them that are used. Where the RFC prints a private key, `rfc*.jsonl` has its public half.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jwtgate.cli.verify_batch import judge_line
from jwtgate.keys import read_jwks

HERE = Path(__file__).parent


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


TOKENS = [(path.stem, case) for path in sorted(HERE.glob("rfc*.jsonl")) for case in lines(path)]
KEYS = lines(HERE / "keys.jsonl")


@pytest.mark.parametrize(
    "case", [case for _, case in TOKENS], ids=[f"{rfc}-{case['section']}-{case['name']}" for rfc, case in TOKENS]
)
def test_a_token_is_judged_as_its_rfc_says(case: dict[str, Any]) -> None:
    verdict = judge_line(json.dumps(case).encode(), now=0)
    assert (verdict.verdict, verdict.reason) == (case["expect"], case["reason"])


@pytest.mark.parametrize(
    "case", KEYS, ids=[f"{case['document']}-{case['section']}-{case['name']}" for case in KEYS]
)
def test_a_key_set_is_read_as_its_rfc_says(case: dict[str, Any]) -> None:
    keys = read_jwks(json.dumps(case["jwks"]).encode())
    assert len(keys.notes) == case["notes"]
    assert [(key.kid, sorted(key.algorithms)) for key in keys.keys] == [
        (used["kid"], used["algorithms"]) for used in case["used"]
    ]
    for key, used in zip(keys.keys, case["used"], strict=True):
        assert key.thumbprint == used.get("thumbprint", key.thumbprint)


def test_every_rfc_that_was_promised_is_here() -> None:
    assert {rfc for rfc, _ in TOKENS} >= {"rfc7515", "rfc7519", "rfc7520", "rfc7797", "rfc8037", "rfc9964"}
    assert {case["document"] for case in KEYS} >= {"RFC 7517", "RFC 7520", "RFC 7638", "RFC 8037", "RFC 9964"}
