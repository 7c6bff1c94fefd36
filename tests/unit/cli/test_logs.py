"""How much a command tells of itself."""

from __future__ import annotations

import os

import pytest

from jwtgate.cli.logs import default_level
from support.gateway import jwtgate


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("up gateway.yaml", "info"),
        ("validator gateway.yaml", "info"),
        ("signer run --config gateway.yaml", "info"),
        ("signer rotate", "warning"),
        ("demo", "warning"),
        ("explain gateway.yaml", "warning"),
        ("", "warning"),
    ],
)
def test_what_keeps_running_tells_what_has_changed_and_the_others_what_is_wrong(command: str, level: str) -> None:
    assert default_level(command.split()) == level


def test_a_level_that_does_not_exist_is_said() -> None:
    done = jwtgate("explain", "--help", env=os.environ | {"JWTGATE_LOG": "loud\n"})
    assert done.returncode == 0
    assert done.stderr == "JWTGATE_LOG is 'loud\\n': expected debug, info, warning, error; warning is used\n"


def test_help_names_the_variable() -> None:
    assert "JWTGATE_LOG" in jwtgate("up", "--help").stdout
