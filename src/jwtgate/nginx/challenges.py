"""What challenges say of the route: which scope, which authentication, where its metadata is.

A denial's location is shared by routes; what differs is in variables that each route sets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jwtgate.nginx.quote import Quoted, quote, quote_text
from jwtgate.policy import needs_by_method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwtgate.plan import Plan, Route
    from jwtgate.policy import Needs, Requirement


_LISTED = re.compile(r"[!#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable that a route sets, and its value."""

    variable: Quoted
    value: Quoted


@dataclass(frozen=True, slots=True)
class ByMethod:
    """A variable whose value depends on the method, as a `map`."""

    variable: Quoted
    default: Quoted
    cases: tuple[tuple[Quoted, Quoted], ...]


class Challenges:
    """The settings of each route, which variables there are at all, and the maps that values come from."""

    def __init__(self, plan: Plan) -> None:
        self._maps: dict[tuple[object, ...], ByMethod] = {}
        self._by_policy = {
            policy.id: tuple(self._of_policy(policy.requirement)) for policy in plan.policies.values()
        }
        protected = [route for route in plan.routes if route.policy is not None]
        self._variables = {setting.variable for route in protected for setting in self.of(route)}

    @property
    def maps(self) -> list[ByMethod]:
        """What the settings refer to."""
        return list(self._maps.values())

    def of(self, route: Route) -> list[Setting]:
        """What a route sets."""
        settings = list(self._by_policy[route.policy]) if route.policy is not None else []
        if route.resource is not None:
            # RFC 9728, section 5.1.
            value = quote_text(f', resource_metadata="{route.resource.metadata_url}"')
            settings.append(Setting(_variable("resource_metadata"), value))
        return settings

    def _of_policy(self, requirement: Requirement | None) -> Iterator[Setting]:
        needs = dict(needs_by_method(requirement))
        if "GET" in needs:
            # RFC 9110, section 9.3.2: HEAD is GET without the content of the answer.
            needs.setdefault("HEAD", needs["GET"])
        for name, parameter in (("scope", _scope), ("step_up", _step_up)):
            values = {method: parameter(each) for method, each in needs.items()}
            if len(set(values.values())) > 1:
                yield Setting(_variable(name), self._map(name, values))
            elif values[None]:
                yield Setting(_variable(name), quote_text(values[None]))

    def _map(self, name: str, values: dict[str | None, str]) -> Quoted:
        key = (name, *sorted((method or "", value) for method, value in values.items()))
        if key not in self._maps:
            cases = tuple((quote(method), quote_text(value)) for method, value in values.items() if method)
            variable = _variable(f"{name}_by_method_{len(self._maps) + 1}")
            self._maps[key] = ByMethod(variable, quote_text(values[None]), cases)
        return self._maps[key].variable

    def completed(self, challenge: str, parameters: tuple[str, ...]) -> Quoted:
        """A challenge with the variables of these parameters at its end, as far as any route sets them."""
        variables = "".join(each for each in map(_variable, parameters) if each in self._variables)
        text = quote_text(challenge)
        return Quoted(text[:-1] + variables + text[-1]) if variables else text


def _scope(needs: Needs) -> str:
    # RFC 6750, section 3: a space-delimited list of case-sensitive values.
    return f', scope="{" ".join(needs.scopes)}"' if needs.scopes else ""


def _step_up(needs: Needs) -> str:
    # RFC 9470, section 3. A value that cannot stand in a list or a quoted string is not named.
    values = [each for each in needs.acr_values if _LISTED.fullmatch(each)]
    acr = f', acr_values="{" ".join(values)}"' if values else ""
    return acr + (f", max_age={needs.max_age}" if needs.max_age is not None else "")


def _variable(name: str) -> Quoted:
    return Quoted(f"$jwtgate_{name}")
