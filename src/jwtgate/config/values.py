"""Parsers of single values: durations, sizes, texts, names, algorithms.

Each parser, here and in `addresses`, `paths` and `headers`, takes what YAML gave and returns the value that
the Plan holds, or a `Fault` that says what to write instead. None looks at anything but its argument.
"""

from __future__ import annotations

import re
from typing import Any

from jwtgate.config.problems import Fault, nearest
from jwtgate.keys import ALGORITHMS

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_TEXT_BYTES = 2000  # of anything that goes into NGINX's configuration, whose lexer reads 4095 bytes at once
_MAX_BODY_BYTES = 3500

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"k": 1024, "m": 1024**2, "g": 1024**3}
_QUANTITY = re.compile(r"(?P<sign>-?)(?P<number>[0-9]{1,12})(?P<unit>[a-z]?)")
_LARGEST = 1024**5  # bytes
_LONGEST = 10 * 365 * 86400  # seconds; far above any use, far below NGINX's limits


def duration(value: Any) -> int | Fault:
    """Seconds, from `10s`, `5m`, `24h`, `1d`, or a whole number of seconds."""
    seconds = _quantity(value, _SECONDS)
    if seconds is None or seconds > _LONGEST:
        return Fault(
            "{field} must be a duration, not {value}", "write a whole number and a unit: 10s, 5m, 24h or 1d"
        )
    if seconds < 0:
        return Fault("{field} must not be negative", "write a duration like 10s, or 0")
    return seconds


def rotation_interval(value: Any) -> int | Fault | None:
    """Seconds for which a key signs; None for `manual`."""
    if value == "manual":
        return None
    seconds = duration(value)
    if isinstance(seconds, Fault) or seconds < 1:
        return Fault("{field} must be a duration, or manual, not {value}", "write a duration like 30d, or manual")
    return seconds


def size(value: Any) -> int | Fault:
    """Bytes, from `8k`, `32m`, `1g`, or a whole number of bytes."""
    count = _quantity(value.lower() if isinstance(value, str) else value, _BYTES)
    if count is None or count > _LARGEST:
        return Fault("{field} must be a size, not {value}", "write a whole number and a unit: 8k, 32m or 1g")
    if count < 0:
        return Fault("{field} must not be negative", "write a size like 8k, or 0")
    return count


def _quantity(value: Any, units: dict[str, int]) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match["unit"] and match["unit"] not in units):
        return None
    number = int(match["number"]) * units.get(match["unit"], 1)
    return -number if match["sign"] else number


def text(value: str) -> str | Fault:
    """Text that is not empty and holds no control characters."""
    if not value:
        return Fault("{field} must not be empty")
    if CONTROL.search(value):
        return Fault("{field} holds a control character", "remove it")
    return value


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_POLICY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def name(value: str) -> str | Fault:
    """The name of an issuer or an upstream."""
    if _NAME.fullmatch(value):
        return value
    return Fault(
        "{value} cannot be a name",
        'use letters, digits, "-" and "_", at most 63, and begin with a letter or a digit',
    )


def policy_name(value: str) -> str | Fault:
    """The name of a policy; it becomes a part of an NGINX location."""
    if _POLICY_NAME.fullmatch(value):
        return value
    return Fault(
        "{value} cannot be the name of a policy",
        'use lower-case letters, digits, "-" and "_", at most 63, and begin with a letter or a digit',
    )


_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def tenant(value: str) -> str | Fault:
    """The name of a tenant, which becomes a part of URLs."""
    if _TENANT.fullmatch(value):
        return value
    return Fault("{value} cannot be the name of a tenant", 'use letters, digits, "-", "_" and ".", at most 127')


def variable_name(value: str) -> str | Fault:
    """The name of an environment variable."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        return value
    # What stands here may be the secret itself: it is not repeated.
    return Fault("{field} must be the name of an environment variable", "write the name, without $ and braces")


def database_url(value: Any) -> str | Fault:
    """The URL of a PostgreSQL database. It may hold a password: no message repeats it."""
    if not isinstance(value, str) or re.fullmatch(r"postgresql(\+psycopg)?://[!-~]+", value) is None:
        return Fault("{field} must be the URL of a PostgreSQL database", "write postgresql://user@host/name")
    return value


def realm(value: str) -> str | Fault:
    """The realm of the challenge (RFC 9110, section 11.5), as it stands between quotes."""
    if re.fullmatch(r"[ !#-\[\]-~]{1,200}", value):
        return value
    return Fault("{field} must be printable ASCII without quotes and backslashes", "write a short name: jwtgate")


def file_path(value: str) -> str | Fault:
    """A path in the file system, as NGINX's configuration can carry it."""
    if "$" in value or len(value.encode()) > MAX_TEXT_BYTES:
        return Fault("{field} must be a path without dollar signs", "choose another path")
    return text(value)


def body(value: str) -> str | Fault:
    """The body of a denial."""
    if CONTROL.search(re.sub(r"[\t\r\n]", "", value)):
        return Fault("{field} holds a control character", "remove it")
    # NGINX reads at most 4095 bytes between two quotes, escapes included; a dollar becomes a variable's name.
    if len(re.sub(r'[\\"\t\r\n]', "..", value).replace("$", "." * 20).encode()) > _MAX_BODY_BYTES:
        return Fault(f"{{field}} is longer than the {_MAX_BODY_BYTES} bytes that NGINX can carry", "shorten it")
    return value


def algorithm(value: str) -> str | Fault:
    """A JWS algorithm of the table in `jwtgate.keys`."""
    if value in ALGORITHMS:
        return value
    if value.lower() == "none":
        return Fault('the algorithm "none" cannot be allowed', "name the algorithms that the issuer signs with")
    return Fault("unknown algorithm {value}", nearest(value, ALGORITHMS))
