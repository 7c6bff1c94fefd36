"""Each file here is a gateway.yaml, a line of dashes, and the nginx.conf that it stands for, whole.

A change of the templates shows here as what it does to configurations. To rewrite the expected half of each
file, run `JWTGATE_UPDATE_GOLDEN=1 pytest tests/golden`, and read `git diff` before you keep it.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from jwtgate.config import load_text
from jwtgate.nginx import Site, render

LINE = "\n----------\n"
FILES = sorted(Path(__file__).parent.glob("*.golden"))
SITE = Site(
    run_dir=Path("/run/jwtgate"),
    cache_dir=Path("/dev/shm/jwtgate"),  # noqa: S108 - nothing is written there
    nginx_version=(1, 22, 1),
    workers=2,
    generation="0123456789abcdef",
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_configuration_becomes_this(file: Path) -> None:
    configuration, _, expected = file.read_text().partition(LINE)
    plan = load_text(configuration, str(file), {}, cpu_count=2).plan
    rendered = render(plan, SITE).replace(f"jwtgate {version('jwtgate')}", "jwtgate VERSION", 1)
    if os.environ.get("JWTGATE_UPDATE_GOLDEN"):
        file.write_text(configuration + LINE + rendered)
        return
    assert rendered == expected


def test_there_are_golden_configurations() -> None:
    assert len(FILES) >= 8
