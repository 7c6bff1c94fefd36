"""Configurations of strangers, modelled on common guides, and everything that `jwtgate lint` says of them, whole.

Read both: what is said must be true. To write the expected texts anew, run
`JWTGATE_UPDATE_GOLDEN=1 pytest tests/lint`, and read `git diff` before you keep it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jwtgate.lint import lint, read_dump, read_file

HERE = Path(__file__).parent / "strangers"
FILES = sorted(HERE.glob("*.conf"))
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_this_is_said_of_it(file: Path) -> None:
    said = "".join(f"{finding}\n" for finding in lint(read_file(file))).replace(f"{HERE}/", "")
    expected = file.with_suffix(".txt")
    if os.environ.get("JWTGATE_UPDATE_GOLDEN"):
        expected.write_text(said)
    assert said == expected.read_text()


def test_there_are_five() -> None:
    assert len(FILES) >= 5


@pytest.mark.skipif(NGINX is None, reason="needs an nginx on PATH: its dump is what is read")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_same_is_said_of_nginxs_own_dump(file: Path) -> None:
    assert NGINX is not None
    dump = subprocess.run(
        [NGINX, "-T", "-q", "-e", "stderr", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert dump.returncode == 0, dump.stderr
    assert lint(read_dump(dump.stdout)) == lint(read_file(file))
