"""The part of `jwtgate explain` about requirements: what each asks, what was found, and whether it is met."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from rich.text import Text
from rich.tree import Tree

from jwtgate.authenticate import Deny, Step
from jwtgate.policy import DEFAULT_CLAIM_NAMES, found, title, trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwtgate.authenticate import Allow
    from jwtgate.plan import Policy
    from jwtgate.policy import Request


class Explained(TypedDict):
    """A requirement by its position below `require:`. `found` is None where it looks at nothing itself."""

    position: str
    asks: str
    found: str | None
    met: bool


def explain_requirements(policy: Policy, outcome: Allow | Deny, request: Request, now: float) -> list[Explained]:
    """All of the policy's requirements; none if it was not asked so far."""
    asked = not isinstance(outcome, Deny) or outcome.step in (Step.REQUIREMENTS, Step.IDENTITY)
    if policy.requirement is None or not asked:
        return []
    names = outcome.issuer.claim_names if outcome.issuer else DEFAULT_CLAIM_NAMES
    claims = outcome.token.claims if outcome.token else {}
    return [
        Explained(
            position=each.position,
            asks=title(each),
            found=found(each, claims, request, names),
            met=failure is None,
        )
        for each, failure in trace(policy.requirement, claims, request, now, names)
    ]


def requirement_tree(requirements: Iterable[Explained]) -> Tree:
    """The requirements as a tree, each below the one whose position its own begins with."""
    root = Tree("requirements")
    above: list[tuple[str, Tree]] = [("", root)]
    for each in requirements:
        position = each["position"]
        while above[-1][0] and not position.startswith(above[-1][0]):
            above.pop()
        mark = ("✓ ", "green") if each["met"] else ("✗ ", "red")
        shown = f": {each['found']}" if each["found"] else ""
        branch = above[-1][1].add(Text.assemble(mark, each["asks"], (shown, "dim"), (f"  [{position}]", "dim")))
        above.append((position, branch))
    return root
