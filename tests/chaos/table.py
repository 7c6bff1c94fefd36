"""What an issuer can do to us, and what a request gets then: the chaos table, as data.

The story of each row is the same. The issuer publishes the key `old`, and the gateway has fetched it. Then
the issuer rotates (or means to), and at that moment the trouble begins. For 90 seconds three requests come
each second: one with a token signed by `old`, one by `new`, and one that names a key nobody has, another each
time.

`test_chaos.py` plays each row with a real HTTPS server; docs/keys.md shows the table, and a test compares the
two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SECONDS = 90


class Gets(StrEnum):
    """What a request gets."""

    ALLOWED = "allowed"
    KEY_UNKNOWN = "key_unknown"
    ISSUER_UNAVAILABLE = "issuer_unavailable"


Course = tuple[tuple[int, Gets], ...]  # from which second on, what

ALLOWED: Course = ((0, Gets.ALLOWED),)
UNKNOWN: Course = ((0, Gets.KEY_UNKNOWN),)
REMOVED: Course = ((0, Gets.ALLOWED), (1, Gets.KEY_UNKNOWN))
# The first token of second 60 is still let through: it is the one after it that asks, and learns.
OUT_AFTER_A_MINUTE: Course = ((0, Gets.ALLOWED), (61, Gets.ISSUER_UNAVAILABLE))
UNAVAILABLE: Course = ((0, Gets.ISSUER_UNAVAILABLE),)

# What the unknown kids cause: one fetch at once and one each 10 s. While the issuer fails, the back-off adds those
# after 1, 3 and 7 s; what it would add later is overtaken by the next of these nine.
FORCED = 9
FAILING = FORCED + 3


@dataclass(frozen=True, slots=True)
class Row:
    """`trouble` names the function in `issuer.py` that makes it. `cold`: what a token of `new` gets from a
    gateway that starts in the middle of it, without a snapshot."""

    trouble: str
    words: str
    old: Course
    new: Course
    unknown: Course
    fetches: int
    cold: Gets


def _fails(trouble: str, words: str) -> Row:
    """The answer is of no use: the last good set stays, and nothing can be known about a key that is not in it."""
    return Row(trouble, words, ALLOWED, UNAVAILABLE, UNAVAILABLE, FAILING, Gets.ISSUER_UNAVAILABLE)


def _works(trouble: str, words: str, old: Course) -> Row:
    """No trouble after all: the new key works with its first token."""
    return Row(trouble, words, old, ALLOWED, UNKNOWN, FORCED, Gets.ALLOWED)


TABLE = (
    _works("rotated", "keys rotated with overlap", ALLOWED),
    _works("swapped", "keys swapped at once", REMOVED),
    _fails("refused", "connection refused"),
    _fails("reset", "connection reset"),
    _fails("silent", "no answer (timeout)"),
    _fails("dripping", "a byte now and then (slow drip)"),
    _fails("status_404", "404"),
    _fails("status_500", "500"),
    _fails("redirected_elsewhere", "302 to another host"),
    _fails("html", "200 with HTML"),
    _fails("truncated", "truncated JSON"),
    _fails("twenty_megabytes", "20 MB"),
    _fails("ten_thousand_keys", "10,000 keys"),
    _works("gzipped", "gzip, though not asked for", ALLOWED),
    # As for every failure until it is believed at 60 s, which makes 10; from then on, without a set, one a second,
    # and those at 70 and 80 s that unknown kids cause.
    Row(
        "empty",
        "an empty set",
        OUT_AFTER_A_MINUTE,
        UNAVAILABLE,
        UNAVAILABLE,
        10 + 30 + 2,
        Gets.ISSUER_UNAVAILABLE,
    ),
    # The doubt that it begins ends with the first failure: no key goes because time passes.
    _fails("empty_once", "an empty set once, then 500"),
    _fails("expired_certificate", "expired TLS certificate"),
    _fails("wrong_host", "TLS certificate of another host"),
    _fails("unknown_authority", "TLS certificate of an unknown authority"),
    _works("clock_forward", "keys rotated, our clock jumps 2 days forward", ALLOWED),
    _works("clock_back", "keys rotated, our clock jumps 2 days back", ALLOWED),
)


def as_markdown() -> str:
    """The table as docs/keys.md shows it."""
    head = (
        "| the issuer | token of the old key | token of the new key | unknown key | fetches in 90 s | new key, "
        "cold start |"
    )
    rows = [
        f"| {row.words} | {_words(row.old)} | {_words(row.new)} | {_words(row.unknown)} | {row.fetches} "
        f"| {row.cold.value} |"
        for row in TABLE
    ]
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows]) + "\n"


def _words(course: Course) -> str:
    return ", ".join(gets if second == 0 else f"from {second} s on {gets}" for second, gets in course)
