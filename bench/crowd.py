"""Tokens of some hundred signers among thousands of issuers or keys; signers and tokens are kept for the day."""

from __future__ import annotations

import json
import os
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from bench.minting import FRESH_FROM, KEPT, at_least, claims_of
from jwtgate.keys import generate_signing_key, load_signing_key, serialise_signing_key
from jwtgate.tokens import mint

if TYPE_CHECKING:
    from pathlib import Path

    from jwtgate.keys import SigningKey

SIGNERS: Final = 300
_ALGORITHM: Final = "ES256"
_FILE: Final = KEPT / "keys" / "crowd.json"


def public_keys(number: int) -> list[dict[str, Any]]:
    """So many keys (JWKs), all different. The signers are evenly spread among them, in their order."""
    signers = _signers()
    step = number // SIGNERS
    return [
        (
            signers[place // step]
            if place % step == 0 and place // step < SIGNERS
            else generate_signing_key(_ALGORITHM)
        ).public_jwk()
        for place in range(number)
    ]


def issuer_at(place: int) -> str:
    """The `iss` of the issuer whose key is at this place of `public_keys`."""
    return f"https://issuer-{place:04}.example"


def token_file(number: int, issuer: str | None, issuers: int = 1, *, fresh: bool = False) -> Path:
    """Tokens of all signers in turn, for `issuer`, or (None) of as many issuers, among so many.

    As minting.token_file and minting.fresh_file.
    """
    _signers()  # before the tokens
    name = f"crowd-{'issuers' if issuer is None else 'keys'}-{'fresh' if fresh else 'repeated'}.txt"
    minter = partial(_mint, issuer=issuer, step=issuers // SIGNERS)
    return at_least(KEPT / "tokens" / name, number, minter, first=FRESH_FROM if fresh else 0)


def _mint(numbers: range, *, issuer: str | None, step: int, made: int) -> list[str]:
    signers = _signers()
    return [
        mint(
            claims_of(number, issuer or issuer_at(number % SIGNERS * step), made),
            signers[number % SIGNERS],
        )
        for number in numbers
    ]


@cache
def _signers() -> list[SigningKey]:
    if not _FILE.exists():
        for tokens in (KEPT / "tokens").glob("crowd-*"):
            tokens.unlink()
        keys = [generate_signing_key(_ALGORITHM) for _ in range(SIGNERS)]
        _FILE.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole = _FILE.with_name("crowd.new")
        whole.unlink(missing_ok=True)
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump([serialise_signing_key(key, None).decode() for key in keys], file)
        whole.replace(_FILE)
    return [load_signing_key(pem.encode(), _ALGORITHM, None) for pem in json.loads(_FILE.read_text())]
