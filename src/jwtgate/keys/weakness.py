"""Keys that are well-formed and still not to be trusted: too short, or of a known weak form.

Each function raises KeyRefusedError, or says nothing.

Not looked for: an RSA modulus that is itself a prime. That test takes 17 ms for 2048 bits and a second for 8192,
for each key in each worker, where all others together take 0.2 ms. An issuer that publishes such a key could give
its private key away as well.
"""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from itertools import compress
from math import gcd, isqrt, prod
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from jwtgate.errors import KeyRefusedError

# RFC 7518, section 3.3: "A key of size 2048 bits or larger MUST be used".
MIN_RSA_BITS: Final = 2048
# Verification time grows with the square of the size; nobody publishes larger ones.
MAX_RSA_BITS: Final = 8192
# The largest exponent that OpenSSL accepts for every size of modulus.
MAX_RSA_EXPONENT_BITS: Final = 64
# RFC 7518, section 3.2: at least as long as the hash; that of HS256 is the shortest.
MIN_SECRET_OCTETS: Final = 32


def refuse_weak_rsa(n: int, e: int) -> None:
    """RSA moduli that can be factored, and exponents that make forging easy."""
    bits = n.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise KeyRefusedError(f"an RSA key of {bits} bits: expected {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    # RFC 8017, section 3.1: e is "between 3 and n - 1" and coprime to an even number. With e = 1 anyone
    # signs.
    if e < 3 or e % 2 == 0 or e.bit_length() > MAX_RSA_EXPONENT_BITS:
        raise KeyRefusedError(
            f"the RSA exponent is not an odd number from 3 to {MAX_RSA_EXPONENT_BITS} bits (usual: 65537)"
        )
    if _is_roca(n):
        raise KeyRefusedError(
            "the RSA modulus was made by a chip with the ROCA weakness (CVE-2017-15361): replace the key"
        )
    if gcd(n, _small_primes()) != 1:
        raise KeyRefusedError(f"the RSA modulus has a prime factor below {_SMALL}: replace the key")
    if _has_close_factors(n):
        raise KeyRefusedError(
            "the RSA modulus is a square, or its two primes are close together (CVE-2022-26320): replace the key"
        )


_SMALL: Final = 10_000


@cache
def _small_primes() -> int:
    """The product of the primes below _SMALL."""
    is_prime = bytearray(b"\0\0" + b"\1" * (_SMALL - 2))
    for number in range(2, isqrt(_SMALL) + 1):
        multiples = range(number * number, _SMALL, number)
        is_prime[multiples.start :: number] = bytes(len(multiples))
    return prod(compress(range(_SMALL), is_prime))


# Fermat's method finds primes of generators that took the next prime after a first one within a few steps.
_FERMAT_STEPS: Final = 100


def _has_close_factors(n: int) -> bool:
    """Whether n = a² - b², thus (a - b)(a + b), for one of the first a from the square root of n on."""
    first = isqrt(n - 1) + 1
    return any(_is_square(a * a - n) for a in range(first, first + _FERMAT_STEPS))


def _is_square(number: int) -> bool:
    # Modulo 16 three quarters of all numbers are no squares, which is known at once.
    return number & 15 in {0, 1, 4, 9} and isqrt(number) ** 2 == number


_ROCA_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


def _powers_of_65537(prime: int) -> frozenset[int]:
    powers = {1}
    power = 65537 % prime
    while power not in powers:
        powers.add(power)
        power = power * 65537 % prime
    return frozenset(powers)


_ROCA_RESIDUES: Final = tuple((prime, _powers_of_65537(prime)) for prime in _ROCA_PRIMES)


def _is_roca(n: int) -> bool:
    """Whether n has the fingerprint of the faulty generator (CVE-2017-15361).

    Its primes are k * M + (65537 ** a mod M), M a product of small primes. So n is a power of 65537 modulo
    each of them, which an honest modulus is with a probability of about 2 ** -28.
    """
    return all(n % prime in residues for prime, residues in _ROCA_RESIDUES)


def refuse_weak_secret(secret: bytes) -> None:
    """Shared secrets that are too short, or that are no secret at all but somebody's public key."""
    if len(secret) < MIN_SECRET_OCTETS:
        raise KeyRefusedError(
            f"a secret of {len(secret)} octets: expected {MIN_SECRET_OCTETS} or more (48 for HS384, 64 for HS512)"
        )
    # CVE-2022-29217, CVE-2024-33663: a public key that is configured as a secret lets everyone sign.
    if b"-----BEGIN" in secret or secret.lstrip().startswith((b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")):
        raise KeyRefusedError("this secret is the text of a key file: give its keys as a JWK Set instead")
    if secret.lstrip().startswith(b"{") and (b'"kty"' in secret or b'"keys"' in secret):
        raise KeyRefusedError("this secret is the text of a JWK: give the file as jwks_file, or the secret alone")
    if _is_der_key(secret) or _is_der_key(_from_base64(secret)):
        raise KeyRefusedError("this secret is a key or a certificate in DER: give its keys as a JWK Set instead")
    if len(set(secret)) == 1:
        raise KeyRefusedError("this secret is one octet repeated")


def _is_der_key(data: bytes) -> bool:
    """Whether `data` begins with a public key, a private key or a certificate in DER."""
    if not data.startswith(b"\x30"):  # X.690, section 8.9: SEQUENCE
        return False
    data = data[: _der_length(data)]  # whatever an editor has put behind it
    from cryptography.x509 import load_der_x509_certificate  # slow to import, and hardly ever needed

    readers = (load_der_public_key, lambda der: load_der_private_key(der, None), load_der_x509_certificate)
    for read in readers:
        try:
            read(data)
        except ValueError:
            continue
        except (TypeError, UnsupportedAlgorithm):
            return True  # encrypted, or of a kind that is unknown here
        return True
    return False


def _der_length(data: bytes) -> int:
    """How many octets the first value of `data` takes, its header included (X.690, section 8.1.3)."""
    short = int.from_bytes(data[1:2])
    if short < 0x80:
        return 2 + short
    header = 2 + (short & 0x7F)
    return header + int.from_bytes(data[2:header])


def _from_base64(text: bytes) -> bytes:
    """What the body of a PEM file or an `x5c` member spells; empty when `text` is neither."""
    letters = b"".join(text.translate(bytes.maketrans(b"-_", b"+/")).split())
    try:
        return b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except ValueError:
        return b""


_ED25519_P: Final = 2**255 - 19
_ED448_P: Final = 2**448 - 2**224 - 1
_ED25519_ORDER_8: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
# The y coordinates of the points whose order divides the cofactor: under such a key almost anything verifies.
_SMALL_ORDER_Y: Final = {
    "Ed25519": (
        _ED25519_P,
        frozenset({0, 1, _ED25519_P - 1, _ED25519_ORDER_8, _ED25519_P - _ED25519_ORDER_8}),
    ),
    "Ed448": (_ED448_P, frozenset({0, 1, _ED448_P - 1})),
}


# a and d of the curve a*x² + y² = 1 + d*x²*y² (RFC 8032, sections 5.1 and 5.2).
_EDWARDS_CURVE: Final = {
    "Ed25519": (-1, -121665 * pow(121666, -1, _ED25519_P)),
    "Ed448": (1, -39081),
}


def refuse_bad_point(crv: str, octets: bytes) -> None:
    """Edwards points of small order, points that are not spelled canonically, and what is no point (RFC 8032)."""
    prime, small = _SMALL_ORDER_Y[crv]
    # RFC 8032, sections 5.1.2 and 5.2.2: little-endian y, the sign of x in the highest bit.
    y = int.from_bytes(octets, "little") & ~(1 << (8 * len(octets) - 1))
    if y >= prime or y in small:
        raise KeyRefusedError(f"this {crv} point has a small order or is not encoded canonically")
    # RFC 8032, sections 5.1.3 and 5.2.3: x² = (1 - y²) / (a - d*y²), or there is no x.
    a, d = _EDWARDS_CURVE[crv]
    if pow((1 - y * y) * (a - d * y * y), (prime - 1) // 2, prime) != 1:
        raise KeyRefusedError(f"this is no point of {crv}")
