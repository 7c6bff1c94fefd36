"""For how long an answer may be used, from its headers (RFC 9111, sections 4.2 and 5).

Without I/O and without a clock: `Expires` is compared with the answer's own `Date`, as section 4.2.1 says, so
that an issuer whose clock is wrong is still understood.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# RFC 9111, section 1.2.2: a value too large to be represented is taken as 2^31.
_LARGEST = 2**31


def lifetime(headers: Mapping[str, str]) -> float | None:
    """Seconds that are left, 0 for "ask again at once", None when the headers say nothing.

    `headers` is looked up by lower-case names; several fields of one name are joined with commas.
    """
    directives = _directives(headers.get("cache-control", ""))
    # RFC 9111, section 5.2.2: these two mean that it is not to be used again unasked.
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    for name in ("s-maxage", "max-age"):
        if name in directives:
            total = _delta_seconds(directives[name])
            # RFC 9111, section 4.2.1: freshness information that is invalid makes the answer stale.
            return 0.0 if total is None else max(0.0, float(total - _age(headers)))
    if "expires" in headers:
        expires, date = _date(headers["expires"]), _date(headers.get("date", ""))
        # RFC 9111, section 5.3: an invalid date, "0" above all, means "already expired".
        if expires is None:
            return 0.0
        return None if date is None else max(0.0, (expires - date).total_seconds() - _age(headers))
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of `Retry-After` (RFC 9110, section 10.2.3); None for a date, which our own back-off
    replaces."""
    seconds = _delta_seconds(headers.get("retry-after", ""))
    return None if seconds is None else float(seconds)


def _directives(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in value.split(","):
        name, _, argument = part.partition("=")
        # RFC 9111, section 4.2.1: of a directive that is there twice, the first counts.
        found.setdefault(name.strip().lower(), argument.strip().strip('"'))
    return found


def _age(headers: Mapping[str, str]) -> int:
    return _delta_seconds(headers.get("age", "").partition(",")[0].strip()) or 0


def _delta_seconds(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return _LARGEST if len(text) > 10 else min(int(text), _LARGEST)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
