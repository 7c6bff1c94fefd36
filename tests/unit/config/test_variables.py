from __future__ import annotations

import pytest

from jwtgate.config.variables import expand, is_one_variable

ENVIRON = {"HOST": "signer", "EMPTY": "", "DOLLARS": "${HOST}", "BYTES": "\udcff"}


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("plain", "plain"),
        ("${HOST}", "signer"),
        ("http://${HOST}:${PORT:-3000}/", "http://signer:3000/"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${HOST:-default}", "signer"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b}", "a:-b"),
        ("$$", "$"),
        ("$${HOST}", "${HOST}"),
        ("$$$$", "$$"),
        ("${DOLLARS}", "${HOST}"),
    ],
)
def test_variables_are_replaced_once(written: str, expanded: str) -> None:
    expansion = expand(written, ENVIRON)
    assert (expansion.text, expansion.faults) == (expanded, ())


@pytest.mark.parametrize(
    ("written", "offset", "words"),
    [
        ("a${UNSET}", 1, "UNSET is not set"),
        ("$HOST", 0, "starts no variable"),
        ("cost: 5$", 7, "starts no variable"),
        ("${}", 0, "starts no variable"),
        ("${HOST", 0, "starts no variable"),
        ("${A B}", 0, "starts no variable"),
        ("${BYTES}", 0, "BYTES is not UTF-8"),
    ],
)
def test_a_wrong_variable_is_reported_at_its_dollar(written: str, offset: int, words: str) -> None:
    (fault,) = expand(written, ENVIRON).faults
    assert fault[0] == offset
    assert words in fault[1].message


@pytest.mark.parametrize(
    ("text", "one"),
    [("${A}", True), ("${A:-1}", True), ("$$", False), ("${A}${B}", False), (" ${A}", False), ("a", False)],
)
def test_only_a_lone_variable_is_typed_afterwards(text: str, one: bool) -> None:
    assert is_one_variable(text) is one
