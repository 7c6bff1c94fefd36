"""`run_dir` alone: where a gateway runs. Without the sections, whose import takes longer than asking it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.config.document import read_setting
from jwtgate.config.files import Files
from jwtgate.config.text import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def configured_run_dir(path: Path, environ: Mapping[str, str]) -> Path | None:
    """The `run_dir` of a configuration, whatever else may be wrong with it; None when it names none.

    For commands that look for a running gateway: it was started from this file, and runs, even if the file has
    been edited since, or needs a secret that only the gateway has. Raises ConfigError for what is not YAML.
    """
    named = read_setting(read_text(path), str(path), environ, "run_dir")
    return Files(path.absolute().parent).path(named) if isinstance(named, str) and named else None
