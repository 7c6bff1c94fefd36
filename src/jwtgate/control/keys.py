"""Issuers' keys, as all workers see them: what there is to tell, and a fetch that a person asks for."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from jwtgate.control.parts import Said
from jwtgate.control.revocation import revocation_view
from jwtgate.errors import ControlError
from jwtgate.jwks import IssuerView, merged, steady
from jwtgate.validator import KEYS_PATH, REFRESH_PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jwtgate.control.commands import Running
    from jwtgate.control.parts import Parts, Silence

_read_views = msgspec.json.Decoder(tuple[IssuerView, ...]).decode

# Seconds for a worker to answer: a person would rather wait than see a part of it.
_READ_PATIENCE = 5.0

# Seconds for a worker to answer after a fetch: they take turns, and each waits no longer than its own patience.
_FETCH_PATIENCE = REFRESH_PATIENCE + 5


async def key_views(parts: Parts) -> tuple[IssuerView, ...]:
    """Where the keys stand, of those workers that answer."""
    return _views((await parts.ask_validators(KEYS_PATH, patience=_READ_PATIENCE)).values())


async def show_keys(running: Running, _arguments: Mapping[str, Any]) -> Any:
    """Where the keys stand, and the status lists and the deny-list."""
    told = _told(await running.parts.ask_validators(KEYS_PATH, patience=_READ_PATIENCE))
    return {**told, **msgspec.to_builtins(await revocation_view(running.parts, _READ_PATIENCE))}


async def refresh_keys(running: Running, arguments: Mapping[str, Any]) -> Any:
    """Fetch now, in all workers; then forget what was decided by keys that may be gone.

    `issuer` of the arguments: a name in gateway.yaml, or one tenant's; without it the keys of all.
    """
    name = arguments.get("issuer")
    query = urlencode({"since": steady()} | ({"issuer": name} if name else {}))
    said = await running.parts.ask_validators(f"{KEYS_PATH}?{query}", method="POST", patience=_FETCH_PATIENCE)
    if any(isinstance(each, Said) and each.status == HTTPStatus.NOT_FOUND for each in said.values()):
        known = ", ".join(view.name for view in await key_views(running.parts))
        raise ControlError(f"this gateway has no issuer {name!r}: there are {known or 'none'}")
    told = _told(said)
    accepted = (isinstance(each, Said) and each.status == HTTPStatus.ACCEPTED for each in said.values())
    told["without_answer"] = sum(accepted)
    try:
        return {**told, "flushed": (await running.supervisor.ask("flush")).text}
    except ControlError as refused:
        return {**told, "not_flushed": str(refused)}


def _told(said: Mapping[Path, Said | Silence]) -> dict[str, Any]:
    answering = [each for each in said.values() if isinstance(each, Said)]
    if not answering:
        raise ControlError("no validator answers: see the gateway's log")
    return {
        "workers": len(said),
        "answering": len(answering),
        "issuers": msgspec.to_builtins(_views(answering)),
    }


def _views(said: Iterable[Said | Silence]) -> tuple[IssuerView, ...]:
    spoken = (each for each in said if isinstance(each, Said))
    return merged(_read_views(each.body) for each in spoken if each.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED))
