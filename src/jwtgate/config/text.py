"""gateway.yaml as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.config.problems import Problem
from jwtgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises ConfigError."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        hint = "name the gateway.yaml to use, or make one from the example in the README"
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {reason}", hint)]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = "the file is not UTF-8 text"
        hint = f"byte 0x{error.object[error.start]:02x} is no UTF-8: save the file in that encoding"
        raise ConfigError([Problem(str(path), line, 1, message, hint)]) from None
