"""The recipes of docs/policies.md, each run as it stands there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from jwtgate.authenticate import Allow, Authenticator, Credential, Deny
from jwtgate.config import load_text
from jwtgate.config.presets import PRESETS
from jwtgate.keys import generate_signing_key, read_jwks
from jwtgate.nginx import Site, render
from jwtgate.policy import Request, shown_path
from jwtgate.reasons import Reason
from jwtgate.routing import match_route
from jwtgate.tokens import VerifiedTokens, mint

if TYPE_CHECKING:
    from jwtgate.plan import Plan

GUIDE = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
FIRST, _, RECIPES = GUIDE.partition("# Ten recipes")
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
ABSENT = "\N{EN DASH}"
NOW = 1_900_000_000
KEYS = {algorithm: generate_signing_key(algorithm) for algorithm in ("ES256", "RS256")}
KEYSET = read_jwks(json.dumps({"keys": [key.public_jwk() for key in KEYS.values()]}).encode())
SITE = Site(
    run_dir=Path("/run/jwtgate"),
    cache_dir=Path("/run/jwtgate/cache"),
    nginx_version=(1, 22, 1),
    workers=2,
    generation="0",
    epoch="0",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A section of the guide: its gateway.yaml, and what becomes of which requests."""

    title: str
    plan: Plan
    rows: list[tuple[str, str, str]]


def recipes() -> list[Recipe]:
    """All of them."""
    before, *sections = re.split(r"^## ", RECIPES, flags=re.MULTILINE)
    shared = yaml.safe_load(BLOCK.findall(before)[0])
    found = []
    for section in sections:
        own = yaml.safe_load(BLOCK.findall(section)[0])
        file = {
            "version": 1,
            **own,
            "issuers": shared["issuers"] | own.get("issuers", {}),
            "upstreams": shared["upstreams"],
        }
        rows = [
            tuple(cell.strip() for cell in line.strip("|").split("|"))
            for line in section.splitlines()
            if line.startswith("| ") and "---" not in line and not line.startswith("| request")
        ]
        # JSON is YAML; the file's own text, with its comments and quotes, is what gateway.yaml would hold.
        plan = load_text(json.dumps(file), "gateway.yaml", {}).plan
        found.append(Recipe(section.partition("\n")[0], plan, [(row[0], row[1], row[2]) for row in rows]))
    return found


ALL = recipes()
CASES = [
    pytest.param(recipe.plan, *row, id=f"{recipe.title.partition('.')[0]}: {row[0]} {row[1]}")
    for recipe in ALL
    for row in recipe.rows
]


def credential(plan: Plan, policy: str, token: str) -> Credential | Reason:
    """The token that a cell of the table stands for; negative times are from now."""
    if token == "none":
        return Reason.TOKEN_MISSING
    said: dict[str, Any] = yaml.safe_load(token)
    claims: dict[str, Any] = {"iss": "https://login.example.com", "aud": "shop", "exp": NOW + 300} | said
    claims = {name: NOW + value if name == "auth_time" and value < 0 else value for name, value in claims.items()}
    issuers = [plan.issuers[name] for name in plan.policies[policy].issuers]
    algorithm = next((each.algorithms[0] for each in issuers if each.issuer == claims["iss"]), "ES256")
    return Credential(mint(claims, KEYS[algorithm]))


@pytest.mark.parametrize(("plan", "request_line", "token", "verdict"), CASES)
def test_a_recipe_does_what_the_guide_says(plan: Plan, request_line: str, token: str, verdict: str) -> None:
    method, path, *headers = request_line.split()
    route = match_route(plan, None, path)
    assert route is not None
    assert route.policy is not None
    request = Request(method, path, "shop.example", dict(header.split("=") for header in headers))
    keysets = dict.fromkeys(plan.issuers, KEYSET)
    authenticate = Authenticator(plan, VerifiedTokens(0))
    outcome = authenticate(keysets, route.policy, credential(plan, route.policy, token), NOW, request)
    expected, *identity = verdict.split(", ")
    assert isinstance(outcome, Allow | Deny)
    assert expected == (outcome.reason if isinstance(outcome, Deny) else "allowed")
    if isinstance(outcome, Allow):
        assert [f"{name}: {value}" for name, value in sorted(outcome.identity)] == sorted(identity)


def test_there_are_ten_recipes_and_each_has_what_passes_and_what_does_not() -> None:
    assert [recipe.title.partition(".")[0] for recipe in ALL] == [str(number) for number in range(1, 11)]
    for recipe in ALL:
        verdicts = {verdict.partition(",")[0] for _, _, verdict in recipe.rows}
        assert "allowed" in verdicts
        assert verdicts - {"allowed"}
        assert verdicts - {"allowed"} <= set(Reason)


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.title)
def test_a_recipe_can_be_rendered(recipe: Recipe) -> None:
    assert "auth_request" in render(recipe.plan, SITE)


def test_the_table_of_presets_is_that_of_the_program() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", FIRST.partition("## Presets")[2], re.MULTILINE)
    assert [name for name, _ in rows] == list(PRESETS)
    for name, row in rows:
        algorithms, types, roles, _groups, scopes, audience, _ = (cell.strip(" `") for cell in row.split("|"))
        preset = PRESETS[name]
        assert algorithms == ", ".join(preset.algorithms)
        assert types.lower() == (", ".join(preset.types) if preset.types else ABSENT)
        assert roles in (ABSENT, "roles" if preset.roles is None else shown_path(preset.roles))
        assert scopes in (ABSENT, "scope" if preset.scopes is None else shown_path(preset.scopes))
        assert audience == (preset.audience_claim or "aud")
