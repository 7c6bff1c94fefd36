"""Programs of npm: installed from a committed lock file, run by node."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

OLDEST = 20  # what openid-client and jose support
DIRECTORY = Path(__file__).parents[1] / "npm"


def install(directory: Path = DIRECTORY) -> None:
    """`npm ci` into `node_modules`, unless that holds what the lock file says. Skips without node and npm."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"no {command} on PATH: install Debian's nodejs and npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST:
        pytest.skip(f"node {version}: the clients need {OLDEST} or newer")
    lock = directory / "package-lock.json"
    stamp = directory / "node_modules" / ".of-lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with (directory / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # of several test processes one installs
        if not stamp.exists() or stamp.read_text() != wanted:
            command_line = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command_line, cwd=directory, check=True, timeout=300)
            stamp.write_text(wanted)


def node(script: str, given: Any, directory: Path = DIRECTORY) -> Any:
    """What a script answers to `given`, both JSON. Its complaints are in the error when it fails."""
    done = subprocess.run(
        ["node", script],
        cwd=directory,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
