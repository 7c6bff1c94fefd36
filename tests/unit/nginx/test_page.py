"""docs/nginx.md names tests: they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "nginx.md").read_text()
ROWS = re.findall(r"^\| .+ \| (.*`test_.*) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_every_test_that_the_page_names_is_there(row: str) -> None:
    for where, names in re.findall(r"(`test_\w+\.py`|tests/[\w/.]+)(?::((?: `\w+`,?)+))?", row):
        place = ROOT / where if where.startswith("tests/") else ROOT / "tests" / "e2e" / where.strip("`")
        files = sorted(place.glob("test_*.py")) if place.is_dir() else [place]
        text = "".join(file.read_text() for file in files)
        for name in re.findall(r"`(\w+)`", names):
            assert f"def {name}(" in text, f"{where}: {name}"


def test_the_page_names_tests() -> None:
    assert len(ROWS) > 25
