"""`jwtgate lint`: what an NGINX configuration does to authentication."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jwtgate.cli.options import NginxOption
from jwtgate.errors import LintError
from jwtgate.lint import is_dump, read_dump, read_file
from jwtgate.lint import lint as run_rules
from jwtgate.lint.findings import LEVELS
from jwtgate.nginx import find_nginx

if TYPE_CHECKING:
    from jwtgate.lint.effective import Directive


def lint(
    configuration: Annotated[
        str | None,
        typer.Argument(
            metavar="[NGINX.CONF|-]",
            help="An nginx.conf, or - for what `nginx -T` printed. Default: ask the NGINX of this machine.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON, one object a line.")] = False,
    nginx: NginxOption = None,
) -> None:
    """Look at an effective NGINX configuration, ours or anyone's, for what opens it.

    Proxied locations that nothing protects, auth locations whose no can become a yes, caches that mix up callers,
    answers that are given before anyone was asked. Each with file, line, and what to write instead.

    Exit code 1 when there is an error or a warning; notes alone are 0.

    Example: [bold]nginx -T | jwtgate lint -[/bold]
    """
    findings = run_rules(_read(configuration, nginx))
    for finding in findings:
        typer.echo(json.dumps(asdict(finding)) if as_json else finding)
    counts = Counter(finding.level for finding in findings)
    if not as_json:
        said = ", ".join(
            f"{counts[level]} {level}{'s' * (counts[level] > 1)}" for level in LEVELS if counts[level]
        )
        typer.echo(said or "nothing found", err=True)
    raise typer.Exit(1 if counts["error"] or counts["warning"] else 0)


def _read(configuration: str | None, nginx: str | None) -> tuple[Directive, ...]:
    if configuration is None:
        return read_dump(_dump(nginx))
    if configuration == "-":
        return read_dump(_text(sys.stdin.buffer.read()))
    path = Path(configuration)
    if path.is_file() and is_dump(text := _text(path.read_bytes())):
        return read_dump(text)
    return read_file(path)


def _text(octets: bytes) -> str:
    """What NGINX takes as it is: comments and names can be in any encoding."""
    return octets.decode("utf-8", errors="replace")


def _dump(nginx: str | None) -> str:
    found = find_nginx(nginx)
    result = subprocess.run(  # noqa: S603 - an NGINX that find_nginx has inspected
        [str(found.path), "-T", "-q"], capture_output=True, check=False, timeout=60
    )
    if result.returncode != 0:
        raise LintError(f"NGINX refuses its own configuration:\n{_text(result.stderr).strip()}")
    return _text(result.stdout)
