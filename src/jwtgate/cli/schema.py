"""`jwtgate schema`: the JSON Schema of gateway.yaml."""

from __future__ import annotations

import json

import typer

from jwtgate.config import json_schema


def schema() -> None:
    """Print the JSON Schema of gateway.yaml, for editors that complete and check as you type.

    Example: [bold]jwtgate schema > gateway.schema.json[/bold], and as the first line of gateway.yaml:
    [bold]# yaml-language-server: $schema=gateway.schema.json[/bold]
    """
    typer.echo(json.dumps(json_schema(), indent=2))
