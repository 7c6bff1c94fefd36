"""`jwtgate lint` as a command: what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from jwtgate.cli.app import make_app

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = b"http { server { # caf\xe9\n location / { proxy_pass http://b; } } }"


def test_comments_may_be_in_any_encoding(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_bytes(CONFIGURATION)
    dump = b"# configuration file /n.conf:\n" + CONFIGURATION
    for argument, given, said in ((str(file), b"", f"{file}:2: note"), ("-", dump, "/n.conf:2: note")):
        found = CliRunner().invoke(make_app(["lint"]), ["lint", argument], input=given)
        assert found.exit_code == 0, found.output
        assert said in found.output
