"""The signature algorithms, as a table: JWS `alg` → key type, curve, and how a key verifies and signs by it.

The table follows RFC 7518, section 3.1 (HS, RS, PS, ES), RFC 8037, section 3.1 (EdDSA), RFC 8812, section 3.2
(ES256K), RFC 9864, section 2.2 (Ed25519, Ed448) and RFC 9964, section 3 (ML-DSA-44, -65, -87, key type AKP).
`none` is not in it, so nothing can ask for it.

A verifier is a function `(signature, data) -> bool` that was made for one key and one algorithm. The key
picks it; the token's `alg` only has to name one that the key has. So an HMAC over a public key cannot happen:
no RSA or EC key has a verifier for HS256.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Verifier = Callable[[bytes, bytes], bool]
"""`(signature, data) -> whether the key signed the data`. Raises nothing, whatever the signature holds."""

MldsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
MldsaPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PublicKey = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | MldsaPublicKey
)
PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | MldsaPrivateKey
)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A row of the table. `hash` is None where the algorithm fixes it by itself."""

    name: str
    kty: Literal["oct", "RSA", "EC", "OKP", "AKP"]
    crv: str | None
    hash: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None
    pss: bool = False


_SHA256: Final = hashes.SHA256()
_SHA384: Final = hashes.SHA384()
_SHA512: Final = hashes.SHA512()

ALGORITHMS: Final[dict[str, Algorithm]] = {
    row.name: row
    for row in (
        Algorithm("HS256", "oct", None, _SHA256),
        Algorithm("HS384", "oct", None, _SHA384),
        Algorithm("HS512", "oct", None, _SHA512),
        Algorithm("RS256", "RSA", None, _SHA256),
        Algorithm("RS384", "RSA", None, _SHA384),
        Algorithm("RS512", "RSA", None, _SHA512),
        Algorithm("PS256", "RSA", None, _SHA256, pss=True),
        Algorithm("PS384", "RSA", None, _SHA384, pss=True),
        Algorithm("PS512", "RSA", None, _SHA512, pss=True),
        Algorithm("ES256", "EC", "P-256", _SHA256),
        Algorithm("ES384", "EC", "P-384", _SHA384),
        Algorithm("ES512", "EC", "P-521", _SHA512),
        Algorithm("ES256K", "EC", "secp256k1", _SHA256),
        Algorithm("EdDSA", "OKP", "Ed25519", None),
        Algorithm("Ed25519", "OKP", "Ed25519", None),
        Algorithm("Ed448", "OKP", "Ed448", None),
        Algorithm("ML-DSA-44", "AKP", None, None),
        Algorithm("ML-DSA-65", "AKP", None, None),
        Algorithm("ML-DSA-87", "AKP", None, None),
    )
}
"""Every algorithm that can be written in a configuration. EdDSA is both curves: see `algorithms_of`."""

SYMMETRIC: Final = frozenset(name for name, row in ALGORITHMS.items() if row.kty == "oct")


@dataclass(frozen=True, slots=True)
class Curve:
    """An elliptic curve of the `EC` key type: its object, the octets of a coordinate, its order n."""

    curve: ec.EllipticCurve
    size: int
    order: int


# RFC 7518, section 6.2.1.1; RFC 8812, section 3.1. Orders: FIPS 186-5 by way of SP 800-186, and SEC 2.
CURVES: Final[dict[str, Curve]] = {
    "P-256": Curve(ec.SECP256R1(), 32, ec.SECP256R1().group_order),
    "P-384": Curve(ec.SECP384R1(), 48, ec.SECP384R1().group_order),
    "P-521": Curve(ec.SECP521R1(), 66, ec.SECP521R1().group_order),
    "secp256k1": Curve(ec.SECP256K1(), 32, ec.SECP256K1().group_order),
}


def algorithms_of(kty: str, crv: str | None) -> frozenset[str]:
    """The algorithms that a key of this type and curve can serve, going by the table alone."""
    # RFC 8037, section 3.1: "EdDSA" signs by the variant that the key's curve names, Ed25519 or Ed448.
    fitting = {row.name for row in ALGORITHMS.values() if row.kty == kty and row.crv == crv}
    return frozenset(fitting | {"EdDSA"}) if kty == "OKP" and fitting else frozenset(fitting)


def hmac_verifier(secret: bytes, algorithm: Algorithm) -> Verifier:
    """RFC 7518, section 3.2: HMAC with SHA-2, compared in constant time."""
    name = _hash_name(algorithm)

    def verify(signature: bytes, data: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, data, name), signature)

    return verify


def rsa_verifier(public: rsa.RSAPublicKey, algorithm: Algorithm) -> Verifier:
    """RFC 7518, sections 3.3 (PKCS#1 v1.5) and 3.5 (PSS; its salt is as long as the hash)."""
    check = public.verify
    scheme = _rsa_padding(algorithm)
    digest = _hash(algorithm)
    size = (public.key_size + 7) // 8

    def verify(signature: bytes, data: bytes) -> bool:
        # RFC 8017, sections 8.1.2 and 8.2.2, step 1: "If the length of the signature S is not k octets,
        # output "invalid signature" and stop."
        if len(signature) != size:
            return False
        try:
            check(signature, data, scheme, digest)
        except InvalidSignature:
            return False
        return True

    return verify


def ecdsa_verifier(public: ec.EllipticCurvePublicKey, algorithm: Algorithm, curve: Curve) -> Verifier:
    """RFC 7518, section 3.4: R || S of exact length, both in [1, n-1] (FIPS 186-5, section 6.4.2)."""
    check = public.verify
    scheme = ec.ECDSA(_hash(algorithm))
    size = curve.size
    # Octet strings of one length compare as the numbers that they spell.
    zero = bytes(size)
    order = curve.order.to_bytes(size, "big")

    def verify(signature: bytes, data: bytes) -> bool:
        # RFC 7518, section 3.4: "If the JWS Signature is not [2 * size octets], the validation has failed."
        if len(signature) != 2 * size:
            return False
        r, s = signature[:size], signature[size:]
        if not (zero < r < order and zero < s < order):
            return False
        try:
            check(_der_signature(r, s), data, scheme)
        except InvalidSignature:
            return False
        return True

    return verify


def _der_signature(r: bytes, s: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279, section 2.2.3) of two positive numbers of at most 66 octets, as OpenSSL takes it.

    `encode_dss_signature` does the same from Python integers, in twice the time.
    """
    # X.690, section 8.3: as few octets as possible, the highest bit being the sign.
    r, s = r.lstrip(b"\0"), s.lstrip(b"\0")
    body = _DER_INTEGER[r[0] >> 7][len(r)] + r + _DER_INTEGER[s[0] >> 7][len(s)] + s
    return _DER_SEQUENCE[len(body)] + body


# Tags and lengths (X.690, section 8.1.3). Those of an integer by its highest bit, which takes a zero before it,
# and by its length; those of the sequence by its length.
_DER_INTEGER: Final = (
    tuple(bytes((0x02, length)) for length in range(67)),
    tuple(bytes((0x02, length + 1, 0)) for length in range(67)),
)
_DER_SEQUENCE: Final = tuple(
    bytes((0x30, length) if length < 0x80 else (0x30, 0x81, length)) for length in range(2 * (67 + 2) + 1)
)


def plain_verifier(public: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | MldsaPublicKey) -> Verifier:
    """RFC 8037, section 3.1, and RFC 9964, section 3 (pure ML-DSA, empty context)."""
    check = public.verify

    def verify(signature: bytes, data: bytes) -> bool:
        try:
            check(signature, data)
        except InvalidSignature:
            return False
        return True

    return verify


def sign(private: PrivateKey, algorithm: Algorithm, data: bytes) -> bytes:
    """The JWS signature of `data`. The counterpart of the verifiers; `private` must fit `algorithm`."""
    match private:
        case rsa.RSAPrivateKey():
            return private.sign(data, _rsa_padding(algorithm), _hash(algorithm))
        case ec.EllipticCurvePrivateKey():
            size = (private.curve.key_size + 7) // 8
            r, s = decode_dss_signature(private.sign(data, ec.ECDSA(_hash(algorithm))))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        case _:
            return private.sign(data)


def _hash(algorithm: Algorithm) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    if algorithm.hash is None:
        raise ValueError(f"{algorithm.name} has no hash of its own")
    return algorithm.hash


def _hash_name(algorithm: Algorithm) -> str:
    return _hash(algorithm).name


def _rsa_padding(algorithm: Algorithm) -> padding.PSS | padding.PKCS1v15:
    if not algorithm.pss:
        return padding.PKCS1v15()
    digest = _hash(algorithm)
    # RFC 7518, section 3.5: "The size of the salt value is the same size as the hash function output."
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
