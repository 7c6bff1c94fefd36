"""How gateway.yaml writes where a claim stands: `realm_access.roles`, `https://shop.example/roles`, `[a.b, c]`."""

from __future__ import annotations

from typing import Any, Final

from jwtgate.config.problems import Fault
from jwtgate.config.values import CONTROL

_LONGEST: Final = 16  # names; tokens are not deeper

# Claims whose shape a standard or an issuer's documentation fixes, as far as people take them for lists of names:
# RFC 7519, section 4.1; RFC 8693, section 4; RFC 7800; OpenID Connect Core, sections 2 and 5.1; Keycloak.
_SHAPES: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("iss", "sub", "jti", "azp", "acr", "nonce", "client_id", "name", "preferred_username", "email", "sid"),
        "a text",
    ),
    **dict.fromkeys(("exp", "nbf", "iat", "auth_time", "updated_at"), "a date"),
    **dict.fromkeys(("email_verified", "phone_number_verified"), "true or false"),
    **dict.fromkeys(("cnf", "act", "address", "realm_access", "resource_access"), "an object"),
}
_LISTS: Final = ("aud", "amr", "roles", "groups")  # these end a path
_INSTEAD: Final = {
    "scope": 'scopes stand there, in one text: write "scopes: …" instead',
    "realm_access": "Keycloak has them below it: write realm_access.roles",
    "resource_access": "Keycloak has them by client: write resource_access.CLIENT.roles",
}


def claim_path(value: Any, *, array: bool = False) -> tuple[str, ...] | Fault:
    """The names that lead to a claim. `array`: it is to hold a list of names.

    A text is split at dots, unless it is a URI, which is one name; a list is taken as it is.
    """
    if isinstance(value, str):
        one_name = "://" in value or value.startswith("urn:")
        names = (value,) if one_name else tuple(value.split("."))
    elif isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        names = tuple(value)
    else:
        return Fault(
            "{field} must be the name of a claim, or a list of names, not {value}",
            "write department, or realm_access.roles, or [realm_access, roles]",
        )
    if len(names) > _LONGEST or not all(names) or any(CONTROL.search(name) for name in names):
        return Fault(
            "{value} cannot be the place of a claim", "write realm_access.roles, or [names.with.dots, roles]"
        )
    return (_never_an_array(names) if array else None) or names


def _never_an_array(names: tuple[str, ...]) -> Fault | None:
    """Why no list of names can stand there."""
    name, below = names[0], len(names) > 1
    shape = "a text of scopes" if name == "scope" else _SHAPES.get(name)
    if below and name in _LISTS:
        shape = "a list"
    if shape is None or (below and shape == "an object"):
        return None
    what = "and nothing stands below it" if below else "never a list of names"
    hint = "write where the issuer puts them, such as roles or realm_access.roles"
    return Fault(f'"{name}" is {shape}, {what}', _INSTEAD.get(name, hint))
