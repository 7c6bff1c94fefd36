"""What jwtgate's own processes say on standard error: warnings for people, or JSON for machines."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL_VARIABLE = "JWTGATE_LOG"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


# What keeps running tells what has changed, keys that came and went above all. The others only what is wrong.
_SERVERS = (["up"], ["validator"], ["signer", "run"])


def default_level(arguments: Sequence[str]) -> str:
    """The least level that a command tells when nothing is said about it."""
    return "info" if any([*arguments[: len(server)]] == server for server in _SERVERS) else "warning"


def configure_logs(arguments: Sequence[str]) -> None:
    """Plain lines on a terminal, one JSON object a line elsewhere. `arguments`: the command and what it was given.

    JWTGATE_LOG is the least level that is told; without it, `info` for what keeps running, else `warning`.
    """
    default = default_level(arguments)
    wanted = os.environ.get(LEVEL_VARIABLE) or default
    if wanted.lower() not in LEVELS:
        sys.stderr.write(f"{LEVEL_VARIABLE} is {wanted[:40]!a}: expected {', '.join(LEVELS)}; {default} is used\n")
    level = LEVELS.get(wanted.lower(), LEVELS[default])
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=0)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
