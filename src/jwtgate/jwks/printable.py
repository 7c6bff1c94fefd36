"""What a stranger chose, made fit for a log line or an error text."""

from __future__ import annotations

_LONGEST = 300


def printable(text: str, longest: int = _LONGEST) -> str:
    """`text` with everything but printable ASCII escaped, and cut where it gets long."""
    escaped = text.encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= longest else escaped[: longest - 3] + "..."
