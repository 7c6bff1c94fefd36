"""An encrypted token (compact JWE, RFC 7516) that holds a signed one: the key decrypts, the signed one comes out.

Rules: encryption proves nothing about who wrote a token, so what comes out is a string that `parse` and `verify`
have yet to believe; claims without a signature are malformed there. The key names its one `alg`; the content
encryptions are listed; nothing is ever decompressed. Decryption itself is joserfc's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwe
from joserfc.jwk import import_key

from jwtgate.errors import KeyRefusedError
from jwtgate.keys.encoding import decode_base64url, read_json_object
from jwtgate.keys.jwk import is_name, unsigned
from jwtgate.keys.weakness import refuse_weak_rsa
from jwtgate.reasons import Reason
from jwtgate.tokens.one import MAX_TOKEN_BYTES
from jwtgate.tokens.parse import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

# RFC 7518, sections 4.1 and 5.1. Without RSA1_5 (RFC 8725, section 3.2) and without passwords (PBES2), whose
# iteration count is the sender's.
KEY_ALGORITHMS: Final = {
    "dir": "oct",
    "RSA-OAEP": "RSA",
    "RSA-OAEP-256": "RSA",
    "ECDH-ES": "EC",
    "ECDH-ES+A128KW": "EC",
    "ECDH-ES+A256KW": "EC",
}
# RFC 7517, section 4.3: what each of them does with its key.
OPERATIONS: Final = {
    "dir": ("decrypt",),
    "RSA-OAEP": ("unwrapKey", "decrypt"),
    "RSA-OAEP-256": ("unwrapKey", "decrypt"),
    "ECDH-ES": ("deriveKey", "deriveBits"),
    "ECDH-ES+A128KW": ("deriveKey", "deriveBits"),
    "ECDH-ES+A256KW": ("deriveKey", "deriveBits"),
}
CONTENT_ENCRYPTIONS: Final = ("A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512")
# RFC 7518, sections 5.2 and 5.3: the octets of their keys, which a shared key for `dir` has to be.
SHARED_KEY_OCTETS: Final = (16, 32, 64)


@dataclass(frozen=True, slots=True, eq=False)
class DecryptionKey:
    """A private or shared key, and the one JWE `alg` that it decrypts by. It appears in no repr."""

    kid: str | None
    algorithm: str
    _key: RSAKey | ECKey | OctKey | OKPKey = field(repr=False)


def import_decryption_key(jwk: Mapping[str, Any]) -> DecryptionKey:
    """The key that a private JWK describes. It must say its `alg`, one of `KEY_ALGORITHMS`.

    Raises KeyRefusedError when it is malformed, public only, of another type than its `alg` needs, not meant for
    decrypting by `use` or `key_ops`, or a weak RSA key.
    """
    algorithm = jwk.get("alg")
    if not isinstance(algorithm, str) or algorithm not in KEY_ALGORITHMS:
        raise KeyRefusedError(f"alg of a decryption key: expected one of {', '.join(KEY_ALGORITHMS)}")
    if jwk.get("kty") != KEY_ALGORITHMS[algorithm]:
        raise KeyRefusedError(f"{algorithm} needs a key of type {KEY_ALGORITHMS[algorithm]}")
    _refuse_other_uses(jwk, algorithm)
    kid = jwk.get("kid")
    if kid is not None and not is_name(kid):
        raise KeyRefusedError("kid is not a string of at most 256 printable ASCII characters")
    if jwk["kty"] == "RSA":
        # RFC 7518, section 4.3: "A key of size 2048 bits or larger MUST be used with this algorithm."
        refuse_weak_rsa(unsigned(jwk, "n")[1], unsigned(jwk, "e")[1])
    if jwk["kty"] == "oct":
        text = jwk.get("k")
        secret = decode_base64url(text.encode()) if isinstance(text, str) and text.isascii() else None
        if secret is None or len(secret) not in SHARED_KEY_OCTETS:
            raise KeyRefusedError("k of a key for dir: expected 16, 32 or 64 octets in base64url")
    try:
        # joserfc reads key_ops more narrowly than RFC 7517: "unwrapKey" is not enough for RSA-OAEP there.
        key = import_key({name: value for name, value in jwk.items() if name != "key_ops"})
    except Exception:  # noqa: BLE001 -- what joserfc meets in a bad key it raises as it comes: KeyError, UnsupportedAlgorithm, …
        # The library's text could quote the key: it is left out.
        raise KeyRefusedError("not a valid key") from None
    if not key.is_private:
        raise KeyRefusedError("a public key cannot decrypt: expected the private one")
    return DecryptionKey(kid, algorithm, key)


def _refuse_other_uses(jwk: Mapping[str, Any], algorithm: str) -> None:
    # RFC 7517, sections 4.2 and 4.3.
    if jwk.get("use", "enc") != "enc":
        raise KeyRefusedError('use of a decryption key is not "enc"')
    if "key_ops" not in jwk:
        return
    operations, wanted = jwk["key_ops"], OPERATIONS[algorithm]
    if not isinstance(operations, list) or not any(name in wanted for name in operations):
        raise KeyRefusedError(f"key_ops of a key for {algorithm} holds none of {', '.join(wanted)}")
    if "use" in jwk and ("sign" in operations or "verify" in operations):
        raise KeyRefusedError('key_ops holds sign or verify, and use is "enc": they contradict each other')


def is_encrypted(token: str) -> bool:
    """Whether `token` has the five segments of a compact JWE (RFC 7516, section 9)."""
    return token.count(".") == 4


def decrypt(token: str, key: DecryptionKey, *, max_bytes: int = MAX_TOKEN_BYTES) -> str | Reason:
    """The token inside, of which nothing is believed yet, or why there is none.

    TOKEN_TOO_LARGE, TOKEN_MALFORMED, HEADER_INVALID, CRIT_UNSUPPORTED, ALGORITHM_NOT_ALLOWED, KEY_UNKNOWN, or
    SIGNATURE_INVALID when it does not decrypt. Source: RFC 7516, section 5.2; RFC 7519, section 7.2.
    """
    if len(token) > max_bytes:
        return Reason.TOKEN_TOO_LARGE
    if not token.isascii():
        return Reason.TOKEN_MALFORMED
    segments = [decode_base64url(segment) for segment in token.encode().split(b".")]
    # `dir` and ECDH-ES have no encrypted key (RFC 7518, sections 4.5 and 4.6); nothing else may be empty.
    if len(segments) != 5 or None in segments or not all((segments[0], *segments[2:])):
        return Reason.TOKEN_MALFORMED
    reason = _check_header(read_json_object(segments[0] or b""), key)
    if reason is not None:
        return reason
    try:
        # What is not in this list is refused, DEF (compression) among it.
        found = jwe.decrypt_compact(token.encode(), key._key, algorithms=[key.algorithm, *CONTENT_ENCRYPTIONS])  # noqa: SLF001 -- this module's own class
        inside = (found.plaintext or b"").decode("ascii")
    except Exception:  # noqa: BLE001 -- as above, and here a stranger wrote what it reads
        return Reason.SIGNATURE_INVALID
    # Encryption proves nothing about who wrote it: what is not signed inside is nothing.
    signed = parse(inside, max_bytes=max_bytes)
    return signed if isinstance(signed, Reason) else inside


def _check_header(members: dict[str, Any] | None, key: DecryptionKey) -> Reason | None:
    if members is None or "zip" in members:
        return Reason.HEADER_INVALID
    # RFC 7516, section 4.1.13.
    if "crit" in members:
        return Reason.CRIT_UNSUPPORTED
    # RFC 7519, section 5.2: a nested token says so by `cty`: JWT.
    cty = members.get("cty")
    if not isinstance(cty, str) or cty.upper().removeprefix("APPLICATION/") != "JWT":
        return Reason.HEADER_INVALID
    kid = members.get("kid")
    if "kid" in members and not is_name(kid):
        return Reason.HEADER_INVALID
    if members.get("alg") != key.algorithm or members.get("enc") not in CONTENT_ENCRYPTIONS:
        return Reason.ALGORITHM_NOT_ALLOWED
    return Reason.KEY_UNKNOWN if None not in (kid, key.kid) and kid != key.kid else None
