"""The README's table of costs: repeated, known and new tokens, side by side with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench.interleaved import median
from bench.markdown import table, title
from bench.scenarios import known
from bench.scenarios.costs import NONE, new, repeated

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN: Final = "<!-- costs, by script/bench -->\n"
END: Final = "\n<!-- end of costs -->"


def medians(rows: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """The rows of `costs`: by title of system and label, CPU microseconds a request."""
    return {(title(row["system"]), row["label"]): f"{median(row):,.0f}" for row in rows}


def headline(cost: Mapping[tuple[str, str], str]) -> str:
    """The table. KeyError when a row is missing."""

    def of(system: str, *labels: str) -> str:
        return " / ".join(cost[title(system), label] for label in labels)

    again = (repeated("ES256"), repeated("RS256"))
    fresh = (new("ES256"), new("RS256"))
    no_known = ("", "")
    return table(
        ("", "repeated", "known", "known, kept anew", "new"),
        [
            (
                "**jwtgate**, ES256",
                f"**{of('jwtgate', again[0])} µs**",
                of("jwtgate", known.ENDED),
                of("jwtgate", known.KEPT_ANEW),
                of("jwtgate", fresh[0]),
            ),
            ("**jwtgate**, RS256", f"**{of('jwtgate', again[1])} µs**", *no_known, of("jwtgate", fresh[1])),
            (
                "Envoy with its JWT cache, ES256 / RS256",
                *(of("envoy-cache", *again), *no_known, of("envoy", *fresh)),
            ),
            (
                "HAProxy `jwt_verify`, ES256 / RS256",
                *(of("haproxy", *fresh), *no_known, of("haproxy", *fresh)),
            ),
            (
                "NGINX 1.31 of PyPI: jwtgate, ES256 / RS256",
                *(of("jwtgate-1.31", *again), *no_known, of("jwtgate-1.31", *fresh)),
            ),
            (
                "the same NGINX: C module nginx-auth-jwt",
                *(of("c-module", *fresh), *no_known, of("c-module", *fresh)),
            ),
            (
                "NGINX without authentication: 1.22 / 1.31",
                *(f"{of('nginx', NONE)} / {of('nginx-1.31', NONE)}", *no_known, ""),
            ),
        ],
    )


def put_into(readme: str, made: str) -> str:
    """A README with this table between its marks. ValueError when the marks are not there."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks {BEGIN.strip()} or {END.strip()}")
    return f"{before}{BEGIN}{made}{END}{after}"
