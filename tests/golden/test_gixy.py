"""gixy-ng finds nothing in what we render, but for what is exempt here, with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

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


def issues(files: list[Path]) -> set[tuple[str, str, str]]:
    """(file, plugin, summary) of what gixy says about configurations."""
    said = subprocess.run(
        [sys.executable, "-m", "gixy", "-f", "json", *map(str, files)], capture_output=True, text=True, check=False
    )
    return {(issue["path"], issue["plugin"], issue["summary"]) for issue in json.loads(said.stdout)}


def test_gixy_finds_nothing(tmp_path: Path) -> None:
    rendered = []
    for file in FILES:
        rendered.append(tmp_path / f"{file.stem}.conf")
        rendered[-1].write_text(file.read_text().partition(LINE)[2])
    found = issues(rendered)
    assert {path for path, _, _ in found} == set(map(str, rendered)), "each has at least what is exempt in all"
    assert [issue for issue in found if issue[1] not in EXEMPT] == []


def test_gixy_would_find_something(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text("http { server { location /a { alias /b/; } location / { return 301 http://$host$uri; } } }")
    assert {plugin for _, plugin, _ in issues([conf])} >= {"alias_traversal", "http_splitting"}
