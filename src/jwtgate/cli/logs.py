"""What jwtgate's own processes say on standard error: warnings for people, or JSON for machines."""

from __future__ import annotations

import logging
import os
import sys

import structlog

LEVEL_VARIABLE = "JWTGATE_LOG"  # debug, info, warning (default), error
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs() -> None:
    """Plain lines on a terminal, one JSON object a line elsewhere; quiet unless JWTGATE_LOG asks for more."""
    level = LEVELS.get(os.environ.get(LEVEL_VARIABLE, "").lower(), logging.WARNING)
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
