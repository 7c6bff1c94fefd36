"""CORS preflights that the gateway answers, each from a static location."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.nginx.quote import Quoted, quote

if TYPE_CHECKING:
    from jwtgate.plan import Cors, Plan


@dataclass(frozen=True, slots=True)
class Preflight:
    """The answer to the preflights of all routes that allow the same."""

    number: int
    cors: Cors

    @property
    def origin(self) -> Quoted:
        """The variable with the origin that is allowed, or nothing."""
        return Quoted(f"$jwtgate_origin_{self.number}")

    @property
    def asked(self) -> Quoted:
        """The variable that says whether this request is a preflight of an allowed origin."""
        return Quoted(f"$jwtgate_preflight_{self.number}")

    @property
    def everyone(self) -> bool:
        """Whether every origin is allowed."""
        return "*" in self.cors.origins

    @property
    def patterns(self) -> list[Quoted]:
        """Origins as a `map` matches them, case-sensitive."""
        return [Quoted(f'"~^{_pattern(origin)}$"') for origin in self.cors.origins]

    @property
    def location(self) -> Quoted:
        """Where it is answered."""
        return Quoted(f"/_jwtgate/preflight/{self.number}")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What a browser is told (Fetch, section 3.2.3), beside the origin."""
        cors = self.cors
        return [
            ("Access-Control-Allow-Methods", ", ".join(cors.methods)),
            ("Access-Control-Allow-Headers", ", ".join(cors.headers)),
            ("Access-Control-Max-Age", str(cors.max_age)),
        ]


def preflights(plan: Plan) -> dict[Cors, Preflight]:
    """Each distinct answer, by what routes say."""
    distinct = dict.fromkeys(
        route.cors for route in plan.routes if route.cors is not None and not route.cors.pass_on
    )
    return {cors: Preflight(number, cors) for number, cors in enumerate(distinct, 1)}


def _pattern(origin: str) -> str:
    """An origin, where `*.` stands for one or more names."""
    return re.escape(quote(origin)).replace(r"\*\.", r"(?:[a-z0-9-]+\.)+")
