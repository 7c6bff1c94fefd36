"""One JWK: what is imported, and what is refused and why."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import ALGORITHMS, generate_signing_key, import_jwk, thumbprint
from jwtgate.keys.encoding import encode_base64url
from jwtgate.keys.weakness import _ED25519_ORDER_8, _ED25519_P, refuse_weak_rsa

EC = generate_signing_key("ES256").public_jwk()
RSA = generate_signing_key("RS256").public_jwk()
ED = generate_signing_key("Ed25519").public_jwk()
ED448 = generate_signing_key("Ed448").public_jwk()
AKP = generate_signing_key("ML-DSA-44").public_jwk()
OCT = {"kty": "oct", "k": encode_base64url(bytes(range(64))).decode()}

RSA_PRIVATE = rsa.generate_private_key(65537, 2048)
RSA_NUMBERS = RSA_PRIVATE.public_key().public_numbers()


def text(octets: bytes) -> str:
    return encode_base64url(octets).decode()


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def without(jwk: dict[str, str], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (OCT, {"HS256", "HS384", "HS512"}),
        ({**OCT, "k": text(bytes(range(63)))}, {"HS256", "HS384"}),
        ({**OCT, "k": text(bytes(range(47)))}, {"HS256"}),
        ({**OCT, "k": text(bytes(range(32)))}, {"HS256"}),
        ({**OCT, "alg": "HS384"}, {"HS384"}),
        (without(RSA, "alg"), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (RSA, {"RS256"}),
        (without(EC, "alg"), {"ES256"}),
        (without(generate_signing_key("ES384").public_jwk(), "alg"), {"ES384"}),
        (without(generate_signing_key("ES512").public_jwk(), "alg"), {"ES512"}),
        (without(generate_signing_key("ES256K").public_jwk(), "alg"), {"ES256K"}),
        (without(ED, "alg"), {"Ed25519", "EdDSA"}),
        ({**ED, "alg": "EdDSA"}, {"EdDSA"}),
        (without(ED448, "alg"), {"Ed448", "EdDSA"}),
        (AKP, {"ML-DSA-44"}),
        ({**without(EC, "use"), "key_ops": ["verify"]}, {"ES256"}),
        ({**without(EC, "use"), "key_ops": ["verify", "encrypt", "wrapKey"]}, {"ES256"}),  # as key stores write it
        ({**EC, "use": "sig", "key_ops": ["verify", "attest"]}, {"ES256"}),
        ({**EC, "key_ops": ["sign", "verify"], "ext": True, "x5u": "https://elsewhere.example"}, {"ES256"}),
    ],
)
def test_a_key_serves_the_algorithms_that_its_type_curve_length_and_alg_permit(
    jwk: dict[str, Any], algorithms: set[str]
) -> None:
    key = import_jwk(jwk)
    assert key.algorithms == algorithms
    assert key.verifiers.keys() == algorithms


@pytest.mark.parametrize("jwk", [RSA, EC, ED, ED448, AKP], ids=lambda jwk: jwk["kty"])
def test_no_public_key_has_a_verifier_for_hmac(jwk: dict[str, str]) -> None:
    """CVE-2022-29217, CVE-2024-33663, CVE-2026-39999 and their kin: HS/RS confusion."""
    key = import_jwk(jwk)
    assert not {name for name in key.verifiers if ALGORITHMS[name].kty == "oct"}


MODULUS = RSA_NUMBERS.n
PRIME = RSA_PRIVATE.private_numbers().p
NEIGHBOUR = next(
    PRIME + distance
    for distance in range(1000, 2000)
    if all((PRIME + distance) % divisor for divisor in range(2, 10_000))
)


@pytest.mark.parametrize(
    ("jwk", "complaint"),
    [
        ({}, "key type (none)"),
        ({"kty": 1}, "key type 1"),
        ({"kty": "RSA4"}, "key type 'RSA4'"),
        ({**EC, "d": "AAAA"}, "a private key"),
        ({**RSA, "p": "AAAA"}, "a private key"),
        ({**AKP, "priv": "AAAA"}, "a private key"),
        ({**EC, "use": "enc"}, "use is 'enc'"),
        ({**EC, "use": None}, "use is (none)"),
        ({**EC, "key_ops": "verify"}, "key_ops is not an array"),
        ({**EC, "key_ops": ["verify", "verify"]}, "key_ops is not an array of different"),
        ({**EC, "key_ops": ["verify", 1]}, "key_ops is not an array"),
        ({**EC, "key_ops": []}, 'key_ops does not hold "verify"'),
        ({**EC, "key_ops": ["encrypt"]}, 'key_ops does not hold "verify"'),
        ({**EC, "use": "sig", "key_ops": ["verify", "encrypt"]}, 'key_ops holds encrypt, and use is "sig"'),
        ({**EC, "use": "sig", "key_ops": ["wrapKey", "verify", "decrypt"]}, "key_ops holds decrypt, wrapKey, and"),
        ({**EC, "alg": "ES384"}, "alg 'ES384' does not fit"),
        ({**EC, "alg": "HS256"}, "alg 'HS256' does not fit"),
        ({**EC, "alg": "none"}, "alg 'none' does not fit"),
        ({**EC, "alg": None}, "alg (none) does not fit"),
        ({**EC, "kid": 1}, "kid is not"),
        ({**EC, "kid": "a" * 257}, "kid is not"),
        ({**EC, "kid": "a\n"}, "kid is not"),
        ({**EC, "kid": "é"}, "kid is not"),
        ({**EC, "x5t#S256": "AAAA"}, "x5t#S256 is not"),
        ({**EC, "x5t#S256": 1}, "x5t#S256 is not"),
        ({**EC, "crv": "P-192"}, "crv 'P-192'"),
        ({**EC, "crv": "P-384"}, "member x has 32 octets: expected 48"),
        (without(EC, "crv"), "crv (none)"),
        (without(EC, "y"), "member y is missing"),
        ({**EC, "x": 1}, "member x is missing, or is not a string"),
        ({**EC, "x": EC["x"] + "="}, "member x is not base64url"),
        ({**EC, "x": "é"}, "member x is missing, or is not a string"),
        ({**EC, "x": text(bytes(31))}, "member x has 31 octets"),
        ({**EC, "x": text(bytes(33))}, "member x has 33 octets"),
        ({**EC, "y": EC["x"]}, "not a valid public key"),
        ({**EC, "x": text(bytes(32)), "y": text(bytes(32))}, "not a valid public key"),
        ({**OCT, "k": text(bytes(range(31)))}, "a secret of 31 octets"),
        ({**OCT, "k": ""}, "member k is not base64url"),
        ({**OCT, "k": text(bytes(64))}, "one octet repeated"),
        ({**OCT, "k": text(bytes(range(33))), "alg": "HS512"}, "alg 'HS512' does not fit"),
        ({**OCT, "k": text(b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ")}, "the text of a key file"),
        ({**OCT, "k": text(b" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA")}, "the text of a key file"),
        ({**RSA, "n": number(2**1023 + 1)}, "an RSA key of 1024 bits"),
        ({**RSA, "n": number(2**2046 + 1)}, "an RSA key of 2047 bits"),
        ({**RSA, "n": number(2**8192 + 1)}, "an RSA key of 8193 bits"),
        ({**RSA, "n": number(MODULUS - 1)}, "a prime factor below 10000"),
        ({**RSA, "n": number(9973 * (MODULUS // 9973 | 1))}, "a prime factor below 10000"),
        ({**RSA, "n": number(PRIME**2)}, "a square"),
        ({**RSA, "n": number(PRIME * NEIGHBOUR)}, "close together"),
        ({**RSA, "n": text(b"\0" + MODULUS.to_bytes(256, "big"))}, "begins with a zero octet"),
        ({**RSA, "e": "AQ"}, "exponent"),
        ({**RSA, "e": "Ag"}, "exponent"),
        ({**RSA, "e": number(65536)}, "exponent"),
        ({**RSA, "e": number(2**64 + 1)}, "exponent"),
        ({**RSA, "e": "AAEAAQ"}, "begins with a zero octet"),
        ({**ED, "crv": "X25519"}, "crv 'X25519'"),
        ({**ED, "x": text(bytes(31))}, "member x has 31 octets"),
        ({**ED, "x": text(bytes(32))}, "small order"),
        ({**ED, "x": text(b"\x01" + bytes(31))}, "small order"),
        ({**ED, "x": text(b"\x01" + bytes(30) + b"\x80")}, "small order"),
        ({**ED, "x": text((_ED25519_P - 1).to_bytes(32, "little"))}, "small order"),
        ({**ED, "x": text(_ED25519_P.to_bytes(32, "little"))}, "small order"),
        ({**ED, "x": text((_ED25519_P + 4).to_bytes(32, "little"))}, "small order"),
        ({**ED, "x": text(_ED25519_ORDER_8.to_bytes(32, "little"))}, "small order"),
        ({**ED448, "x": text(bytes(57))}, "small order"),
        ({**ED, "x": text(b"\x02" + bytes(31))}, "no point of Ed25519"),
        ({**ED448, "x": text(b"\x02" + bytes(56))}, "no point of Ed448"),
        (without(AKP, "alg"), "alg (none) is unknown for AKP"),
        ({**AKP, "alg": "ES256"}, "alg 'ES256' is unknown for AKP"),
        ({**AKP, "alg": "ML-DSA-65"}, "member pub has 1312 octets: expected 1952"),
    ],
)
def test_a_key_is_refused(jwk: dict[str, Any], complaint: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        import_jwk(jwk)
    assert complaint in str(refused.value)


def _roca_modulus() -> int:
    """A number that is a power of 65537 modulo each small prime, as those of the faulty chips are."""
    product = 1
    for prime in range(3, 168):
        if all(prime % other for other in range(2, prime)):
            product *= prime
    residue = pow(65537, 3, product)
    modulus = residue + product * ((2**2047) // product + 1)
    return modulus if modulus % 2 else modulus + product


def test_a_modulus_with_the_roca_fingerprint_is_refused() -> None:
    """CVE-2017-15361."""
    with pytest.raises(KeyRefusedError, match="ROCA"):
        refuse_weak_rsa(_roca_modulus(), 65537)


def test_honest_moduli_do_not_have_the_roca_fingerprint() -> None:
    refuse_weak_rsa(MODULUS, 65537)
    refuse_weak_rsa(MODULUS, 3)


def _edwards_double(x: int, y: int) -> tuple[int, int]:
    """RFC 8032, section 5.1.4: the point doubled, in affine coordinates."""
    p = _ED25519_P
    d = -121665 * pow(121666, -1, p) % p
    product = d * x * x * y * y % p
    return (
        2 * x * y * pow(1 + product, -1, p) % p,
        (y * y + x * x) * pow(1 - product, -1, p) % p,
    )


def test_the_listed_point_of_order_8_has_order_8() -> None:
    p = _ED25519_P
    y = _ED25519_ORDER_8
    d = -121665 * pow(121666, -1, p) % p
    square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    x = pow(square, (p + 3) // 8, p)
    if x * x % p != square:
        x = x * pow(2, (p - 1) // 4, p) % p
    assert x * x % p == square
    twice = _edwards_double(x, y)
    four_times = _edwards_double(*twice)
    assert four_times == (0, p - 1)
    assert _edwards_double(*four_times) == (0, 1)


@pytest.mark.parametrize("secret", [OCT["k"]])
def test_a_secret_is_in_no_repr(secret: str) -> None:
    key = import_jwk(OCT)
    assert secret not in repr(key)
    assert key.thumbprint not in repr(key)


def test_the_thumbprint_does_not_depend_on_optional_members() -> None:
    assert import_jwk(EC).thumbprint == import_jwk(without(EC, "kid", "use", "alg")).thumbprint == thumbprint(EC)
