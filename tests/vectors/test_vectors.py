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


SECTIONS = {
    "rfc7515": {"A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "A.7", "E"},
    "rfc7519": {"3.1", "6.1", "A.1", "A.2"},
    "rfc7520": {"4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "5.2", "6.1 and 6.2"},
    "rfc7797": {"4.1", "4.2"},
    "rfc8037": {"A.4 and A.5"},
    "rfc9964": {"A"},
    "RFC 7517": {"3", "A.1", "A.2", "A.3", "B", "C.1"},
    "RFC 7520": {"3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "5.2.1"},
    "RFC 7638": {"3.1"},
    "RFC 8037": {"A.1", "A.2 and A.3", "A.6", "A.7"},
    "RFC 9964": {"A"},
}


@pytest.mark.parametrize("document", SECTIONS)
def test_every_section_that_was_promised_is_here(document: str) -> None:
    found = {case["section"] for rfc, case in TOKENS if rfc == document}
    found |= {case["section"] for case in KEYS if case["document"] == document}
    assert found >= SECTIONS[document]
