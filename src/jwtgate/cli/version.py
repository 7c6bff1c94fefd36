"""`jwtgate --version`."""

from __future__ import annotations

from typing import Annotated

import typer


def _print_version(wanted: bool) -> None:
    if wanted:
        import platform  # these two are slow to import, and seldom needed
        from importlib.metadata import version

        typer.echo(f"jwtgate {version('jwtgate')} (Python {platform.python_version()})")
        raise typer.Exit


def version_option(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options of `jwtgate` itself."""
