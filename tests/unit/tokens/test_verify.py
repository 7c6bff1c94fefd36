"""Signatures: the key picks the verifier, and each algorithm refuses what is not its own signature."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

import jwtgate
from jwtgate.keys import ALGORITHMS, SYMMETRIC, Key, SigningKey, generate_signing_key, import_jwk, secret_keyset
from jwtgate.keys.algorithms import CURVES, _der_signature, ecdsa_verifier, rsa_verifier
from jwtgate.keys.encoding import decode_base64url, encode_base64url
from jwtgate.keys.signing import load_signing_key, serialise_signing_key
from jwtgate.reasons import Reason
from jwtgate.tokens import UnverifiedToken, VerifiedToken, check_signature, mint, parse, verify

CLAIMS = {"iss": "https://issuer.example", "sub": "secret-subject", "exp": 2_000_000_000}
SECRET = bytes(range(64))


@dataclass(frozen=True)
class Signed:
    """A token and the key that verifies it."""

    token: str
    key: Key


def hs_token(algorithm: str, secret: bytes, claims: object = CLAIMS) -> str:
    head = encode_base64url(json.dumps({"alg": algorithm}).encode())
    signing_input = head + b"." + encode_base64url(json.dumps(claims).encode())
    name = ALGORITHMS[algorithm].hash
    assert name is not None
    signature = hmac.digest(secret, signing_input, name.name)
    return (signing_input + b"." + encode_base64url(signature)).decode()


SIGNERS = {name: generate_signing_key(name) for name in ALGORITHMS if name not in SYMMETRIC}
SIGNED = {
    **{name: Signed(mint(CLAIMS, key), import_jwk(key.public_jwk())) for name, key in SIGNERS.items()},
    **{name: Signed(hs_token(name, SECRET), secret_keyset(SECRET, [name]).keys[0]) for name in SYMMETRIC},
}


def parsed(token: str) -> UnverifiedToken:
    found = parse(token, max_bytes=20_000)
    assert isinstance(found, UnverifiedToken), found
    return found


def with_signature(token: str, signature: bytes) -> str:
    return token.rpartition(".")[0] + "." + encode_base64url(signature).decode()


def signature_of(token: str) -> bytes:
    signature = decode_base64url(token.rpartition(".")[2].encode())
    assert signature
    return signature


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_signed_token_is_verified(algorithm: str) -> None:
    signed = SIGNED[algorithm]
    found = verify(parsed(signed.token), signed.key)
    assert isinstance(found, VerifiedToken)
    assert found.algorithm == algorithm
    assert found.claims == CLAIMS
    assert found.key is signed.key
    assert "secret-subject" not in repr(found)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_signature_that_was_touched_is_denied(algorithm: str) -> None:
    signed = SIGNED[algorithm]
    signature = signature_of(signed.token)
    touched = [
        bytes([signature[0] ^ 1]) + signature[1:],
        signature[:-1] + bytes([signature[-1] ^ 1]),
        signature[:-1],
        signature[1:],
        signature + b"\0",
        b"\0" + signature,
        b"\0",
        bytes(len(signature)),
        b"\xff" * len(signature),
        signature * 2,
    ]
    for other in touched:
        assert verify(parsed(with_signature(signed.token, other)), signed.key) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_another_payload_or_header_under_the_signature_is_denied(algorithm: str) -> None:
    signed = SIGNED[algorithm]
    head, body, tail = signed.token.split(".")
    other_body = encode_base64url(json.dumps({**CLAIMS, "sub": "admin"}).encode()).decode()
    other_head = encode_base64url(json.dumps({"alg": algorithm, "kid": "other"}).encode()).decode()
    for token in (f"{head}.{other_body}.{tail}", f"{other_head}.{body}.{tail}"):
        assert verify(parsed(token), signed.key) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("algorithm", list(SIGNERS))
def test_another_key_of_the_same_kind_is_denied(algorithm: str) -> None:
    other = import_jwk(generate_signing_key(algorithm).public_jwk())
    assert verify(parsed(SIGNED[algorithm].token), other) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("claimed", list(ALGORITHMS))
@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_key_verifies_its_own_algorithm_only(algorithm: str, claimed: str) -> None:
    if claimed == algorithm:
        return
    signed = SIGNED[algorithm]
    _, body, tail = signed.token.split(".")
    head = encode_base64url(json.dumps({"alg": claimed}).encode()).decode()
    assert verify(parsed(f"{head}.{body}.{tail}"), signed.key) is Reason.ALGORITHM_NOT_ALLOWED


def pem_of(key: SigningKey) -> bytes:
    private = serialization.load_pem_private_key(serialise_signing_key(key, None), None)
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "Ed25519"])
@pytest.mark.parametrize("hs", sorted(SYMMETRIC))
def test_an_hmac_over_the_public_key_is_denied(algorithm: str, hs: str) -> None:
    """CVE-2022-29217, CVE-2026-48526, CVE-2024-33663, CVE-2026-39999, CVE-2026-22817."""
    signer = SIGNERS[algorithm]
    pem = pem_of(signer)
    jwk = json.dumps(signer.public_jwk()).encode()
    for secret in (pem, pem.strip(), jwk):
        assert verify(parsed(hs_token(hs, secret)), SIGNED[algorithm].key) is Reason.ALGORITHM_NOT_ALLOWED


ECDSA = {name: CURVES[row.crv] for name, row in ALGORITHMS.items() if row.kty == "EC" and row.crv}


@pytest.mark.parametrize("algorithm", list(ECDSA))
def test_ecdsa_numbers_out_of_range_are_denied(algorithm: str) -> None:
    """CVE-2022-21449: r and s are in [1, n-1]."""
    signed = SIGNED[algorithm]
    curve = ECDSA[algorithm]
    signature = signature_of(signed.token)
    r, s = signature[: curve.size], signature[curve.size :]
    zero = bytes(curve.size)
    order = curve.order.to_bytes(curve.size, "big")
    plus = (int.from_bytes(r, "big") + curve.order) % (1 << 8 * curve.size)
    for bad in (zero + zero, r + zero, zero + s, order + s, r + order, order + order):
        assert verify(parsed(with_signature(signed.token, bad)), signed.key) is Reason.SIGNATURE_INVALID
    shifted = plus.to_bytes(curve.size, "big") + s
    assert verify(parsed(with_signature(signed.token, shifted)), signed.key) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("algorithm", list(ECDSA))
def test_an_ecdsa_signature_in_der_is_denied(algorithm: str) -> None:
    signed = SIGNED[algorithm]
    size = ECDSA[algorithm].size
    signature = signature_of(signed.token)
    der = encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))
    assert verify(parsed(with_signature(signed.token, der)), signed.key) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("algorithm", list(ECDSA))
def test_ecdsa_numbers_with_leading_zeros_are_verified(algorithm: str) -> None:
    """One signature in 128 has a number with eight zero bits in front: sign until one comes."""
    signer, key = SIGNERS[algorithm], SIGNED[algorithm].key
    size = ECDSA[algorithm].size
    seen = 0
    for number in range(3000):
        data = number.to_bytes(4, "big")
        signature = signer.sign(data)
        short = size != 66 and (signature[0] == 0 or signature[size] == 0)
        if short or (size == 66 and (signature[:2] == b"\0\0" or signature[size : size + 2] == b"\0\0")):
            assert key.verifiers[algorithm](signature, data)
            seen += 1
            if seen == 2:
                return
    pytest.fail("no such signature in 3000")


ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def test_an_ed25519_signature_with_s_not_reduced_is_denied() -> None:
    """RFC 8032, section 5.1.7: s is in [0, L), or each signature would have a second spelling."""
    signed = SIGNED["Ed25519"]
    signature = signature_of(signed.token)
    s = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    other = signature[:32] + s.to_bytes(32, "little")
    assert verify(parsed(with_signature(signed.token, other)), signed.key) is Reason.SIGNATURE_INVALID


def test_an_rsa_signature_plus_the_modulus_is_denied() -> None:
    signed = SIGNED["RS256"]
    modulus = int.from_bytes(decode_base64url(SIGNERS["RS256"].public_jwk()["n"].encode()) or b"", "big")
    larger = int.from_bytes(signature_of(signed.token), "big") + modulus
    for size in (256, 257):
        if larger < 1 << (8 * size):
            other = with_signature(signed.token, larger.to_bytes(size, "big"))
            assert verify(parsed(other), signed.key) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(("mine", "theirs"), [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS384")])
def test_an_rsa_signature_of_another_scheme_is_denied(mine: str, theirs: str) -> None:
    """One key, allowed for both: the signature still has to be of the scheme that the header names."""
    file = serialise_signing_key(SIGNERS["RS256"], None)
    token = mint(CLAIMS, load_signing_key(file, mine, None))
    signing_input = token.rpartition(".")[0].encode()
    jwk = {name: value for name, value in SIGNERS["RS256"].public_jwk().items() if name != "alg"}
    other = load_signing_key(file, theirs, None).sign(signing_input)
    key = import_jwk(jwk)
    assert verify(parsed(with_signature(token, other)), key) is Reason.SIGNATURE_INVALID
    assert isinstance(verify(parsed(token), key), VerifiedToken)


@pytest.mark.parametrize("payload", [b"", b"Payload", b"[]", b'{"a":1,"a":2}'])
def test_a_rightly_signed_payload_that_is_no_object_makes_no_verified_token(payload: bytes) -> None:
    signer = SIGNERS["ES256"]
    signing_input = encode_base64url(b'{"alg":"ES256"}') + b"." + encode_base64url(payload)
    token = parsed((signing_input + b"." + encode_base64url(signer.sign(signing_input))).decode())
    key = SIGNED["ES256"].key
    assert check_signature(token, key) is None
    assert verify(token, key) is Reason.CLAIMS_UNREADABLE
    other = import_jwk(generate_signing_key("ES256").public_jwk())
    assert verify(token, other) is Reason.SIGNATURE_INVALID


def test_only_verify_and_the_memory_of_it_make_a_verified_token() -> None:
    package = Path(jwtgate.__file__).parent
    makers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "VerifiedToken"
    }
    assert makers == {"tokens/verify.py", "tokens/verified_tokens.py"}


def test_hs256_is_the_hmac_that_it_says() -> None:
    """Against an HMAC written out: RFC 2104."""
    signing_input = b"a.b"
    block = SECRET.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in block) + signing_input).digest()
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in block) + inner).digest()
    assert SIGNED["HS256"].key.verifiers["HS256"](outer, signing_input)


class AcceptsEverything:
    """A public key that would accept any signature, to show that ours is asked first."""

    key_size = 2048

    def verify(self, *_arguments: object) -> None:
        """Accept it."""


@pytest.mark.parametrize("size", [0, 1, 255, 257, 512])
def test_an_rsa_signature_of_another_length_does_not_reach_the_library(size: int) -> None:
    verifier = rsa_verifier(cast("Any", AcceptsEverything()), ALGORITHMS["RS256"])
    assert verifier(b"\1" * 256, b"data")
    assert not verifier(b"\1" * size, b"data")


@pytest.mark.parametrize("algorithm", list(ECDSA))
def test_ecdsa_numbers_out_of_range_do_not_reach_the_library(algorithm: str) -> None:
    curve = ECDSA[algorithm]
    verifier = ecdsa_verifier(cast("Any", AcceptsEverything()), ALGORITHMS[algorithm], curve)
    one, last, order, zero = (
        (value).to_bytes(curve.size, "big") for value in (1, curve.order - 1, curve.order, 0)
    )
    assert verifier(one + last, b"data")
    assert verifier(last + one, b"data")
    for signature in (zero + one, one + zero, order + one, one + order, one, one + last + b"\0", b""):
        assert not verifier(signature, b"data")


@given(r=st.integers(1, 2**521 - 1), s=st.integers(1, 2**521 - 1), size=st.sampled_from([32, 48, 66]))
def test_our_der_is_that_of_the_library(r: int, s: int, size: int) -> None:
    r, s = (value % (1 << min(521, 8 * size)) or 1 for value in (r, s))
    ours = _der_signature(r.to_bytes(size, "big"), s.to_bytes(size, "big"))
    assert ours == encode_dss_signature(r, s)
