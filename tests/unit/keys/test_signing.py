"""Keys that sign: made, written, read, published."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import (
    ALGORITHMS,
    SYMMETRIC,
    generate_signing_key,
    import_jwk,
    load_signing_key,
    read_jwks,
    serialise_signing_key,
    thumbprint,
)

SIGNING = [name for name in ALGORITHMS if name not in SYMMETRIC]


@pytest.mark.parametrize("algorithm", SIGNING)
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_a_key_survives_its_file_and_its_publication(algorithm: str, passphrase: bytes | None) -> None:
    key = generate_signing_key(algorithm)
    again = load_signing_key(serialise_signing_key(key, passphrase), algorithm, passphrase)
    assert again.kid == key.kid
    published = key.public_jwk()
    assert published["kid"] == key.kid == thumbprint(published)
    assert published["alg"] == algorithm
    public = import_jwk(published)
    signature = again.sign(b"data")
    assert public.verifiers[algorithm](signature, b"data")
    assert not public.verifiers[algorithm](signature, b"Data")
    assert not public.verifiers[algorithm](signature[:-1] + bytes([signature[-1] ^ 1]), b"data")
    assert read_jwks(json.dumps({"keys": [published]}).encode()).notes == ()


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES1"])
def test_no_key_pair_is_made_for_what_is_not_a_key_pair_algorithm(algorithm: str) -> None:
    with pytest.raises(KeyRefusedError, match="expected one of"):
        generate_signing_key(algorithm)


def pem(
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey | x25519.X25519PrivateKey,
) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("data", "algorithm", "passphrase", "complaint"),
    [
        (serialise_signing_key(generate_signing_key("ES256"), b"x"), "ES256", None, "is encrypted"),
        (serialise_signing_key(generate_signing_key("ES256"), b"x"), "ES256", b"y", "wrong passphrase"),
        (serialise_signing_key(generate_signing_key("ES256"), None), "ES256", b"y", "is not encrypted"),
        (serialise_signing_key(generate_signing_key("ES256"), None), "ES384", None, "cannot sign by ES384"),
        (
            serialise_signing_key(generate_signing_key("ES256"), None),
            "HS256",
            None,
            "not an algorithm that a key pair",
        ),
        (
            serialise_signing_key(generate_signing_key("ES256"), None),
            "none",
            None,
            "not an algorithm that a key pair",
        ),
        (pem(rsa.generate_private_key(65537, 1024)), "RS256", None, "1024 bits"),  # noqa: S505 -- too short on purpose
        (pem(ec.generate_private_key(ec.SECP224R1())), "ES256", None, "secp224r1"),
        (pem(x25519.X25519PrivateKey.generate()), "Ed25519", None, "cannot sign by"),
        (b"", "ES256", None, "not a private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "ES256", None, "not a private key"),
    ],
)
def test_a_key_file_is_refused(data: bytes, algorithm: str, passphrase: bytes | None, complaint: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        load_signing_key(data, algorithm, passphrase)
    assert complaint in str(refused.value)


def test_a_private_key_is_in_no_repr() -> None:
    key = generate_signing_key("Ed25519")
    assert repr(key) == f"SigningKey(algorithm='Ed25519', kid='{key.kid}')"
