"""gixy-ng finds nothing in what we render, but for what is exempt here, with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from golden.test_golden import FILES, LINE

if TYPE_CHECKING:
    from pathlib import Path

EXEMPT = {
    # The supervisor raises the limit before it starts NGINX; a number here would fail where less may be had.
    "worker_rlimit_nofile_vs_connections",
    # That `strip_prefix` decodes is known: paths that can be read in two ways are refused (decision 0005).
    "proxy_pass_normalized",
    # One lstat of a file that cannot be, to get from one phase to the next. A cache of open files would be for
    # what surrounds us too.
    "try_files_is_evil_too",
    # A promise for a whole host and for months: the operator's to give, by his service or what is in front of us.
    "hsts_header",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_gixy_finds_nothing(file: Path, tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(file.read_text().partition(LINE)[2])
    said = subprocess.run(
        [sys.executable, "-m", "gixy", "-f", "json", str(conf)], capture_output=True, text=True, check=False
    )
    found = {(issue["plugin"], issue["summary"]) for issue in json.loads(said.stdout)}
    assert [issue for issue in found if issue[0] not in EXEMPT] == []


def test_gixy_would_find_something(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text("http { server { location /a { alias /b/; } location / { return 301 http://$host$uri; } } }")
    said = subprocess.run(
        [sys.executable, "-m", "gixy", "-f", "json", str(conf)], capture_output=True, text=True, check=False
    )
    assert {issue["plugin"] for issue in json.loads(said.stdout)} >= {"alias_traversal", "http_splitting"}
