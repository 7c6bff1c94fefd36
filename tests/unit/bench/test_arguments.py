"""What script/bench is asked for is looked at before anything is installed or measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.arguments import NEEDS, needs, parsed
from bench.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nothing", "no such scenario: nothing"),
        ("--quick flood", "--quick takes no scenario"),
        ("--report flood", "--report takes no scenario"),
        ("--quick --report", "not allowed with"),
        ("--json figures.json", "--json goes with --quick"),
        ("--rounds 0", "'0' is no whole number of at least 1"),
        ("--seconds -1", "'-1' is no whole number of at least 1"),
        ("--rounds many", "'many' is no whole number of at least 1"),
        ("--res", "unrecognized arguments: --res"),
    ],
)
def test_wrong_arguments_are_refused(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(arguments.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        ("", ["nginx", "wrk", "haproxy"]),
        ("memory start", ["nginx", "wrk"]),
        ("memory flood", ["nginx", "wrk", "haproxy"]),
        ("--quick", ["nginx", "wrk"]),
        ("--resume", ["nginx", "wrk", "haproxy"]),
        ("--report", []),
    ],
)
def test_only_what_a_run_uses_is_asked_for(arguments: str, commands: list[str]) -> None:
    assert needs(parsed(arguments.split())) == commands


def test_all_scenarios_can_be_named() -> None:
    assert list(NEEDS) == list(SCENARIOS)


def test_help_needs_no_packages() -> None:
    command = [sys.executable, "-S", "-m", "bench.arguments", "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "script/bench --resume" in said
