"""The private side: keys that sign, how they are made, kept in a file, and published.

Rules: a private key appears in no repr and no message. Its file form is PKCS#8 PEM, encrypted where a
passphrase is given. Its `kid` is its RFC 7638 thumbprint, so a kid can be neither reused nor chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from jwtgate.errors import KeyRefusedError
from jwtgate.keys.algorithms import ALGORITHMS, CURVES, PrivateKey, PublicKey, sign
from jwtgate.keys.encoding import encode_base64url
from jwtgate.keys.jwk import import_jwk
from jwtgate.keys.thumbprint import thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RSA_BITS: Final = 2048
RSA_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key, and the one algorithm that it signs by. `kid` is the RFC 7638 thumbprint."""

    algorithm: str
    kid: str
    _public: Mapping[str, str] = field(repr=False)
    _private: PrivateKey = field(repr=False)

    def public_jwk(self) -> dict[str, str]:
        """The JWK to publish: public members, `kid`, `alg` and `use` (RFC 7517, section 4)."""
        return {**self._public, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def sign(self, data: bytes) -> bytes:
        """The JWS signature of `data`, raw."""
        return sign(self._private, ALGORITHMS[self.algorithm], data)


def generate_signing_key(algorithm: str) -> SigningKey:
    """A new key for `algorithm`. Raises KeyRefusedError when no key pair can be made for it."""
    generate = _GENERATORS.get(algorithm)
    if generate is None:
        raise KeyRefusedError(f"no key can be made for {algorithm!a}: expected one of {', '.join(_GENERATORS)}")
    try:
        private = generate()
    except UnsupportedAlgorithm:
        raise KeyRefusedError(f"the installed cryptography has no support for {algorithm}") from None
    return _signing_key(private, algorithm)


def serialise_signing_key(key: SigningKey, passphrase: bytes | None) -> bytes:
    """PKCS#8 PEM, encrypted when there is a passphrase. The algorithm is not in it: keep it too."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    )
    return key._private.private_bytes(  # noqa: SLF001 -- the class's own module
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def load_signing_key(pem: bytes, algorithm: str, passphrase: bytes | None) -> SigningKey:
    """The key that `pem` holds. The counterpart of `serialise_signing_key`.

    Raises KeyRefusedError when the PEM cannot be read, when the passphrase is wrong, missing or not needed,
    or when the key does not fit `algorithm`.
    """
    try:
        private = serialization.load_pem_private_key(pem, passphrase)
    except TypeError:
        wanted = "is encrypted, and no passphrase was given" if passphrase is None else "is not encrypted"
        raise KeyRefusedError(f"the private key {wanted}") from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's text could quote the file: it is left out.
        raise KeyRefusedError("not a private key in PEM, or the wrong passphrase") from None
    if not isinstance(private, PrivateKey):
        raise KeyRefusedError(f"a private key that cannot sign by {algorithm!a}")
    return _signing_key(private, algorithm)


def _signing_key(private: PrivateKey, algorithm: str) -> SigningKey:
    members = _public_members(private.public_key())
    if ALGORITHMS.get(algorithm) is None or algorithm in _SECRET_ONLY:
        raise KeyRefusedError(f"{algorithm!a} is not an algorithm that a key pair signs by")
    # The importer knows which algorithms a key serves and which keys are too weak; ask it.
    if algorithm not in import_jwk(members).algorithms:
        raise KeyRefusedError(f"a key of type {members['kty']} that cannot sign by {algorithm}")
    return SigningKey(algorithm, thumbprint(members), members, private)


_SECRET_ONLY: Final = frozenset(name for name, row in ALGORITHMS.items() if row.kty == "oct")


def _public_members(public: PublicKey) -> dict[str, str]:
    """The members of the public JWK (RFC 7518, section 6; RFC 8037, section 2; RFC 9964, section 4)."""
    match public:
        case rsa.RSAPublicKey():
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)}
        case ec.EllipticCurvePublicKey():
            crv, size = _curve_name(public)
            point = public.public_numbers()
            x, y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
            return {"kty": "EC", "crv": crv, "x": _text(x), "y": _text(y)}
        case ed25519.Ed25519PublicKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": _text(public.public_bytes_raw())}
        case ed448.Ed448PublicKey():
            return {"kty": "OKP", "crv": "Ed448", "x": _text(public.public_bytes_raw())}
        case mldsa.MLDSA44PublicKey():
            return {"kty": "AKP", "alg": "ML-DSA-44", "pub": _text(public.public_bytes_raw())}
        case mldsa.MLDSA65PublicKey():
            return {"kty": "AKP", "alg": "ML-DSA-65", "pub": _text(public.public_bytes_raw())}
        case mldsa.MLDSA87PublicKey():
            return {"kty": "AKP", "alg": "ML-DSA-87", "pub": _text(public.public_bytes_raw())}


def _curve_name(public: ec.EllipticCurvePublicKey) -> tuple[str, int]:
    for crv, curve in CURVES.items():
        if curve.curve.name == public.curve.name:
            return crv, curve.size
    raise KeyRefusedError(f"a key on {public.curve.name}: expected a curve of {', '.join(CURVES)}")


def _unsigned(number: int) -> str:
    return _text(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _text(octets: bytes) -> str:
    return encode_base64url(octets).decode()


def _rsa() -> PrivateKey:
    return rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)


_Generator: TypeAlias = "Callable[[], PrivateKey]"

_GENERATORS: Final[dict[str, _Generator]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _rsa),
    "ES256": lambda: ec.generate_private_key(CURVES["P-256"].curve),
    "ES384": lambda: ec.generate_private_key(CURVES["P-384"].curve),
    "ES512": lambda: ec.generate_private_key(CURVES["P-521"].curve),
    "ES256K": lambda: ec.generate_private_key(CURVES["secp256k1"].curve),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate,
}
