from __future__ import annotations

from typing import Any

import pytest

from jwtgate.config.document import read_document
from jwtgate.errors import ConfigError


def data(text: str, **environ: str) -> Any:
    document = read_document(text, "g.yaml", environ)
    assert document.problems == ()
    return document.data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: ${PORT}", 8000),
        ('a: "${PORT}"', "8000"),
        ("a: '${PORT}'", "8000"),
        ("a: x${PORT}", "x8000"),
        ("a: ${NONE:-true}", True),
        ("a: |\n  ${PORT}", "8000"),
        ("a: '8000'", "8000"),
        ("a: 8000", 8000),
    ],
)
def test_only_a_lone_unquoted_variable_gets_a_type(text: str, expected: object) -> None:
    assert data(text, PORT="8000") == {"a": expected}


def test_keys_are_text_as_written() -> None:
    assert data("1: a\ntrue: b\n${X}: c\n") == {"1": "a", "true": "b", "${X}": "c"}


def test_aliases_repeat_values() -> None:
    assert data("a: &x [1, 2]\nb: *x\nc: &y text\nd: *y") == {"a": [1, 2], "b": [1, 2], "c": "text", "d": "text"}


def test_a_byte_order_mark_is_no_text() -> None:
    assert data("\ufeffa: 1") == {"a": 1}


def test_a_place_is_found_for_steps_that_the_file_leaves_out() -> None:
    document = read_document("listen: 8000\nother:\n  - {a: 1}\n", "g.yaml", {})
    assert document.place(("listen", 0, "address")) == "g.yaml:1:9"
    assert document.place(("other", 0, "a")) == "g.yaml:3:9"
    assert document.place(("other", 0, "missing")) == "g.yaml:3:5"
    assert document.place(("nowhere", "at", "all")) == "g.yaml:1:1"


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{below}'] * 10)}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "aliases repeat more than"),
        ("a: &a {b: *a}", "contains it"),
        ("[" * 200_000, "levels deep"),
        ("- " * 200_000 + "a", "levels deep"),
        ("a: \x07", "U+0007"),
        ("a: *b", "alias without its anchor"),
        ("&a a: 1\n&a b: 2", "two anchors"),
        ("a: 'b", "quotes are not closed"),
        ("a: [1, 2", "list in brackets is not closed"),
        ("- a\nb: 1", "no item of the list above"),
        ("%YAML 1.3\n---\na: 1", "not YAML"),
        ("a: 1\n--- \n", "second YAML document"),
        ("", "empty"),
        ("---\n", "empty"),
        ("null", "must be a mapping"),
    ],
    ids=lambda value: value[:12],
)
def test_text_that_is_no_document_is_one_problem(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(text, "g.yaml", {})
    assert len(caught.value.problems) == 1
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["a: !!str 1", "a: !x {b: 1}", "a: !!seq [1]", "!!str a: 1", "a: !!binary YQ=="])
def test_a_tag_is_a_problem(text: str) -> None:
    (problem,) = read_document(text, "g.yaml", {}).problems
    assert "tags" in problem.message


@pytest.mark.parametrize(
    ("text", "column"),
    [("a: xx${NO}", 6), ("a: 'xx${NO}'", 7), ('a: "\\n${NO}"', 4), ("a: >\n  xx${NO}", 4), ("${NO}: ${NO}", 8)],
)
def test_an_unset_variable_is_reported_where_it_stands(text: str, column: int) -> None:
    (problem,) = read_document(text, "g.yaml", {}).problems
    assert (problem.line, problem.column) == (1, column)
