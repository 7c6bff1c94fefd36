"""jwtgate: JWT authentication for microservices, done once, in the NGINX gateway in front of them.

This module is the public API: the gateway's own verification, for services and test suites that want it in
process. Everything else is reached by the command `jwtgate`.

    keys = read_jwks(Path("jwks.json").read_bytes())
    rules = ClaimRules(issuer="https://issuer.example", audience=("orders",))
    match verify_token(token, keys, algorithms=("ES256",), rules=rules, now=time.time()):
        case VerifiedToken(claims=claims):
            print(claims["sub"])
        case Reason() as reason:
            print("denied:", reason)

And, for tests, tokens of one's own:

    key = generate_signing_key("ES256")
    keys = read_jwks(json.dumps({"keys": [key.public_jwk()]}).encode())
    token = mint({"iss": "https://issuer.example", "aud": "orders", "exp": 2_000_000_000}, key)

An encrypted token (JWE) that holds a signed one is opened first: `decrypt(token, import_decryption_key(jwk))`
gives the token inside, of which nothing is believed yet, or a Reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.lazy import lazy_names

if TYPE_CHECKING:
    from jwtgate.errors import JwtgateError, KeyRefusedError
    from jwtgate.keys import Key, KeySet, SigningKey, generate_signing_key, import_jwk, read_jwks, secret_keyset
    from jwtgate.reasons import Reason
    from jwtgate.tokens import ClaimRules, VerifiedToken, mint, verify_token
    from jwtgate.tokens.nested import DecryptionKey, decrypt, import_decryption_key
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "jwtgate.errors": ("JwtgateError", "KeyRefusedError"),
            "jwtgate.keys": (
                "Key",
                "KeySet",
                "SigningKey",
                "generate_signing_key",
                "import_jwk",
                "read_jwks",
                "secret_keyset",
            ),
            "jwtgate.reasons": ("Reason",),
            "jwtgate.tokens": ("ClaimRules", "VerifiedToken", "mint", "verify_token"),
            "jwtgate.tokens.nested": ("DecryptionKey", "decrypt", "import_decryption_key"),
        },
    )

__all__ = [
    "ClaimRules",
    "DecryptionKey",
    "JwtgateError",
    "Key",
    "KeyRefusedError",
    "KeySet",
    "Reason",
    "SigningKey",
    "VerifiedToken",
    "decrypt",
    "generate_signing_key",
    "import_decryption_key",
    "import_jwk",
    "mint",
    "read_jwks",
    "secret_keyset",
    "verify_token",
]
