"""What `--help` says about a command: its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def help_text(command: Callable[..., object]) -> str:
    """A command's docstring, each paragraph on one line: the terminal's width decides where lines end."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
