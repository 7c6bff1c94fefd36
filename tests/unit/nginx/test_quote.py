"""What `quote` writes, NGINX's grammar reads back as the same value; what cannot be written is refused."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import crossplane  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jwtgate.errors import NginxError, UnquotableError
from jwtgate.nginx.binary import find_nginx
from jwtgate.nginx.quote import MAX_TOKEN_BYTES, quote, quote_text

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NASTY = st.text(st.sampled_from(" \t\n\r\"'\\;{}#$~^=()%nrt/éa0"), max_size=12)


def written(value: str) -> str | None:
    """What `quote` writes, None when it refuses."""
    try:
        return quote(value)
    except UnquotableError:
        return None


def lexed(token: str) -> list[str]:
    """The tokens that NGINX's lexer finds in `x TOKEN;`, by the rules of ngx_conf_read_token."""
    text, index = f"x {token};", 0
    tokens: list[str] = []
    while True:
        while text[index] in " \t\r\n":
            index += 1
        if text[index] in ";{}":
            return [*tokens, text[index]] if text[index] != ";" or index != len(text) - 1 else tokens
        if text[index] == "#":
            return [*tokens, "#"]
        mark = text[index] if text[index] in "\"'" else ""
        index += bool(mark)
        value = ""
        while (text[index] != mark) if mark else (text[index] not in " \t\r\n;{"):
            if text[index] == "\\":
                index += 1
                value += {"t": "\t", "r": "\r", "n": "\n"}.get(
                    text[index], text[index] if text[index] in "\"'\\" else "\\" + text[index]
                )
            else:
                value += text[index]
            index += 1
        index += bool(mark)
        tokens.append(value)


@given(TEXT | NASTY)
def test_a_value_is_one_token_that_reads_back_as_itself(value: str) -> None:
    token = written(value)
    if token is not None:
        assert lexed(token) == ["x", value]


@given(NASTY)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_crossplane_finds_one_argument(tmp_path: Path, value: str) -> None:
    token = written(value)
    if token is None:
        return
    file = tmp_path / "nginx.conf"
    file.write_text(f"return {token};\nreturn after;\n")
    parsed = crossplane.parse(str(file), check_ctx=False, check_args=False)["config"][0]["parsed"]
    assert [(each["directive"], len(each["args"])) for each in parsed] == [("return", 1), ("return", 1)]


REFUSED = {
    "a dollar": "a$b",
    "a variable": "${host}",
    "NUL": "a\0b",
    "escape": "a\x1bb",
    "DEL": "a\x7fb",
    "vertical tab": "a\x0bb",
    "too long": "x" * (MAX_TOKEN_BYTES + 1),
    "too long once escaped": '"\\' * (MAX_TOKEN_BYTES // 2),
    "too long in bytes": "é" * (MAX_TOKEN_BYTES // 2 + 1),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_written_is_refused(value: str) -> None:
    with pytest.raises(UnquotableError):
        quote(value)


def test_a_text_may_hold_a_dollar_and_nothing_else_that_is_refused() -> None:
    assert quote_text("5 $host") == '"5 ${jwtgate_dollar}host"'
    with pytest.raises(UnquotableError):
        quote_text("a\x01b")
    with pytest.raises(UnquotableError):
        quote_text("$" * 1000)


SAMPLES = [
    "plain",
    "",
    "two words",
    'double "quotes"',
    "single 'quotes'",
    "both \" and '",
    "a backslash \\ and one at the end \\",
    "\\n is not a new line",
    "a new line\nand a tab\t.",
    "; } { #",
    "~regex",
    "é 編集者",
    "x" * (MAX_TOKEN_BYTES - 2),
]


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: value[:20])
def test_a_real_nginx_reads_it_back(value: str, tmp_path: Path) -> None:
    """`nginx -T` would print our own text; an unknown directive makes NGINX repeat what it has read."""
    try:
        nginx = find_nginx()
    except NginxError:
        pytest.skip("there is no NGINX on this machine")
    directive = quote("unknown " + value[:900])
    file = tmp_path / "nginx.conf"
    file.write_text(f"events {{}}\n{directive} argument;\n")
    result = subprocess.run(
        [nginx.path, "-t", "-p", tmp_path, "-e", "stderr", "-c", file], capture_output=True, text=True, check=False
    )
    assert f'unknown directive "unknown {value[:900]}"' in result.stderr
