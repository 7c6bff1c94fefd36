"""Encrypted tokens: what comes out has yet to be believed, and nothing but a signed token is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from jwtgate.errors import KeyRefusedError
from jwtgate.keys import generate_signing_key
from jwtgate.keys.encoding import encode_base64url
from jwtgate.reasons import Reason
from jwtgate.tokens import mint
from jwtgate.tokens.nested import (
    CONTENT_ENCRYPTIONS,
    KEY_ALGORITHMS,
    OPERATIONS,
    DecryptionKey,
    decrypt,
    import_decryption_key,
    is_encrypted,
)

SIGNED = mint({"iss": "i"}, generate_signing_key("ES256"))
KEYS: dict[str | int, Any] = {
    "RSA": RSAKey.generate_key(2048),
    "EC": ECKey.generate_key("P-256"),
    **{bits: OctKey.generate_key(bits) for bits in (128, 256, 512)},
}
OCT_JWK, RSA_JWK, EC_JWK = (KEYS[name].as_dict(private=True) for name in (256, "RSA", "EC"))
SECRET_BITS: dict[str, Any] = {"A128GCM": 128, "A256GCM": 256, "A128CBC-HS256": 256, "A256CBC-HS512": 512}


def key_for(algorithm: str, encryption: str) -> Any:
    return KEYS[SECRET_BITS[encryption] if algorithm == "dir" else KEY_ALGORITHMS[algorithm]]


def decryption_key(algorithm: str, encryption: str, **changes: object) -> DecryptionKey:
    return import_decryption_key(
        {**key_for(algorithm, encryption).as_dict(private=True), "alg": algorithm, **changes}
    )


def encrypted(algorithm: str, encryption: str, text: str = SIGNED, **header: Any) -> str:
    protected = {"alg": algorithm, "enc": encryption, "cty": "JWT", **header}
    members = {name: value for name, value in protected.items() if value is not None}
    allowed = [algorithm, encryption, "DEF"]
    return jwe.encrypt_compact(members, text, key_for(algorithm, encryption), algorithms=allowed)


@pytest.mark.parametrize("encryption", CONTENT_ENCRYPTIONS)
@pytest.mark.parametrize("algorithm", list(KEY_ALGORITHMS))
def test_the_signed_token_comes_out(algorithm: str, encryption: str) -> None:
    token = encrypted(algorithm, encryption)
    assert is_encrypted(token)
    assert not is_encrypted(SIGNED)
    assert decrypt(token, decryption_key(algorithm, encryption), max_bytes=8192) == SIGNED


@pytest.mark.parametrize(
    ("algorithm", "operation"), [(name, operation) for name in KEY_ALGORITHMS for operation in OPERATIONS[name]]
)
def test_a_key_for_what_its_algorithm_does_decrypts(algorithm: str, operation: str) -> None:
    key = decryption_key(algorithm, "A256GCM", use="enc", key_ops=["encrypt", operation])
    assert decrypt(encrypted(algorithm, "A256GCM"), key) == SIGNED


@pytest.mark.parametrize("text", ['{"iss":"i","exp":2000000000}', "", "text", "e30.e30."])
def test_what_holds_no_signed_token_is_denied(text: str) -> None:
    """CVE-2026-29000, CVE-2026-49230: whoever has the public key can encrypt."""
    inner = decrypt(
        encrypted("RSA-OAEP-256", "A256GCM", text), decryption_key("RSA-OAEP-256", "A256GCM"), max_bytes=8192
    )
    assert isinstance(inner, Reason)


@pytest.mark.parametrize("algorithm", ["dir", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A256KW"])
def test_a_touched_token_does_not_decrypt(algorithm: str) -> None:
    token = encrypted(algorithm, "A128CBC-HS256")
    key = decryption_key(algorithm, "A128CBC-HS256")
    segments = token.split(".")
    for place, segment in enumerate(segments):
        if not segment or place == 0:
            continue
        touched = [*segments]
        touched[place] = ("B" if segment[0] != "B" else "C") + segment[1:]
        assert decrypt(".".join(touched), key, max_bytes=8192) is Reason.SIGNATURE_INVALID
        touched[place] = segment + "="
        assert decrypt(".".join(touched), key, max_bytes=8192) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"zip": "DEF"}, Reason.HEADER_INVALID),
        ({"cty": None}, Reason.HEADER_INVALID),
        ({"cty": "text/plain"}, Reason.HEADER_INVALID),
        ({"cty": "jwt"}, None),
        ({"kid": "b"}, Reason.KEY_UNKNOWN),
        ({"kid": "a"}, None),
        ({"kid": "a\n"}, Reason.HEADER_INVALID),
    ],
)
def test_the_header_is_checked_first(header: dict[str, Any], reason: Reason | None) -> None:
    """CVE-2025-61920 and its kin: compression is off."""
    key = decryption_key("dir", "A256GCM", kid="a")
    found = decrypt(encrypted("dir", "A256GCM", **header), key, max_bytes=8192)
    assert found == (SIGNED if reason is None else reason)


def test_another_alg_or_enc_than_the_keys_is_refused() -> None:
    key = decryption_key("ECDH-ES", "A256GCM")
    assert decrypt(encrypted("ECDH-ES+A128KW", "A256GCM"), key, max_bytes=8192) is Reason.ALGORITHM_NOT_ALLOWED
    _, *rest = encrypted("ECDH-ES", "A256GCM").split(".")
    for members, reason in (
        ({"alg": "ECDH-ES", "enc": "A192GCM", "cty": "JWT"}, Reason.ALGORITHM_NOT_ALLOWED),
        ({"alg": "ECDH-ES", "cty": "JWT"}, Reason.ALGORITHM_NOT_ALLOWED),
        ({"enc": "A256GCM", "cty": "JWT"}, Reason.ALGORITHM_NOT_ALLOWED),
        ({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "crit": ["exp"]}, Reason.CRIT_UNSUPPORTED),
        ({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT"}, Reason.SIGNATURE_INVALID),
        ({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "epk": {"kty": "EC"}}, Reason.SIGNATURE_INVALID),
        ({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "epk": 7}, Reason.SIGNATURE_INVALID),
        (
            {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "epk": {**KEYS["EC"].as_dict(), "crv": "P@256"}},
            Reason.SIGNATURE_INVALID,
        ),
    ):
        head = encode_base64url(json.dumps(members).encode()).decode()
        assert decrypt(".".join((head, *rest)), key, max_bytes=8192) is reason


def test_form_and_size_are_checked_first() -> None:
    key = decryption_key("dir", "A256GCM")
    token = encrypted("dir", "A256GCM")
    assert decrypt(token, key, max_bytes=len(token) - 1) is Reason.TOKEN_TOO_LARGE
    for text in (SIGNED, token + ".AA", token + "é", "\ud800" + token, "....", ""):
        assert decrypt(text, key, max_bytes=8192) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    ("jwk", "complaint"),
    [
        ({"kty": "RSA"}, "expected one of dir"),
        ({"kty": "RSA", "alg": "RSA1_5"}, "expected one of dir"),
        ({"kty": "oct", "alg": "PBES2-HS256+A128KW"}, "expected one of dir"),
        ({"kty": "oct", "alg": "RSA-OAEP"}, "needs a key of type RSA"),
        ({"kty": "oct", "alg": "dir"}, "expected 16, 32 or 64 octets"),
        ({"kty": "oct", "alg": "dir", "k": 5}, "expected 16, 32 or 64 octets"),
        ({"kty": "oct", "alg": "dir", "k": "AAAA"}, "expected 16, 32 or 64 octets"),
        ({"kty": "oct", "alg": "dir", "k": "AAAA", "use": "sig"}, 'not "enc"'),
        ({"kty": "oct", "alg": "dir", "k": "AAAA", "kid": "\n"}, "kid is not"),
        ({**OCT_JWK, "alg": "dir", "key_ops": []}, "key_ops"),
        ({**OCT_JWK, "alg": "dir", "key_ops": "decrypt"}, "key_ops"),
        ({**OCT_JWK, "alg": "dir", "key_ops": {"decrypt": True}}, "key_ops"),
        ({**OCT_JWK, "alg": "dir", "key_ops": 7}, "key_ops"),
        ({**OCT_JWK, "alg": "dir", "key_ops": ["unwrapKey", ["decrypt"]]}, "key_ops"),
        ({**RSA_JWK, "alg": "RSA-OAEP", "key_ops": ["sign", "encrypt"]}, "key_ops"),
        ({**RSA_JWK, "alg": "RSA-OAEP", "use": "enc", "key_ops": ["decrypt", "verify"]}, "contradict each other"),
        ({**EC_JWK, "alg": "ECDH-ES", "crv": "P@256"}, "not a valid key"),
        ({**EC_JWK, "alg": "ECDH-ES", "key_ops": ["decrypt"]}, "key_ops"),
        (
            {**KEYS["RSA"].as_dict(private=True), "alg": "RSA-OAEP", "n": "_" * 170 + "8"},
            "an RSA key of 1024 bits",
        ),
        ({**RSA_JWK, "alg": "RSA-OAEP-256", "e": "AQ"}, "exponent"),
        ({**RSA_JWK, "alg": "RSA-OAEP-256", "n": 7}, "member n is missing"),
        ({**KEYS["EC"].as_dict(private=False), "alg": "ECDH-ES"}, "a public key cannot decrypt"),
    ],
)
def test_a_key_is_refused(jwk: dict[str, Any], complaint: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        import_decryption_key(jwk)
    assert complaint in str(refused.value)


def test_the_key_is_in_no_repr() -> None:
    key = decryption_key("dir", "A256GCM")
    assert repr(key) == f"DecryptionKey(kid={key.kid!r}, algorithm='dir')"
