"""Tokens of a crowd are of many issuers, or by many keys, and each fits its issuer's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
from bench import crowd, minting
from bench.systems import AUDIENCE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NUMBER = crowd.SIGNERS + 20


def verified(token: str, keys: list[dict[str, Any]]) -> dict[str, Any]:
    """Its claims; an error unless the key that it names has signed it."""
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = (jwt.PyJWK(each) for each in keys if each["kid"] == kid)
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE)
    return claims


def test_each_token_is_of_the_issuer_that_has_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = crowd.public_keys(999)
    tokens = list(minting.lines(crowd.token_file(NUMBER, None, 999), NUMBER))
    issuers = {crowd.issuer_at(place): [key] for place, key in enumerate(keys)}
    seen = set()
    for token in tokens:
        claims = jwt.decode(token, options={"verify_signature": False})
        seen.add(verified(token, issuers[claims["iss"]])["iss"])
    assert len(seen) == crowd.SIGNERS
    assert len({key["kid"] for key in keys}) == 999


def test_the_tokens_of_one_issuer_are_by_many_of_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = crowd.public_keys(1_500)
    tokens = list(minting.lines(crowd.token_file(NUMBER, crowd.issuer_at(0), fresh=True), NUMBER))
    assert {verified(token, keys)["iss"] for token in tokens} == {crowd.issuer_at(0)}
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == crowd.SIGNERS
    again = list(minting.lines(crowd.token_file(NUMBER, crowd.issuer_at(0)), NUMBER))
    assert set(again).isdisjoint(tokens)
