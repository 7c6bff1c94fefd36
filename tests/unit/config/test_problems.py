from __future__ import annotations

import pickle

import pytest

from jwtgate.config.problems import Problem, nearest
from jwtgate.errors import ConfigError


def test_a_problem_shows_place_line_caret_and_help() -> None:
    problem = Problem("gateway.yaml", 12, 5, 'unknown key "polcy"', 'did you mean "policy"?', "    polcy: caller")
    assert str(problem) == (
        'gateway.yaml:12:5: unknown key "polcy"\n        polcy: caller\n        ^\nhelp: did you mean "policy"?'
    )


def test_a_warning_says_so() -> None:
    assert str(Problem("g.yaml", 1, 1, "m", severity="warning")) == "g.yaml:1:1: warning: m"


def test_a_problem_of_the_whole_file_has_no_place() -> None:
    assert str(Problem("g.yaml", 0, 0, "the file is empty")) == "g.yaml: the file is empty"


def test_the_caret_stays_under_its_character_in_a_long_line() -> None:
    source = "a" * 500 + "X" + "b" * 500
    _, line, caret = str(Problem("g.yaml", 1, 501, "m", source_line=source)).split("\n")
    assert line[caret.index("^")] == "X"
    assert len(line) < 120


def test_what_a_terminal_would_act_on_is_not_shown() -> None:
    shown = str(Problem("g.yaml", 1, 1, "m", source_line="a: \x1b[31mred\tb"))
    assert "a: ?[31mred b" in shown


def test_the_error_is_all_problems_and_a_count() -> None:
    one, two = Problem("g.yaml", 1, 1, "one"), Problem("g.yaml", 2, 1, "two")
    error = ConfigError([one, two])
    assert str(error) == "g.yaml:1:1: one\n\ng.yaml:2:1: two\n\n2 problems in g.yaml"
    assert error.problems == (one, two)
    assert str(ConfigError([one])).endswith("1 problem in g.yaml")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301, our own bytes


@pytest.mark.parametrize(
    ("name", "names", "hint"),
    [
        ("polcy", ["path", "policy"], 'did you mean "policy"?'),
        ("es512", ["ES256", "ES512"], 'did you mean "ES512"?'),
        ("zzz", ["a", "b"], 'there are: "a", "b"'),
        ("zzz", [], ""),
    ],
)
def test_the_nearest_name_is_offered(name: str, names: list[str], hint: str) -> None:
    assert nearest(name, names) == hint


def test_a_long_list_of_names_is_cut() -> None:
    assert nearest("zzz", [f"name{i}" for i in range(30)]).endswith("and more")
