"""One public or secret JWK (RFC 7517) becomes a Key, or is refused with the reason.

Rules: a Key is complete and fit to verify, or there is none. It has a verifier for exactly the algorithms
that its type, curve, length, `alg`, `use` and `key_ops` all permit. Its secret is in no repr and in no
message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from jwtgate.errors import KeyRefusedError
from jwtgate.keys.algorithms import (
    ALGORITHMS,
    CURVES,
    MldsaPublicKey,
    Verifier,
    algorithms_of,
    ecdsa_verifier,
    hmac_verifier,
    plain_verifier,
    rsa_verifier,
)
from jwtgate.keys.encoding import decode_base64url
from jwtgate.keys.metadata import ANY_TENANT
from jwtgate.keys.thumbprint import thumbprint
from jwtgate.keys.weakness import refuse_bad_point, refuse_weak_rsa, refuse_weak_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_NAME_LENGTH: Final = 256
"""Characters of a `kid`, or of another name that a stranger chose."""

# RFC 7517, section 4.3. A name that is not registered there contradicts nothing.
_ENCRYPTING: Final = frozenset({"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"})

# RFC 7518, sections 6.2.2, 6.3.2; RFC 8037, section 2; RFC 9964, section 4.
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "priv")


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key that can verify, and what it may verify.

    `algorithms` are JWS `alg` values. `thumbprint` is RFC 7638's, base64url; that of a secret key (`kty` oct)
    is a digest of the secret, to be shown to nobody. `verifiers` has one function for each of `algorithms`.
    `issuer`: the only one that it signs for; None: whoever publishes it. See `signs_for`.
    """

    kid: str | None
    kty: str
    algorithms: frozenset[str]
    thumbprint: str = field(repr=False)
    x5t_s256: str | None
    verifiers: Mapping[str, Verifier] = field(repr=False)
    issuer: str | None = None

    def signs_for(self, issuer: object) -> bool:
        """Whether tokens with this `iss` may be signed with it, whatever that is.

        A key in a set that is common to several issuers can name its own, in the member `issuer` (Entra ID).
        `{tenantid}` in it stands for any one segment of a path.
        """
        if self.issuer is None or self.issuer == issuer:
            return True
        before, found, after = self.issuer.partition(ANY_TENANT)
        if not found or not isinstance(issuer, str) or len(issuer) < len(before) + len(after):
            return False
        tenant = issuer[len(before) : len(issuer) - len(after)]
        return issuer == before + tenant + after and tenant != "" and "/" not in tenant


def is_name(value: object) -> bool:
    """Whether `value` can be a `kid` or a `typ`: a string of at most 256 printable ASCII characters."""
    return isinstance(value, str) and len(value) <= MAX_NAME_LENGTH and value.isascii() and value.isprintable()


def import_jwk(jwk: Mapping[str, object]) -> Key:
    """The Key that `jwk` describes.

    Raises KeyRefusedError when it is malformed, too weak, of an unknown type, meant for something else than
    verifying signatures, or a private key. Source: RFC 7517; RFC 7518, section 6; RFC 8037; RFC 9964.
    """
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _MATERIAL:
        raise KeyRefusedError(f"key type {_show(kty)} is not one that signs: expected {', '.join(_MATERIAL)}")
    published = [name for name in _PRIVATE_MEMBERS if name in jwk]
    if published:
        raise KeyRefusedError(
            f"a private key (it has {', '.join(published)}) where a public one is expected: "
            "publish only the public members, and replace this key, since it may be known to others"
        )
    kid = jwk.get("kid")
    if kid is not None and not is_name(kid):
        raise KeyRefusedError(f"kid is not a string of at most {MAX_NAME_LENGTH} printable ASCII characters")
    _refuse_other_uses(jwk)
    members, possible = _MATERIAL[kty](jwk)
    verifiers = _permitted(jwk, possible)
    return Key(
        kid=kid if isinstance(kid, str) else None,
        kty=kty,
        algorithms=frozenset(verifiers),
        thumbprint=thumbprint(members),
        x5t_s256=_x5t_s256(jwk),
        verifiers=verifiers,
        issuer=_issuer(jwk),
    )


def public_half(jwk: Mapping[str, object]) -> dict[str, object]:
    """`jwk` without its private members: the public key of a key pair that is one's own."""
    return {name: value for name, value in jwk.items() if name not in _PRIVATE_MEMBERS}


def _permitted(jwk: Mapping[str, object], possible: dict[str, Verifier]) -> dict[str, Verifier]:
    """RFC 7517, section 4.4: `alg` "identifies the algorithm intended for use with the key"; obeyed."""
    if "alg" not in jwk:
        return possible
    alg = jwk["alg"]
    if not isinstance(alg, str) or alg not in possible:
        raise KeyRefusedError(f"alg {_show(alg)} does not fit this key: expected {', '.join(sorted(possible))}")
    return {alg: possible[alg]}


def _refuse_other_uses(jwk: Mapping[str, object]) -> None:
    # RFC 7517, section 4.2: `use` is "sig" or "enc".
    if "use" in jwk and jwk["use"] != "sig":
        raise KeyRefusedError(f'use is {_show(jwk["use"])}: expected "sig", or no use at all')
    if "key_ops" not in jwk:
        return
    # RFC 7517, section 4.3: "Its value is an array of key operation values. […] Duplicate key operation
    # values MUST NOT be present in the array."
    operations = jwk["key_ops"]
    if (
        not isinstance(operations, list)
        or not all(isinstance(operation, str) for operation in operations)
        or len(set(operations)) != len(operations)
    ):
        raise KeyRefusedError("key_ops is not an array of different strings")
    if "verify" not in operations:
        raise KeyRefusedError('key_ops does not hold "verify"')
    # "The "use" and "key_ops" JWK members SHOULD NOT be used together; however, if both are used, the information
    # they convey MUST be consistent." Without `use`, several purposes are a SHOULD NOT that key stores ignore.
    others = sorted(_ENCRYPTING & set(operations))
    if "use" in jwk and others:
        raise KeyRefusedError(f'key_ops holds {", ".join(others)}, and use is "sig": they contradict each other')


def _x5t_s256(jwk: Mapping[str, object]) -> str | None:
    # RFC 7517, section 4.9: the base64url SHA-256 of a certificate.
    if "x5t#S256" not in jwk:
        return None
    value = jwk["x5t#S256"]
    if not is_sha256(value):
        raise KeyRefusedError("x5t#S256 is not a base64url SHA-256 digest")
    return str(value)


def _issuer(jwk: Mapping[str, object]) -> str | None:
    if "issuer" not in jwk:
        return None
    value = jwk["issuer"]
    if not isinstance(value, str) or not value:
        raise KeyRefusedError("issuer is not the name of one: expected a string, or no issuer at all")
    return value


def is_sha256(value: object) -> bool:
    """Whether `value` is the base64url spelling of a SHA-256 digest."""
    if not isinstance(value, str) or not value.isascii():
        return False
    octets = decode_base64url(value.encode())
    return octets is not None and len(octets) == 32


# Key material, by key type: (the members a thumbprint needs, the verifiers the key could have).
_Material = tuple[dict[str, str], dict[str, Verifier]]


def _oct(jwk: Mapping[str, object]) -> _Material:
    # RFC 7518, section 6.4.
    text, secret = _octets(jwk, "k")
    return {"kty": "oct", "k": text}, secret_verifiers(secret)


def secret_verifiers(secret: bytes) -> dict[str, Verifier]:
    """The HS* algorithms that `secret` is long enough for. Raises KeyRefusedError when it is for none."""
    refuse_weak_secret(secret)
    # RFC 7518, section 3.2: "A key of the same size as the hash output […] or larger MUST be used".
    return {
        row.name: hmac_verifier(secret, row)
        for row in ALGORITHMS.values()
        if row.kty == "oct" and row.hash is not None and len(secret) >= row.hash.digest_size
    }


def _rsa(jwk: Mapping[str, object]) -> _Material:
    # RFC 7518, section 6.3.1.
    n_text, n = unsigned(jwk, "n")
    e_text, e = unsigned(jwk, "e")
    refuse_weak_rsa(n, e)
    public = _prepared(lambda: rsa.RSAPublicNumbers(e, n).public_key())
    verifiers = {name: rsa_verifier(public, ALGORITHMS[name]) for name in sorted(algorithms_of("RSA", None))}
    return {"kty": "RSA", "n": n_text, "e": e_text}, verifiers


def _ec(jwk: Mapping[str, object]) -> _Material:
    # RFC 7518, section 6.2.1.
    crv = jwk.get("crv")
    if not isinstance(crv, str) or crv not in CURVES:
        raise KeyRefusedError(f"crv {_show(crv)} is not one that signs: expected {', '.join(CURVES)}")
    curve = CURVES[crv]
    x_text, x = _octets(jwk, "x", size=curve.size)
    y_text, y = _octets(jwk, "y", size=curve.size)
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve.curve)
    public = _prepared(numbers.public_key)
    verifiers = {name: ecdsa_verifier(public, ALGORITHMS[name], curve) for name in algorithms_of("EC", crv)}
    return {"kty": "EC", "crv": crv, "x": x_text, "y": y_text}, verifiers


_EDWARDS_SIZES: Final = {"Ed25519": 32, "Ed448": 57}  # RFC 8032, sections 5.1.5 and 5.2.5


def _okp(jwk: Mapping[str, object]) -> _Material:
    # RFC 8037, section 2.
    crv = jwk.get("crv")
    if not isinstance(crv, str) or crv not in _EDWARDS_SIZES:
        raise KeyRefusedError(f"crv {_show(crv)} is not one that signs: expected {', '.join(_EDWARDS_SIZES)}")
    text, octets = _octets(jwk, "x", size=_EDWARDS_SIZES[crv])
    refuse_bad_point(crv, octets)
    public: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    if crv == "Ed25519":
        public = _prepared(lambda: ed25519.Ed25519PublicKey.from_public_bytes(octets))
    else:
        public = _prepared(lambda: ed448.Ed448PublicKey.from_public_bytes(octets))
    verify = plain_verifier(public)
    return {"kty": "OKP", "crv": crv, "x": text}, dict.fromkeys(sorted(algorithms_of("OKP", crv)), verify)


# FIPS 204, table 2: the size of a public key.
_MLDSA: Final[dict[str, tuple[int, type[MldsaPublicKey]]]] = {
    "ML-DSA-44": (1312, mldsa.MLDSA44PublicKey),
    "ML-DSA-65": (1952, mldsa.MLDSA65PublicKey),
    "ML-DSA-87": (2592, mldsa.MLDSA87PublicKey),
}


def _akp(jwk: Mapping[str, object]) -> _Material:
    # RFC 9964, section 4: `alg` is required, and says which parameter set `pub` belongs to.
    alg = jwk.get("alg")
    if not isinstance(alg, str) or alg not in _MLDSA:
        raise KeyRefusedError(f"alg {_show(alg)} is unknown for AKP: expected {', '.join(_MLDSA)}")
    size, public_type = _MLDSA[alg]
    text, octets = _octets(jwk, "pub", size=size)
    public = _prepared(lambda: public_type.from_public_bytes(octets))
    return {"kty": "AKP", "alg": alg, "pub": text}, {alg: plain_verifier(public)}


_MATERIAL: Final[dict[str, Callable[[Mapping[str, object]], _Material]]] = {
    "oct": _oct,
    "RSA": _rsa,
    "EC": _ec,
    "OKP": _okp,
    "AKP": _akp,
}


def _octets(jwk: Mapping[str, object], name: str, *, size: int | None = None) -> tuple[str, bytes]:
    """A base64url member: its text and its bytes."""
    text = jwk.get(name)
    if not isinstance(text, str) or not text.isascii():
        raise KeyRefusedError(f"member {name} is missing, or is not a string")
    octets = decode_base64url(text.encode())
    if not octets:
        raise KeyRefusedError(f"member {name} is not base64url without padding")
    if size is not None and len(octets) != size:
        raise KeyRefusedError(f"member {name} has {len(octets)} octets: expected {size}")
    return text, octets


def unsigned(jwk: Mapping[str, object], name: str) -> tuple[str, int]:
    """A Base64urlUInt member of a JWK: its text and its number. Raises KeyRefusedError."""
    text, octets = _octets(jwk, name)
    # RFC 7518, section 2: "The representation MUST utilize the minimum number of octets".
    if octets[0] == 0:
        raise KeyRefusedError(f"member {name} begins with a zero octet: expected the shortest form")
    return text, int.from_bytes(octets, "big")


_T = TypeVar("_T")


def _prepared(make: Callable[[], _T]) -> _T:
    try:
        return make()
    except UnsupportedAlgorithm:
        raise KeyRefusedError("the installed cryptography has no support for this kind of key") from None
    except ValueError as error:
        raise KeyRefusedError(f"not a valid public key: {error}") from None


def _show(value: object) -> str:
    """A stranger's value for a message: escaped, and short."""
    if value is None:
        return "(none)"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
