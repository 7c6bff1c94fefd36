"""The memory of verified tokens: it saves the signature check, mixes nobody up, and stays within its bytes."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from jwtgate.keys import KeySet, SigningKey, generate_signing_key, read_jwks
from jwtgate.tokens import UnverifiedToken, VerifiedToken, VerifiedTokens, mint, parse, token_digest, verify
from jwtgate.tokens.verified_tokens import ENTRY_OVERHEAD

SIGNER = generate_signing_key("Ed25519")
OTHER = generate_signing_key("Ed25519")


def keyset(*signers: SigningKey) -> KeySet:
    return read_jwks(json.dumps({"keys": [signer.public_jwk() for signer in signers]}).encode())


KEYS = keyset(SIGNER)


def signed(number: int, filler: str = "") -> tuple[str, VerifiedToken]:
    token = mint({"iss": "i", "sub": str(number), "filler": filler}, SIGNER)
    parsed = parse(token, max_bytes=20_000)
    assert isinstance(parsed, UnverifiedToken)
    verified = verify(parsed, KEYS.keys[0])
    assert isinstance(verified, VerifiedToken)
    return token, verified


def got(memory: VerifiedTokens, token: str, keys: KeySet = KEYS) -> VerifiedToken | None:
    found = memory.get(token_digest(token), {"i": keys}, 0.0)
    if found is None:
        return None
    issuer, verified, _ = found
    assert issuer == "i"
    return verified


def test_what_was_put_is_got_with_claims_of_its_own() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    assert got(memory, token) is None
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    first, second = got(memory, token), got(memory, token)
    assert first is not None
    assert second is not None
    assert first.claims == second.claims == verified.claims
    assert first.claims is not second.claims
    assert (first.key, first.kid) == (verified.key, verified.kid)


def test_any_change_of_the_token_misses() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    head, body, tail = token.split(".")
    other_head, other_body, other_tail = signed(2)[0].split(".")
    changed = [
        f"{other_head}x.{body}.{tail}",
        f"{head}.{other_body}.{tail}",
        f"{head}.{body}.{other_tail}",
        f"{head}.{body}.",
        token + " ",
        token[:-1],
        "",
    ]
    assert [got(memory, text) for text in changed] == [None] * len(changed)


def test_a_token_verified_by_a_removed_key_is_not_remembered() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", keyset(SIGNER, OTHER), verified, 0.0)
    assert got(memory, token, keyset(SIGNER, OTHER)) is not None
    assert got(memory, token, keyset(OTHER)) is None
    assert got(memory, token) is None


def test_an_issuer_without_keys_has_no_remembered_tokens() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    assert memory.get(token_digest(token), {}, 0.0) is None
    assert memory.get(token_digest(token), {"other": KEYS}, 0.0) is None


def test_it_knows_for_how_long_a_token_was_not_seen() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", KEYS, verified, 1000.0)
    found = [memory.get(token_digest(token), {"i": KEYS}, now) for now in (1000.0, 1007.5, 1008.0)]
    assert [each[2] for each in found if each is not None] == [0.0, 7.5, 0.5]


def test_a_token_verified_again_after_a_change_of_keys_is_remembered_again() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", keyset(SIGNER, OTHER), verified, 0.0)
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    assert got(memory, token) is not None


def test_neither_token_nor_signature_is_kept() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    kept = repr(memory._young) + repr(memory._old)
    for part in token.split("."):
        assert part not in kept


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    memory = VerifiedTokens(20 * (ENTRY_OVERHEAD + 100))
    used, verified = signed(0)
    memory.put(token_digest(used), "i", KEYS, verified, 0.0)
    tokens = []
    for number in range(1, 60):
        token, other = signed(number)
        memory.put(token_digest(token), "i", KEYS, other, 0.0)
        tokens.append(token)
        assert got(memory, used) is not None
    assert got(memory, tokens[0]) is None
    assert got(memory, tokens[-1]) is not None


@pytest.mark.parametrize("max_bytes", [0, ENTRY_OVERHEAD])
def test_a_memory_too_small_for_an_entry_remembers_nothing(max_bytes: int) -> None:
    memory = VerifiedTokens(max_bytes)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    assert got(memory, token) is None
    assert len(memory) == 0


def test_everything_is_forgotten_on_clear() -> None:
    memory = VerifiedTokens(100_000)
    token, verified = signed(1)
    memory.put(token_digest(token), "i", KEYS, verified, 0.0)
    memory.clear()
    assert got(memory, token) is None
    assert len(memory) == 0


@pytest.mark.parametrize("filler", ["", "x" * 2000])
def test_many_distinct_tokens_stay_within_the_stated_bytes(filler: str) -> None:
    limit = 500_000
    _, verified = signed(0, filler)
    payload = verified.payload
    tracemalloc.start()
    try:
        memory = VerifiedTokens(limit)
        before = tracemalloc.get_traced_memory()[0]
        highest = 0
        for number in range(4000):
            # A payload and a header of its own, as each token has.
            own = VerifiedToken(verified.header, bytes(bytearray(payload)), verified.claims, verified.key)
            memory.put(token_digest(str(number)), "i", KEYS, own, 0.0)
            highest = max(highest, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert len(memory) > 100
    assert highest <= limit
    assert highest >= limit / 5
