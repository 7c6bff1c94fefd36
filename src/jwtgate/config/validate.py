"""Values → the sections of the schema, and pydantic's complaints in our own words.

An entry that is wrong is left out, so that the rest can be compiled and its mistakes told too. Its name stays in
`Validated.names`, so that nobody calls a name unknown that is only wrong itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from jwtgate.config import schema
from jwtgate.config.problems import Fault, closest, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from jwtgate.config.document import Document, Path
    from jwtgate.config.problems import Problem


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of section: where it stands (`*` for any step), what a person calls it, its model."""

    where: tuple[str, ...]
    noun: str
    model: type[BaseModel]


_KINDS = (
    _Kind((), "the file", schema.Gateway),
    _Kind(("listen", "*"), "listener", schema.ListenerSection),
    _Kind(("listen", "*", "tls"), "tls", schema.TlsSection),
    _Kind(("hosts", "*"), "host", schema.HostSection),
    _Kind(("hosts", "*", "tls"), "tls", schema.TlsSection),
    _Kind(("resolver",), "resolver", schema.ResolverSection),
    _Kind(("issuers", "*"), "issuer", schema.IssuerSection),
    _Kind(("issuers", "*", "fetch"), "fetch", schema.FetchSection),
    _Kind(("issuers", "*", "refresh"), "refresh", schema.RefreshSection),
    _Kind(("issuers", "*", "claims"), "claims", schema.ClaimNamesSection),
    _Kind(("policies", "*"), "policy", schema.PolicySection),
    _Kind(("upstreams", "*"), "upstream", schema.UpstreamSection),
    _Kind(("upstreams", "*", "tls"), "tls", schema.UpstreamTlsSection),
    _Kind(("rate_limits", "*"), "rate limit", schema.RateLimitSection),
    _Kind(("include", "*"), "include", schema.IncludeSection),
    _Kind(("include", "*", "denials", "*"), "denial", schema.DenialSection),
    _Kind(("routes", "*"), "route", schema.RouteSection),
    _Kind(("routes", "*", "cors"), "cors", schema.CorsSection),
    _Kind(("routes", "*", "denials", "*"), "denial", schema.DenialSection),
    _Kind(("denials", "*"), "denial", schema.DenialSection),
    _Kind(("defaults",), "defaults", schema.DefaultsSection),
    _Kind(("cache",), "cache", schema.CacheSection),
    _Kind(("signer",), "signer", schema.SignerSection),
)

# pydantic's type of error → what was expected, and what to write.
_EXPECTED: dict[str, tuple[str, str]] = {
    "string_type": ("text", 'put it in quotes: "…"'),
    "int_type": ("a whole number", "write digits, without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "list_type": ("a list", "write [a, b], or one item per line, each after a dash"),
    "dict_type": ("a mapping", "write {key: value}, or one indented key per line"),
    "model_type": ("a mapping", "write {key: value}, or one indented key per line"),
}

# Sections whose entries stand on their own: one that is wrong does not take the others with it.
_BY_ENTRY = ("hosts", "issuers", "policies", "upstreams", "rate_limits", "routes", "denials")
_NAMED = ("issuers", "policies", "upstreams", "rate_limits")
_TOP = tuple(schema.Gateway.model_fields)

# What a location of somebody's own nginx.conf does not get by including a file of ours.
_YOUR_OWN = "NGINX does that: write it in the location of your nginx.conf that includes this"
_INSTEAD = {
    **dict.fromkeys(
        ("login_redirect", "resource", "cors"),
        "only routes have it: an nginx.conf of your own, which includes this, has to answer by itself",
    ),
    "public": "a location that is for everyone includes public.conf, which is always made",
}
_STAND_INS: dict[str, Any] = {"version": schema.VERSION, "routes": []}


@dataclass(frozen=True, slots=True)
class Validated:
    """What is right in shape.

    `routes` are those of `gateway` with their index in the file. `names` are all names of a section, those of
    entries that are wrong included; None if the section itself is wrong, so that nobody knows its names.
    """

    gateway: schema.Gateway
    routes: tuple[tuple[int, schema.RouteSection], ...]
    names: Mapping[str, KeysView[str] | None]
    problems: tuple[Problem, ...]


def validate(document: Document) -> Validated:
    """Check the shape of every section."""
    data = document.data
    details: list[ErrorDetails] = []
    try:
        gateway = schema.Gateway.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    broken = frozenset(_entry(detail["loc"]) for detail in details)
    if broken:
        # No section's shape depends on another's: what is left is right.
        gateway = schema.Gateway.model_validate(_without(data, broken))
    indexes = [] if ("routes",) in broken else range(len(data.get("routes", ())))
    kept = [index for index in indexes if ("routes", index) not in broken]
    return Validated(
        gateway,
        tuple(zip(kept, gateway.routes, strict=True)),
        {section: _names(section, data, broken) for section in _NAMED},
        tuple(problem for detail in details for problem in _problems(document, detail)),
    )


def _names(section: str, data: dict[str, Any], broken: frozenset[Path]) -> KeysView[str] | None:
    misspelt = any(closest(key, _TOP) == section for key in data if (key,) in broken and key not in _TOP)
    if (section,) in broken or (section not in data and misspelt):
        return None
    return dict.fromkeys(data.get(section, ())).keys()


def _entry(location: Sequence[str | int]) -> Path:
    """The smallest part of the file that can be left out to get rid of an error."""
    return tuple(location[: 2 if location[0] in _BY_ENTRY else 1])


def _without(data: dict[str, Any], broken: frozenset[Path]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in {**_STAND_INS, **data}.items():
        if (key,) in broken:
            if key in _STAND_INS:
                result[key] = _STAND_INS[key]
        elif key in _BY_ENTRY and isinstance(value, dict):
            result[key] = {name: entry for name, entry in value.items() if (key, name) not in broken}
        elif key in _BY_ENTRY and isinstance(value, list):
            result[key] = [entry for index, entry in enumerate(value) if (key, index) not in broken]
        else:
            result[key] = value
    return result


def _problems(document: Document, detail: ErrorDetails) -> Iterator[Problem]:
    """An error of pydantic as a problem; none if the value is a hole, of which the document has told."""
    location = tuple(detail["loc"])
    # pydantic's mark for the key of a mapping; only our own checks look at keys.
    of_key = location[-1:] == ("[key]",) and detail["type"] == schema.FAULT
    path = location[:-1] if of_key else location
    if any(document.is_hole(path[:length]) for length in range(1, len(path) + 1)):
        return
    fault = _fault(path, detail)
    shown = path[-1] if of_key else document.shown(path, detail["input"])
    message = fault.message.replace("{field}", _field(path))
    message = message.replace("{value}", f'"{shown}"' if of_key else str(shown))
    at_key = of_key or detail["type"] in ("extra_forbidden", "missing")
    where = path[:-1] if detail["type"] == "missing" else path
    yield document.problem(where, Fault(message, fault.hint), at_key=at_key)


def _fault(path: Path, detail: ErrorDetails) -> Fault:
    match detail["type"]:
        case schema.FAULT:
            context = detail.get("ctx", {})
            return Fault(context["message"], context["hint"])
        case "missing" | "extra_forbidden" as what if kind := _kind(path[:-1]):
            key, noun = str(path[-1]), _noun(kind, path[:-1])
            fields = {field.alias or name: field for name, field in kind.model.model_fields.items()}
            if what == "missing":
                return Fault(f'{noun} has no "{key}"', f"add {key}: {_yaml((fields[key].examples or ['…'])[0])}")
            if kind.model is schema.IncludeSection and key in schema.RouteSection.model_fields:
                return Fault(f'"{key}" is for routes, and not for {noun}', _INSTEAD.get(key, _YOUR_OWN))
            return Fault(f'unknown key "{key}" in {noun}', nearest(key, fields))
        case "literal_error":
            expected = detail.get("ctx", {}).get("expected", "")
            return Fault("{field} must be one of these, not {value}", f"choose from {expected}")
        case other:
            expected, hint = _EXPECTED[other]
            return Fault(f"{{field}} must be {expected}, not {{value}}", hint)


def _kind(path: Path) -> _Kind | None:
    """The kind of the section at a path; None if a single value stands there."""
    for kind in _KINDS:
        if len(kind.where) == len(path) and all(
            want in ("*", step) for want, step in zip(kind.where, path, strict=True)
        ):
            return kind
    return None


def _noun(kind: _Kind, path: Path) -> str:
    """What a person calls a section: `issuer "signer"`, `this route`."""
    if kind.where[-1:] != ("*",):
        return kind.noun
    return f'{kind.noun} "{path[-1]}"' if isinstance(path[-1], str) else f"this {kind.noun}"


def _field(path: Path) -> str:
    """What a person calls the value at a path: `"staleness"`, `an item of "audience"`."""
    if kind := _kind(path):
        return _noun(kind, path)
    return f'an item of "{path[-2]}"' if isinstance(path[-1], int) else f'"{path[-1]}"'


def _yaml(value: object) -> str:
    """A value as YAML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(_yaml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_yaml(entry)}" for key, entry in value.items()) + "}"
        case _:
            return str(value)
