"""Issuers that have their keys in common: one alone, or the tenants of a template with keys for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwtgate.keys.freshness import Pace
    from jwtgate.plan import Issuer, KeySource, StartMode, Template


@dataclass(frozen=True, slots=True)
class Group:
    """At least one issuer. They differ in nothing but their names and `iss`."""

    issuers: tuple[Issuer, ...]

    @property
    def name(self) -> str:
        """The name in gateway.yaml; with the tenant's, if the keys are one tenant's own."""
        template = self._template
        return template.name if template is not None else self.issuers[0].name

    @property
    def issuer(self) -> str:
        """The `iss`; of several tenants with `{tenant}` in it."""
        template = self._template
        return template.issuer if template is not None else self.issuers[0].issuer

    @property
    def tenants(self) -> int:
        """How many tenants; 0: it is no template."""
        return 0 if self.issuers[0].tenant_of is None else len(self.issuers)

    @property
    def keys(self) -> KeySource:
        """Where the keys are."""
        return self.issuers[0].keys

    @property
    def algorithms(self) -> tuple[str, ...]:
        """JWS `alg` values."""
        return self.issuers[0].algorithms

    @property
    def pace(self) -> Pace:
        """How often the keys are fetched."""
        return self.issuers[0].pace

    @property
    def start(self) -> StartMode:
        """When the keys must be there."""
        return self.issuers[0].start

    def is_called(self, name: str) -> bool:
        """Whether a person can mean it by this name: one in gateway.yaml, or a tenant's own."""
        first = self.issuers[0]
        whole = first.tenant_of is not None and first.tenant_of.name == name
        return whole or any(issuer.name == name for issuer in self.issuers)

    @property
    def _template(self) -> Template | None:
        return self.issuers[0].tenant_of if len(self.issuers) > 1 else None


def groups(issuers: Iterable[Issuer]) -> list[Group]:
    """The issuers in groups, in their order."""
    found: dict[object, list[Issuer]] = {}
    for issuer in issuers:
        common = issuer.tenant_of is not None
        found.setdefault((issuer.tenant_of, issuer.keys) if common else issuer.name, []).append(issuer)
    return [Group(tuple(each)) for each in found.values()]
