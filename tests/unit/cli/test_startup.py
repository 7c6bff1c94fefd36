"""What a command imports: half a second of a core that a loaded gateway has better uses for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jwtgate.cli.app import COMMANDS, SILENT
from jwtgate.control import commands, protocol

if TYPE_CHECKING:
    from pathlib import Path

# What only those need that load a whole gateway.yaml, write nginx.conf, serve, fetch or verify.
HEAVY = {
    "asyncio",
    "cryptography",
    "httpx2",
    "jinja2",
    "jwtgate.config.compile",
    "jwtgate.config.schema",
    "jwtgate.plan",
    "prometheus_client",
    "starlette",
    "structlog",
    "uvicorn",
}
RUN = """
import sys
from jwtgate.cli import main
try:
    main()
except SystemExit:
    print(*sys.modules)
"""


def python(code: str, *arguments: str) -> tuple[set[str], str]:
    """What a Python of its own prints, word by word, and what it says on standard error."""
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(ended.stdout.split()), ended.stderr


@pytest.mark.parametrize("command", ["reload", "flush", "keys", "shadow"])
def test_a_command_that_asks_a_running_gateway_imports_little(command: str, tmp_path: Path) -> None:
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text("run_dir: run\nroutes: []\n")
    imported, said = python(RUN, command, str(configuration))
    assert f"no gateway runs in {tmp_path}/run" in said
    assert imported & HEAVY == set()
    assert "jwtgate.control.client" in imported


@pytest.mark.parametrize("command", ["reload", "flush", "keys", "shadow"])
def test_only_the_command_line_itself_uses_pydantic(command: str) -> None:
    imported, _ = python(f"import sys, jwtgate.cli.{command}; print(*sys.modules)")
    assert "pydantic" not in imported


def test_commands_without_logs_have_nothing_that_logs() -> None:
    modules = ", ".join(f"jwtgate.cli.{name}" for name in sorted(SILENT))
    imported, _ = python(f"import sys, jwtgate.config.compile, {modules}; print(*sys.modules)")
    assert "structlog" not in imported
    assert set(COMMANDS) > SILENT


def test_each_command_of_a_gateway_has_its_patience() -> None:
    assert set(commands.COMMANDS) == set(protocol.PATIENCE)
