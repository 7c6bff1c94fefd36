"""Each file here is a gateway.yaml, a line of dashes, and the nginx.conf that it stands for, whole. The NGINX is
1.22.1, unless a line of comment names another: `# NGINX 1.31.3`.

A change of the templates shows here as what it does to configurations. To rewrite the expected half of each
file, run `JWTGATE_UPDATE_GOLDEN=1 pytest tests/golden`, and read `git diff` before you keep it.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
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
    epoch="0123456789abcdef",
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_configuration_becomes_this(file: Path) -> None:
    configuration, _, expected = file.read_text().partition(LINE)
    named = re.search(r"^# NGINX ([0-9]+)\.([0-9]+)\.([0-9]+)$", configuration, re.MULTILINE)
    site = replace(SITE, nginx_version=(int(named[1]), int(named[2]), int(named[3]))) if named else SITE
    plan = load_text(configuration, str(file), {}, cpu_count=2).plan
    rendered = render(plan, site).replace(f"jwtgate {version('jwtgate')}", "jwtgate VERSION", 1)
    if os.environ.get("JWTGATE_UPDATE_GOLDEN"):
        file.write_text(configuration + LINE + rendered)
        return
    assert rendered == expected


def test_there_are_golden_configurations() -> None:
    assert len(FILES) >= 8
